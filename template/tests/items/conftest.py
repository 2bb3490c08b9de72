import pytest

from app.items.service import STORE


@pytest.fixture(autouse=True)
def empty_store() -> None:
    STORE.clear()
