"""Request bodies for items."""

from typing import Any

from httpx2 import AsyncClient

CHANGES: dict[str, Any] = {"title": "Buy bread"}
REQUIRED: list[str] = ["title"]
INVALID: list[tuple[str, object]] = [
    ("title", " "),
    ("title", "x" * 201),
    ("title", "\x00"),
    ("title", 1),
    ("description", "x" * 10_001),
]


async def item_body(client: AsyncClient) -> dict[str, Any]:
    return {"title": "Buy milk", "description": "Oat, two liters"}


async def create_item(client: AsyncClient, **fields: object) -> dict[str, Any]:
    body = await item_body(client) | fields
    response = await client.post("/api/v1/items", json=body)
    assert response.status_code == 201, response.text
    item: dict[str, Any] = response.json()
    return item
