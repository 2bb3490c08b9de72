"""Pages of the rows of a store in memory."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol
from uuid import UUID

from app.kit.pagination import Cursor, PageParams


class Row(Protocol):
    """A row of a store."""

    id: UUID
    created_at: datetime


def get_page[R: Row](rows: Iterable[R], page: PageParams) -> tuple[list[R], str | None]:
    """Return a page of rows, newest first unless `page` has an order.

    Args:
        rows: All rows.
        page: Requested page, with its filters.

    Returns:
        The rows, and the cursor of the next page or None.
    """
    for field, operator, value in page.filters():
        rows = [
            row
            for row in rows
            if getattr(row, field) is not None and operator(getattr(row, field), value)
        ]
    name = page.order.removeprefix("-")
    cursors = {row.id: Cursor(page.order, getattr(row, name), row.id) for row in rows}
    found = sorted(rows, key=lambda row: cursors[row.id], reverse=page.order != name)
    if after := page.after:
        following = Cursor.__gt__ if page.order == name else Cursor.__lt__
        found = [row for row in found if following(cursors[row.id], after)]
    shown = found[: page.limit]
    return shown, cursors[shown[-1].id].encode() if len(found) > page.limit else None
