import pytest
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import User
from app.config import Settings
from tests.auth.conftest import Outbox
from tests.auth.factories import AUTH, PASSWORD, bearer, same, sign_in


async def register(client: AsyncClient, **body: object) -> int:
    given = {"email": "grace@example.com", "password": PASSWORD} | body
    return (await client.post(f"{AUTH}/register", json=given)).status_code


async def test_then_confirm_then_sign_in(
    anonymous: AsyncClient, outbox: Outbox, settings: Settings
) -> None:
    assert await register(anonymous, email="Grace@Example.com") == 202
    token = outbox.token_to("grace@example.com")
    confirmed = await anonymous.post(f"{AUTH}/verify-email/confirm", json={"token": token})
    pair = (await sign_in(anonymous, "grace@example.COM")).json()
    me = await anonymous.get(f"{AUTH}/me", headers=bearer(pair["access_token"]))

    assert confirmed.status_code == 204
    assert pair["token_type"] == "bearer"
    assert pair["expires_in"] == settings.auth.access_token_minutes * 60
    assert (
        me.json().items()
        >= {
            "email": "grace@example.com",
            "email_verified": True,
            "is_superuser": False,
        }.items()
    )


@pytest.mark.parametrize("email", ["ada@example.com", "ADA@example.com", "\uff21da@example.com"])
async def test_address_that_is_taken_is_told_by_mail_alone(
    anonymous: AsyncClient, session: AsyncSession, user: User, outbox: Outbox, email: str
) -> None:
    old_hash = user.password_hash

    taken = await anonymous.post(f"{AUTH}/register", json={"email": email, "password": "x" * 8})
    free = await anonymous.post(
        f"{AUTH}/register", json={"email": "grace@example.com", "password": "x" * 8}
    )

    assert same(taken, free)
    assert outbox.to("ada@example.com")["Subject"] == "You have an account already"
    await session.refresh(user)
    assert user.password_hash == old_hash
    assert len((await session.scalars(select(User))).all()) == 2


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"email": "nobody"}, "/email"),
        ({"email": "a\x00b@example.com"}, "/email"),
        ({"email": "a" * 300 + "@example.com"}, "/email"),
        ({"password": "short"}, "/password"),
        ({"password": "x" * 500_000}, "/password"),
        ({"is_superuser": True}, "/is_superuser"),
        ({"is_active": False}, "/is_active"),
        ({"token_version": 7}, "/token_version"),
    ],
)
async def test_refuses(anonymous: AsyncClient, change: dict[str, object], pointer: str) -> None:
    body = {"email": "grace@example.com", "password": PASSWORD} | change

    response = await anonymous.post(f"{AUTH}/register", json=body)

    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
    assert "x" * 100 not in response.text


async def test_one_megabyte_of_password_is_too_large_a_body(anonymous: AsyncClient) -> None:
    assert await register(anonymous, password="x" * 1_048_576) == 413


async def test_password_may_have_any_character(anonymous: AsyncClient) -> None:
    password = "\x00 Grüße \U0001f600"

    assert await register(anonymous, password=password) == 202
    assert (await sign_in(anonymous, "grace@example.com", password)).status_code == 200


async def test_secrets_are_in_no_log_line(
    anonymous: AsyncClient,
    session: AsyncSession,
    outbox: Outbox,
    capsys: pytest.CaptureFixture[str],
) -> None:
    password = "a very secret phrase"
    await register(anonymous, password=password)
    pair = (await sign_in(anonymous, "grace@example.com", password)).json()
    await sign_in(anonymous, "grace@example.com", password + "!")
    await anonymous.get(f"{AUTH}/me", headers=bearer(pair["access_token"]))
    await anonymous.post(f"{AUTH}/refresh", json={"refresh_token": pair["refresh_token"]})
    await anonymous.post(f"{AUTH}/refresh", json={"refresh_token": pair["refresh_token"]})
    user = await session.scalar(select(User))
    assert user

    printed = capsys.readouterr().out

    assert "refresh token came back" in printed
    secrets = [
        password,
        pair["access_token"],
        pair["refresh_token"],
        user.password_hash,
        outbox.token_to("grace@example.com"),
    ]
    assert [secret for secret in secrets if secret in printed] == []
