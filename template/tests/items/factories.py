"""What tests send to make items, and what is refused."""

from typing import Any

from httpx2 import AsyncClient

# What to change about an item.
CHANGE: dict[str, Any] = {"title": "Buy bread"}

# A new item must have these.
REQUIRED: list[str] = ["title"]

# Fields, and what they do not take.
REFUSED: list[tuple[str, object]] = [
    ("title", " "),
    ("title", "x" * 201),
    ("title", "\x00"),
    ("title", 1),
    ("description", "x" * 10_001),
]


async def new_item(client: AsyncClient) -> dict[str, Any]:
    """What to send for a new item."""
    return {"title": "Buy milk", "description": "Oat, two litres"}


async def create_item(client: AsyncClient, **fields: object) -> dict[str, Any]:
    body = await new_item(client) | fields
    response = await client.post("/api/v1/items", json=body)
    assert response.status_code == 201, response.text
    item: dict[str, Any] = response.json()
    return item
