"""Pages and references of the rows of a store in memory."""

from collections.abc import Container, Iterable
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from app.kit.pagination import Cursor, PageParams
from app.kit.problems import missing_reference


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
    order = page.order
    name = order.removeprefix("-")
    cursors = {row.id: Cursor(order, getattr(row, name), row.id) for row in rows}
    found = sorted(rows, key=lambda row: cursors[row.id], reverse=order != name)
    if after := page.after:
        following = Cursor.__gt__ if order == name else Cursor.__lt__
        found = [row for row in found if following(cursors[row.id], after)]
    shown = found[: page.limit]
    return shown, cursors[shown[-1].id].encode() if len(found) > page.limit else None


def check_references(values: dict[str, Any], **tables: Container[UUID]) -> None:
    """Check that referenced records exist.

    Args:
        values: Values of the fields of a record.
        tables: For each field with the ID of another record, or a list of IDs, the existing IDs.

    Raises:
        RequestValidationError: A referenced record does not exist.
    """
    for name, existing in tables.items():
        ids = values.get(name)
        for row_id in ids if isinstance(ids, list) else [ids]:
            if row_id is not None and row_id not in existing:
                raise missing_reference(name)
