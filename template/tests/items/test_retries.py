from httpx2 import AsyncClient

from tests.items.factories import item_body

ITEMS = "/api/v1/items"


async def test_repeated_request(client: AsyncClient) -> None:
    body = await item_body(client)
    key = {"idempotency-key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}

    first, second = [await client.post(ITEMS, json=body, headers=key) for _ in range(2)]

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert len((await client.get(ITEMS)).json()["data"]) == 1
