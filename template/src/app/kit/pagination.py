"""Keyset pagination: the last page is as fast as the first.

There is no total count. Counting all rows costs more than the page.
"""

import base64
import operator
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Annotated, Any, ClassVar, NamedTuple, Self
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, Field, TypeAdapter, field_validator
from pydantic_core import from_json, to_json

from app.kit.schemas import UtcDatetime

MAX_LIMIT = 100
BOUNDS = {"min": operator.ge, "max": operator.le}


class Cursor(NamedTuple):
    """The position of the last row of a page."""

    sort: str
    value: Any
    id: UUID

    def encode(self) -> str:
        """Return the cursor as URL-safe text."""
        return base64.urlsafe_b64encode(to_json(self)).decode()

    @classmethod
    def decode(cls, text: str, types: dict[str, Any]) -> Self:
        """Parse the output of `encode`.

        Args:
            text: The text.
            types: Types of the fields that rows can be sorted by.

        Raises:
            ValueError: The text is not a cursor.
        """
        try:
            sort, value, row_id = from_json(base64.b64decode(text, b"-_", validate=True))
            kind = types[sort.removeprefix("-")]
            return cls(sort, TypeAdapter(kind).validate_python(value), UUID(row_id))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError("is not a cursor of a previous page") from error


class PageParams(BaseModel):
    """Query parameters of a list.

    The fields of a subclass are filters: `status` selects equal values, `total_min` and `total_max` a
    range. With a field `sort` and the types of its values in `SORTS`, it selects the order.
    """

    SORTS: ClassVar[dict[str, Any]] = {}

    limit: int = Field(20, ge=1, le=MAX_LIMIT, description="Maximum number of entries.")
    cursor: str | None = Field(
        None,
        description="`next_cursor` of the previous page, which keeps its order. "
        "Omit it for the first page.",
    )

    @field_validator("cursor")
    @classmethod
    def check_cursor(cls, value: str | None) -> str | None:
        """Reject an invalid cursor."""
        if value is not None:
            cls._decode(value)
        return value

    @classmethod
    def _decode(cls, text: str) -> Cursor:
        return Cursor.decode(text, {"created_at": UtcDatetime} | cls.SORTS)

    @cached_property
    def after(self) -> Cursor | None:
        """Position after which the page starts; None for the first page."""
        return self._decode(self.cursor) if self.cursor is not None else None

    @property
    def order(self) -> str:
        """Field to sort by, after a minus sign if the largest value comes first."""
        return self.after.sort if self.after else getattr(self, "sort", "-created_at")

    def filters(self) -> Iterator[tuple[str, Callable[[Any, Any], Any], Any]]:
        """Yield the field, the operator and the value of each filter."""
        common = {*PageParams.model_fields, "sort"}
        for name, value in self.model_dump(exclude=common, exclude_none=True).items():
            field, _, bound = name.rpartition("_")
            is_bound = field and bound in BOUNDS
            yield (field, BOUNDS[bound], value) if is_bound else (name, operator.eq, value)


PageQuery = Annotated[PageParams, Query()]


class Page[T](BaseModel):
    """A page of a list."""

    data: list[T] = Field(description="Entries.")
    next_cursor: str | None = Field(
        description="Value of `cursor` for the next page; null on the last page."
    )
