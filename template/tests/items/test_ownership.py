import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.tokens import create_access_token
from app.config import Settings
from tests.auth.factories import create_user
from tests.conftest import client_of
from tests.items.factories import CHANGE, create_item

ITEMS = "/api/v1/items"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ITEMS),
        ("POST", ITEMS),
        ("GET", f"{ITEMS}/370f3d98-7397-4ddb-8f31-0102f2a9a3dc"),
        ("PATCH", f"{ITEMS}/370f3d98-7397-4ddb-8f31-0102f2a9a3dc"),
        ("DELETE", f"{ITEMS}/370f3d98-7397-4ddb-8f31-0102f2a9a3dc"),
    ],
)
async def test_anonymous(anonymous: AsyncClient, method: str, path: str) -> None:
    body = CHANGE if method in {"POST", "PATCH"} else None
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
    token = create_access_token(other, settings.auth)

    async with client_of(app, authorization=f"Bearer {token}") as eve:
        page = (await eve.get(ITEMS)).json()
        read = await eve.get(f"{ITEMS}/{item['id']}")
        changed = await eve.patch(f"{ITEMS}/{item['id']}", json=CHANGE)
        deleted = await eve.delete(f"{ITEMS}/{item['id']}")

    assert page["data"] == []
    # 404 and not 403, which would tell that there is one.
    assert [r.status_code for r in (read, changed, deleted)] == [404, 404, 404]
    assert (await client.get(f"{ITEMS}/{item['id']}")).json() == item
