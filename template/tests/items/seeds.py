"""Example items for development."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.items import models

TITLES = ["Buy milk", "Water the plants", "Call Ada"]


async def seed_items(session: AsyncSession, **columns: object) -> None:
    """Add items, if there are none.

    Args:
        session: Session to use.
        columns: Values of further columns.
    """
    if await session.scalar(select(models.Item.id).limit(1)) is None:
        rows = [models.Item(title=title, description="", **columns) for title in TITLES]
        session.add_all(rows)
