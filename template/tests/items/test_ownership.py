import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import User
from app.config import Settings
from app.items import models
from tests.auth.factories import access_token, create_user
from tests.conftest import client_of
from tests.items.factories import CHANGES, create_item, item_body

ITEMS = "/api/v1/items"
ITEM = f"{ITEMS}/370f3d98-7397-4ddb-8f31-0102f2a9a3dc"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ITEMS), ("GET", ITEM), ("POST", ITEMS), ("PATCH", ITEM), ("DELETE", ITEM)],
)
async def test_anonymous(anonymous: AsyncClient, method: str, path: str) -> None:
    body = CHANGES if method in {"POST", "PATCH"} else None
    response = await anonymous.request(method, path, json=body)

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["type"] == "urn:problem-type:not-authenticated"


async def test_other_users_item(
    app: FastAPI, client: AsyncClient, session: AsyncSession, settings: Settings
) -> None:
    item = await create_item(client)
    assert (await client.get(f"{ITEMS}/{item['id']}")).status_code == 200
    other = await create_user(session, email="eve@example.com")
    token = await access_token(session, other, settings)

    async with client_of(app, authorization=f"Bearer {token}") as eve:
        page = (await eve.get(ITEMS)).json()
        read = await eve.get(f"{ITEMS}/{item['id']}")
        updated = await eve.patch(f"{ITEMS}/{item['id']}", json=CHANGES)
        deleted = await eve.delete(f"{ITEMS}/{item['id']}")

    assert page["data"] == []
    # A 403 would reveal that the item exists.
    assert [r.status_code for r in (read, updated, deleted)] == [404, 404, 404]
    assert (await client.get(f"{ITEMS}/{item['id']}")).json() == item


async def test_other_users_idempotency_key(
    app: FastAPI, client: AsyncClient, session: AsyncSession, settings: Settings
) -> None:
    key = {"idempotency-key": "1"}
    mine = await client.post(ITEMS, json=await item_body(client), headers=key)
    other = await create_user(session, email="eve@example.com")
    token = await access_token(session, other, settings)

    async with client_of(app, authorization=f"Bearer {token}") as eve:
        theirs = await eve.post(ITEMS, json=await item_body(eve), headers=key)

    assert theirs.status_code == 201
    assert theirs.json()["id"] != mine.json()["id"]


async def test_deleted_user(client: AsyncClient, session: AsyncSession, user: User) -> None:
    await create_item(client)

    await session.delete(user)
    await session.flush()

    assert await session.scalar(select(func.count()).select_from(models.Item)) == 0
