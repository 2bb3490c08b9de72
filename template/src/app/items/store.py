"""Items in the memory of this process. They are lost on restart, and each worker has its own."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

from app.items import schemas
from app.items.exceptions import ItemNotFound
from app.kit.memory import get_page
from app.kit.pagination import Page, PageParams


@dataclass
class Item:
    """An item."""

    title: str
    description: str
    id: UUID = field(default_factory=uuid4)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    updated_at: datetime = field(default_factory=lambda: datetime.now(UTC))


ITEMS: dict[UUID, Item] = {}


class ItemStore:
    """Items."""

    async def get(self, item_id: UUID) -> Item:
        """Return an item.

        Raises:
            ItemNotFound: The item does not exist.
        """
        if (item := ITEMS.get(item_id)) is None:
            raise ItemNotFound
        return item

    async def get_page(self, page: PageParams) -> Page[schemas.Item]:
        """Return a page of items, newest first."""
        rows, next_cursor = get_page(ITEMS.values(), page)
        data = [schemas.Item.model_validate(row) for row in rows]
        return Page(data=data, next_cursor=next_cursor)

    async def create(self, data: schemas.ItemCreate) -> schemas.Item:
        """Create an item."""
        item = Item(**data.model_dump())
        ITEMS[item.id] = item
        return schemas.Item.model_validate(item)

    async def update(self, item: Item, data: schemas.ItemUpdate) -> schemas.Item:
        """Update an item."""
        for name, value in data.changes().items():
            setattr(item, name, value)
        item.updated_at = datetime.now(UTC)
        return schemas.Item.model_validate(item)

    async def delete(self, item: Item) -> None:
        """Delete an item."""
        ITEMS.pop(item.id, None)
