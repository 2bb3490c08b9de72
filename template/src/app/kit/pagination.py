"""Keyset pagination: the last page is as fast as the first.

There is no total count. Counting all rows costs more than the page.
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
    """The position of the last row of a page."""

    created_at: datetime
    id: UUID

    def encode(self) -> str:
        """Return the cursor as URL-safe text."""
        text = f"{self.created_at.isoformat()} {self.id}"
        return base64.urlsafe_b64encode(text.encode()).decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Parse the output of `encode`.

        Raises:
            ValueError: The text is not a cursor.
        """
        try:
            created_at, item_id = base64.b64decode(text, b"-_", validate=True).decode().split(" ")
            return cls(datetime.fromisoformat(created_at).astimezone(UTC), UUID(item_id))
        except (binascii.Error, ValueError, OverflowError) as error:
            raise ValueError("is not a cursor of a previous page") from error


class PageParams(BaseModel):
    """Query parameters of a list."""

    limit: int = Field(20, ge=1, le=MAX_LIMIT, description="Maximum number of entries.")
    cursor: str | None = Field(
        None, description="`next_cursor` of the previous page. Omit it for the first page."
    )

    @field_validator("cursor")
    @classmethod
    def check_cursor(cls, value: str | None) -> str | None:
        """Reject an invalid cursor."""
        if value is not None:
            Cursor.decode(value)
        return value

    @property
    def after(self) -> Cursor | None:
        """Position after which the page starts; None for the first page."""
        return Cursor.decode(self.cursor) if self.cursor is not None else None


PageQuery = Annotated[PageParams, Query()]


class Page[T](BaseModel):
    """A page of a list."""

    data: list[T] = Field(description="Entries, newest first.")
    next_cursor: str | None = Field(
        description="Value of `cursor` for the next page; null on the last page."
    )
