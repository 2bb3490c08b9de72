"""Lists a page at a time, by keyset: as fast on the last page as on the first.

There is no total: counting all rows costs more than the page, and is out of date when it arrives.
"""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, NamedTuple, Self
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, Field, field_validator

MAX_LIMIT = 100


class Cursor(NamedTuple):
    """Where a page ended: the place of its last row in the order of the list."""

    created_at: datetime
    id: UUID

    def encode(self) -> str:
        """Write it as text that is safe in a URL."""
        text = f"{self.created_at.isoformat()} {self.id}"
        return base64.urlsafe_b64encode(text.encode()).decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read what `encode` wrote.

        Raises:
            ValueError: It is something else.
        """
        try:
            created_at, item_id = base64.b64decode(text, b"-_", validate=True).decode().split(" ")
            return cls(datetime.fromisoformat(created_at).astimezone(UTC), UUID(item_id))
        except (binascii.Error, ValueError, OverflowError) as error:
            raise ValueError("is no cursor of an earlier page") from error


class PageParams(BaseModel):
    """Which part of a list is asked for."""

    limit: int = Field(20, ge=1, le=MAX_LIMIT, description="Most entries in the page.")
    cursor: str | None = Field(
        None, description="`next_cursor` of the page before; the first page without it."
    )

    @field_validator("cursor")
    @classmethod
    def check_cursor(cls, value: str | None) -> str | None:
        """Refuse what is no cursor."""
        if value is not None:
            Cursor.decode(value)
        return value

    @property
    def after(self) -> Cursor | None:
        """Where the page begins; None for the first."""
        return Cursor.decode(self.cursor) if self.cursor is not None else None


PageQuery = Annotated[PageParams, Query()]


class Page[T](BaseModel):
    """Part of a list, the newest first."""

    data: list[T] = Field(description="The entries.")
    next_cursor: str | None = Field(
        description="Asks for the next page, as `cursor`; null on the last page."
    )
