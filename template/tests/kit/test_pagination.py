import base64
from datetime import UTC, datetime
from uuid import UUID

import pytest

from app.kit.pagination import Cursor


def test_round_trip() -> None:
    cursor = Cursor(datetime.now(UTC), UUID(int=1))

    assert Cursor.decode(cursor.encode()) == cursor


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "ÄÖÜ",
        base64.urlsafe_b64encode(b"2026-01-01 not-an-id").decode(),
        base64.urlsafe_b64encode(b"\xff\xff").decode(),
        base64.urlsafe_b64encode(f"0001-01-01T00:00:00+23:59 {UUID(int=1)}".encode()).decode(),
    ],
)
def test_invalid(text: str) -> None:
    with pytest.raises(ValueError, match="is not a cursor"):
        Cursor.decode(text)
