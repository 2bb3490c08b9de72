from typing import Annotated
from uuid import UUID

from fastapi import Depends

from app.items.exceptions import ItemNotFound
from app.items.models import Item
from app.items.service import ItemService
from app.kit.problems import raises

Items = Annotated[ItemService, Depends()]


@raises(ItemNotFound)
async def valid_item_id(item_id: UUID, items: Items) -> Item:
    """Turn the id in the path into the item."""
    return await items.find(item_id)


ValidItem = Annotated[Item, Depends(valid_item_id)]
