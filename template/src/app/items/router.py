from fastapi import status

from app.items import schemas
from app.items.dependencies import Items, ValidItem
from app.kit.conditions import ConditionsDep
from app.kit.pagination import Page, PageQuery
from app.kit.routing import Router

router = Router(prefix="/items", tags=["items"])


@router.post("", status_code=status.HTTP_201_CREATED, summary="Create an item")
async def create_item(data: schemas.ItemCreate, items: Items) -> schemas.Item:
    """Create an item."""
    return await items.create(data)


@router.get("", summary="List items")
async def list_items(page: PageQuery, items: Items) -> Page[schemas.Item]:
    """Return a page of items, newest first."""
    return await items.get_page(page)


@router.get("/{item_id}", summary="Get an item")
async def get_item(item: ValidItem) -> schemas.Item:
    """Return one item."""
    return schemas.Item.model_validate(item)


@router.patch("/{item_id}", summary="Update an item")
async def update_item(
    item: ValidItem, data: schemas.ItemUpdate, items: Items, conditions: ConditionsDep
) -> schemas.Item:
    """Update an item. Omitted fields keep their value."""
    updated = await items.update(item, data)
    conditions.set_etag(updated.updated_at)
    return updated


@router.delete("/{item_id}", status_code=status.HTTP_204_NO_CONTENT, summary="Delete an item")
async def delete_item(item: ValidItem, items: Items) -> None:
    """Delete an item."""
    await items.delete(item)
