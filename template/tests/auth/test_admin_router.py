from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import User
from app.config import Settings
from tests.auth.factories import PASSWORD, access_token, create_user, refresh, sign_in
from tests.conftest import client_of

USERS = "/api/v1/auth/users"


@pytest.fixture
async def admin(app: FastAPI, session: AsyncSession, settings: Settings) -> AsyncClient:
    user = await create_user(session, email="root@example.com", is_superuser=True)
    token = await access_token(session, user, settings)
    return client_of(app, authorization=f"Bearer {token}")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("GET", f"/{uuid4()}", None),
        ("PATCH", f"/{uuid4()}", {"is_active": True}),
    ],
    ids=["list", "read", "update"],
)
async def test_superusers_only(
    anonymous: AsyncClient, client: AsyncClient, method: str, path: str, body: object
) -> None:
    unauthenticated = await anonymous.request(method, USERS + path, json=body)
    user = await client.request(method, USERS + path, json=body)

    assert (unauthenticated.status_code, user.status_code) == (401, 403)
    assert user.json()["type"] == "urn:problem-type:superuser-required"


async def test_list(admin: AsyncClient, user: User) -> None:
    page = (await admin.get(USERS, params={"limit": 1})).json()
    rest = (await admin.get(USERS, params={"cursor": page["next_cursor"]})).json()

    emails = [account["email"] for account in page["data"] + rest["data"]]
    assert emails == [user.email, "root@example.com"]
    assert "password_hash" not in page["data"][0]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ADA", 1),
        ("@example", 2),
        ("%", 0),
        ("_", 0),
        ("' OR 1=1 --", 0),
        ('"; DROP TABLE users', 0),
    ],
)
async def test_search_special_characters(
    admin: AsyncClient, user: User, text: str, found: int
) -> None:
    response = await admin.get(USERS, params={"email": text})

    assert response.status_code == 200
    assert len(response.json()["data"]) == found


async def test_nul_in_search(admin: AsyncClient) -> None:
    assert (await admin.get(USERS, params={"email": "\x00"})).status_code == 422


async def test_read(admin: AsyncClient, user: User) -> None:
    account = (await admin.get(f"{USERS}/{user.id}")).json()

    assert (account["email"], account["is_active"]) == (user.email, True)


async def test_unknown_user(admin: AsyncClient) -> None:
    assert (await admin.get(f"{USERS}/{uuid4()}")).status_code == 404


async def test_deactivation_revokes_all_sessions(
    admin: AsyncClient, anonymous: AsyncClient, client: AsyncClient, user: User
) -> None:
    token = (await sign_in(anonymous, user.email)).json()["refresh_token"]

    deactivated = await admin.patch(f"{USERS}/{user.id}", json={"is_active": False})

    assert deactivated.json()["is_active"] is False
    assert (await client.get("/api/v1/auth/me")).status_code == 401
    assert (await refresh(anonymous, token)).status_code == 401
    assert (await sign_in(anonymous, user.email)).status_code == 401
    await admin.patch(f"{USERS}/{user.id}", json={"is_active": True})
    assert (await sign_in(anonymous, user.email)).status_code == 200


async def test_last_superuser(admin: AsyncClient, session: AsyncSession) -> None:
    me = (await admin.get("/api/v1/auth/me")).json()

    refused = await admin.patch(f"{USERS}/{me['id']}", json={"is_active": False})
    body = {"current_password": PASSWORD}
    deletion = await admin.request("DELETE", "/api/v1/auth/me", json=body)
    await create_user(session, email="second@example.com", is_superuser=True)
    accepted = await admin.patch(f"{USERS}/{me['id']}", json={"is_active": False})

    assert (refused.status_code, deletion.status_code, accepted.status_code) == (409, 409, 200)
    assert refused.json()["type"] == "urn:problem-type:last-superuser"


async def test_security_events(admin: AsyncClient, user: User, client: AsyncClient) -> None:
    await admin.patch(f"{USERS}/{user.id}", json={"is_active": False})

    page = (await admin.get(f"{USERS}/{user.id}/events")).json()

    assert [event["kind"] for event in page["data"]] == ["deactivated"]
    assert (await client.get(f"{USERS}/{user.id}/events")).status_code == 401
