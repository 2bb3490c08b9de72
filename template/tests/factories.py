"""Things that tests need to be there."""

from typing import Any

from httpx2 import AsyncClient


async def create_item(client: AsyncClient, **fields: str) -> dict[str, Any]:
    response = await client.post("/api/v1/items", json={"title": "Buy milk"} | fields)
    assert response.status_code == 201, response.text
    item: dict[str, Any] = response.json()
    return item
