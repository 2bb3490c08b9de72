from typing import Annotated
from uuid import UUID

from fastapi import Depends

from app.items.exceptions import ItemNotFound
from app.items.models import Item
from app.items.service import ItemService
from app.kit.problems import raises
from app.kit.routing import async_dependency

Items = Annotated[ItemService, Depends(async_dependency(ItemService))]


@raises(ItemNotFound)
async def valid_item_id(item_id: UUID, items: Items) -> Item:
    """Turn the id in the path into the item."""
    return await items.find(item_id)


ValidItem = Annotated[Item, Depends(valid_item_id)]
