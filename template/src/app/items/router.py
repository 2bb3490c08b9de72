"""The endpoints of items."""

from uuid import UUID

from fastapi import status

from app.items.dependencies import Items, ValidItem
from app.items.exceptions import ItemNotFound
from app.items.schemas import Item, ItemCreate, ItemUpdate
from app.kit.pagination import Page, PageQuery
from app.kit.problems import raises
from app.kit.routing import Router

router = Router(prefix="/items", tags=["items"])


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_item(data: ItemCreate, items: Items) -> Item:
    """Create an item."""
    return await items.create(data)


@router.get("")
async def list_items(page: PageQuery, items: Items) -> Page[Item]:
    """List the items, the newest first."""
    return await items.page(page)


@router.get("/{item_id}")
@raises(ItemNotFound)
async def read_item(item_id: UUID, items: Items) -> Item:
    """Read an item."""
    return await items.read(item_id)


@router.patch("/{item_id}")
async def update_item(item: ValidItem, data: ItemUpdate, items: Items) -> Item:
    """Change an item; what is not named stays."""
    return await items.update(item, data)


@router.delete("/{item_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_item(item: ValidItem, items: Items) -> None:
    """Delete an item for good."""
    await items.delete(item)
