from uuid import uuid4

import pytest
from httpx2 import AsyncClient

from tests.items.factories import CHANGE, REFUSED, REQUIRED, create_item, new_item

ITEMS = "/api/v1/items"


class TestCreate:
    async def test_returns_the_item(self, client: AsyncClient) -> None:
        body = await new_item(client)

        response = await client.post(ITEMS, json=body)

        assert response.status_code == 201
        item = response.json()
        assert item.items() >= body.items()
        assert item["created_at"] <= item["updated_at"]

    @pytest.mark.parametrize(("field", "value"), [*REFUSED, ("id", "any")])
    async def test_refuses(self, client: AsyncClient, field: str, value: object) -> None:
        body = await new_item(client) | {field: value}

        response = await client.post(ITEMS, json=body)

        assert response.status_code == 422
        assert [error["pointer"] for error in response.json()["errors"]] == [f"/{field}"]

    @pytest.mark.parametrize("field", REQUIRED)
    async def test_needs(self, client: AsyncClient, field: str) -> None:
        body = await new_item(client)
        del body[field]

        response = await client.post(ITEMS, json=body)

        assert response.status_code == 422
        assert [error["pointer"] for error in response.json()["errors"]] == [f"/{field}"]

    @pytest.mark.parametrize(
        ("content", "status"), [(b'{"title', 422), (b'"\xff"', 400), (b"", 422), (b"[]", 422)]
    )
    async def test_body_that_is_no_object(
        self, client: AsyncClient, content: bytes, status: int
    ) -> None:
        response = await client.post(
            ITEMS, content=content, headers={"content-type": "application/json"}
        )

        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"


class TestRead:
    async def test_returns_the_item(self, client: AsyncClient) -> None:
        item = await create_item(client)

        response = await client.get(f"{ITEMS}/{item['id']}")

        assert response.status_code == 200
        assert response.json() == item

    async def test_no_such_item(self, client: AsyncClient) -> None:
        response = await client.get(f"{ITEMS}/{uuid4()}")

        assert response.status_code == 404
        assert response.json()["type"] == "urn:problem-type:item-not-found"

    async def test_id_that_is_no_id(self, client: AsyncClient) -> None:
        response = await client.get(f"{ITEMS}/1")

        assert response.status_code == 422
        assert response.json()["errors"][0]["location"] == "path"


class TestList:
    async def test_empty(self, client: AsyncClient) -> None:
        response = await client.get(ITEMS)

        assert response.json() == {"data": [], "next_cursor": None}

    async def test_pages_have_each_item_once_the_newest_first(self, client: AsyncClient) -> None:
        created = [await create_item(client) for _ in range(5)]

        seen, cursor, pages = [], None, 0
        while cursor or not pages:
            params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = (await client.get(ITEMS, params=params)).json()
            seen += page["data"]
            cursor, pages = page["next_cursor"], pages + 1

        assert seen == created[::-1]
        assert pages == 3

    async def test_item_made_in_between_moves_nothing(self, client: AsyncClient) -> None:
        first, second = await create_item(client), await create_item(client)
        page = (await client.get(ITEMS, params={"limit": 1})).json()
        await create_item(client)

        rest = (await client.get(ITEMS, params={"cursor": page["next_cursor"]})).json()

        assert page["data"] == [second]
        assert rest["data"] == [first]

    @pytest.mark.parametrize(
        "params", [{"limit": 0}, {"limit": 10**9}, {"limit": "many"}, {"cursor": "nonsense"}]
    )
    async def test_refuses(self, client: AsyncClient, params: dict[str, str]) -> None:
        response = await client.get(ITEMS, params=params)

        assert response.status_code == 422
        assert response.json()["errors"][0]["pointer"] == f"/{next(iter(params))}"


class TestUpdate:
    async def test_changes_what_is_named(self, client: AsyncClient) -> None:
        item = await create_item(client)

        response = await client.patch(f"{ITEMS}/{item['id']}", json=CHANGE)

        assert response.status_code == 200
        changed = response.json()
        assert changed["updated_at"] > item["updated_at"]
        assert changed == item | CHANGE | {"updated_at": changed["updated_at"]}
        assert (await client.get(f"{ITEMS}/{item['id']}")).json() == changed

    async def test_nothing_named(self, client: AsyncClient) -> None:
        item = await create_item(client)

        response = await client.patch(f"{ITEMS}/{item['id']}", json={})

        changed = response.json()
        assert changed == item | {"updated_at": changed["updated_at"]}

    async def test_no_such_item(self, client: AsyncClient) -> None:
        response = await client.patch(f"{ITEMS}/{uuid4()}", json=CHANGE)

        assert response.status_code == 404


class TestDelete:
    async def test_is_gone(self, client: AsyncClient) -> None:
        item = await create_item(client)

        response = await client.delete(f"{ITEMS}/{item['id']}")

        assert response.status_code == 204
        assert response.content == b""
        assert (await client.get(f"{ITEMS}/{item['id']}")).status_code == 404

    async def test_no_such_item(self, client: AsyncClient) -> None:
        assert (await client.delete(f"{ITEMS}/{uuid4()}")).status_code == 404
