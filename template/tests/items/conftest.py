import pytest

from app.items.store import ITEMS


@pytest.fixture(autouse=True)
def empty_store() -> None:
    ITEMS.clear()
