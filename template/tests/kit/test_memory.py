from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from fastapi.exceptions import RequestValidationError

from app.kit.memory import check_references, get_page
from app.kit.pagination import PageParams
from app.kit.schemas import Int32


@dataclass
class Parcel:
    size: int
    weight: int | None = None
    id: UUID = field(default_factory=uuid4)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))


class ParcelParams(PageParams):
    """Filters and order of a list of parcels."""

    SORTS: ClassVar[dict[str, Any]] = {"size": Int32}
    weight_min: int | None = None
    sort: str = "-created_at"


PARCELS = [Parcel(size, weight) for size, weight in [(2, 1), (1, None), (3, 1), (2, 3)]]


@pytest.mark.parametrize(
    ("sort", "sizes"),
    [("-created_at", [2, 3, 1, 2]), ("size", [1, 2, 2, 3]), ("-size", [3, 2, 2, 1])],
)
def test_pages(sort: str, sizes: list[int]) -> None:
    seen, cursor = [], None
    for _ in sizes:
        rows, cursor = get_page(PARCELS, ParcelParams(sort=sort, limit=1, cursor=cursor))
        seen += rows

    assert [parcel.size for parcel in seen] == sizes
    assert {parcel.id for parcel in seen} == {parcel.id for parcel in PARCELS}
    assert cursor is None


def test_filter() -> None:
    rows, _ = get_page(PARCELS, ParcelParams(weight_min=2))

    assert rows == [PARCELS[3]]


@pytest.mark.parametrize("value", [PARCELS[0].id, None, [], [PARCELS[0].id, PARCELS[1].id]])
def test_existing_references(value: object) -> None:
    check_references({"parcel": value}, parcel={parcel.id for parcel in PARCELS})


@pytest.mark.parametrize("value", [uuid4(), [PARCELS[0].id, uuid4()]])
def test_missing_reference(value: object) -> None:
    with pytest.raises(RequestValidationError) as caught:
        check_references({"parcel": value}, parcel={parcel.id for parcel in PARCELS})

    [error] = caught.value.errors()
    assert (error["loc"], error["type"]) == (("body", "parcel"), "reference")
