import base64
import json
import operator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

import pytest
from pydantic import ValidationError

from app.kit.pagination import Cursor, PageParams
from app.kit.schemas import Date, Int32, Line, Money, UtcDatetime

TYPES: dict[str, Any] = {"created_at": UtcDatetime, "size": Int32, "title": Line, "price": Money}


class ParcelParams(PageParams):
    """Filters and order of a list of parcels."""

    SORTS: ClassVar[dict[str, Any]] = {"size": Int32}
    title: str | None = None
    size_min: int | None = None
    size_max: int | None = None
    sort: str = "-created_at"


@pytest.mark.parametrize(
    ("sort", "value"),
    [
        ("-created_at", datetime.now(UTC)),
        ("size", 3),
        ("-price", Decimal("19.90")),
        ("title", "Ä 1"),
        ("due", date(2026, 5, 17)),
    ],
)
def test_round_trip(sort: str, value: object) -> None:
    cursor = Cursor(sort, value, UUID(int=1))

    assert Cursor.decode(cursor.encode(), TYPES | {"due": Date}) == cursor


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "ÄÖÜ",
        base64.urlsafe_b64encode(b"\xff\xff").decode(),
        *(
            base64.urlsafe_b64encode(json.dumps(content).encode()).decode()
            for content in [
                1,
                ["size", 3],
                ["size", 3, 1],
                ["size", 3, "not-an-id"],
                ["size", 2**31, str(UUID(int=1))],
                ["title", "\0", str(UUID(int=1))],
                ["weight", 3, str(UUID(int=1))],
                [["size"], 3, str(UUID(int=1))],
                ["created_at", "0001-01-01T00:00:00+23:59", str(UUID(int=1))],
            ]
        ),
    ],
)
def test_invalid(text: str) -> None:
    with pytest.raises(ValueError, match="is not a cursor"):
        Cursor.decode(text, TYPES)


def test_filter_named_like_a_bound() -> None:
    class Params(PageParams):
        """Filters of a list."""

        min: int

    assert list(Params(min=7).filters()) == [("min", operator.eq, 7)]


def test_filters() -> None:
    page = ParcelParams(title="First", size_min=0)

    assert list(page.filters()) == [("title", operator.eq, "First"), ("size", operator.ge, 0)]


def test_order() -> None:
    cursor = Cursor("size", 3, UUID(int=1)).encode()

    assert PageParams().order == "-created_at"
    assert ParcelParams(sort="-size").order == "-size"
    # The pages of a list keep the order of the first one.
    assert ParcelParams(sort="-size", cursor=cursor).order == "size"
    with pytest.raises(ValidationError, match="is not a cursor"):
        PageParams(cursor=cursor)
