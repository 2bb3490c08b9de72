from uuid import uuid4

import pytest
from httpx2 import AsyncClient

from tests.items.factories import CHANGES, INVALID, REQUIRED, create_item, item_body

ITEMS = "/api/v1/items"


class TestCreate:
    async def test_success(self, client: AsyncClient) -> None:
        body = await item_body(client)

        response = await client.post(ITEMS, json=body)

        assert response.status_code == 201
        item = response.json()
        assert item.items() >= body.items()
        assert item["created_at"] <= item["updated_at"]

    @pytest.mark.parametrize(("field", "value"), [*INVALID, ("id", "any")])
    async def test_invalid_field(self, client: AsyncClient, field: str, value: object) -> None:
        body = await item_body(client) | {field: value}

        response = await client.post(ITEMS, json=body)

        assert response.status_code == 422
        assert [error["pointer"] for error in response.json()["errors"]] == [f"/{field}"]

    @pytest.mark.parametrize("field", REQUIRED)
    async def test_missing_field(self, client: AsyncClient, field: str) -> None:
        body = await item_body(client)
        del body[field]

        response = await client.post(ITEMS, json=body)

        assert response.status_code == 422
        assert [error["pointer"] for error in response.json()["errors"]] == [f"/{field}"]


class TestGet:
    async def test_success(self, client: AsyncClient) -> None:
        item = await create_item(client)

        response = await client.get(f"{ITEMS}/{item['id']}")

        assert response.status_code == 200
        assert response.json() == item

    async def test_same_version(self, client: AsyncClient) -> None:
        item = await create_item(client)
        url = f"{ITEMS}/{item['id']}"
        etag = (await client.get(url)).headers["etag"]

        response = await client.get(url, headers={"if-none-match": etag})

        assert (response.status_code, response.content) == (304, b"")

    async def test_unknown_item(self, client: AsyncClient) -> None:
        response = await client.get(f"{ITEMS}/{uuid4()}")

        assert response.status_code == 404
        assert response.json()["type"] == "urn:problem-type:item-not-found"

    async def test_invalid_id(self, client: AsyncClient) -> None:
        response = await client.get(f"{ITEMS}/1")

        assert response.status_code == 422
        assert response.json()["errors"][0]["location"] == "path"


class TestList:
    async def test_empty(self, client: AsyncClient) -> None:
        response = await client.get(ITEMS)

        assert response.json() == {"data": [], "next_cursor": None}

    async def test_pages(self, client: AsyncClient) -> None:
        created = [await create_item(client) for _ in range(5)]

        seen, cursor, pages = [], None, 0
        while cursor or not pages:
            params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = (await client.get(ITEMS, params=params)).json()
            seen += page["data"]
            cursor, pages = page["next_cursor"], pages + 1

        assert seen == created[::-1]
        assert pages == 3

    @pytest.mark.parametrize(
        "params", [{"limit": 0}, {"limit": 10**9}, {"limit": "many"}, {"cursor": "invalid"}]
    )
    async def test_invalid_parameter(self, client: AsyncClient, params: dict[str, str]) -> None:
        response = await client.get(ITEMS, params=params)

        assert response.status_code == 422
        assert response.json()["errors"][0]["pointer"] == f"/{next(iter(params))}"


class TestUpdate:
    async def test_success(self, client: AsyncClient) -> None:
        item = await create_item(client)

        response = await client.patch(f"{ITEMS}/{item['id']}", json=CHANGES)

        assert response.status_code == 200
        updated = response.json()
        assert updated["updated_at"] > item["updated_at"]
        assert updated == item | CHANGES | {"updated_at": updated["updated_at"]}
        assert (await client.get(f"{ITEMS}/{item['id']}")).json() == updated

    async def test_lost_update(self, client: AsyncClient) -> None:
        item = await create_item(client)
        url = f"{ITEMS}/{item['id']}"
        etag = (await client.get(url)).headers["etag"]

        first, second = [
            await client.patch(url, json=CHANGES, headers={"if-match": etag}) for _ in range(2)
        ]

        assert (first.status_code, second.status_code) == (200, 412)
        assert first.headers["etag"] != etag

    async def test_no_changes(self, client: AsyncClient) -> None:
        item = await create_item(client)

        response = await client.patch(f"{ITEMS}/{item['id']}", json={})

        updated = response.json()
        assert updated == item | {"updated_at": updated["updated_at"]}

    @pytest.mark.parametrize("field", REQUIRED)
    async def test_null(self, client: AsyncClient, field: str) -> None:
        item = await create_item(client)

        response = await client.patch(f"{ITEMS}/{item['id']}", json={field: None})

        assert response.status_code == 422
        assert (await client.get(f"{ITEMS}/{item['id']}")).json() == item

    async def test_unknown_item(self, client: AsyncClient) -> None:
        response = await client.patch(f"{ITEMS}/{uuid4()}", json=CHANGES)

        assert response.status_code == 404


class TestDelete:
    async def test_success(self, client: AsyncClient) -> None:
        item = await create_item(client)

        response = await client.delete(f"{ITEMS}/{item['id']}")

        assert response.status_code == 204
        assert response.content == b""
        assert (await client.get(f"{ITEMS}/{item['id']}")).status_code == 404

    async def test_unknown_item(self, client: AsyncClient) -> None:
        assert (await client.delete(f"{ITEMS}/{uuid4()}")).status_code == 404
