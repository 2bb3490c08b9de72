import pytest
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import User
from app.config import Settings
from tests.auth.factories import AUTH, PASSWORD, bearer, same, sign_in
from tests.auth.fixtures import Outbox


async def register(client: AsyncClient, **body: object) -> int:
    given = {"email": "grace@example.com", "password": PASSWORD} | body
    return (await client.post(f"{AUTH}/register", json=given)).status_code


async def test_register_verify_and_sign_in(
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


async def test_long_address_is_not_parsed(anonymous: AsyncClient) -> None:
    # To normalize a megabyte of these letters takes minutes.
    email = "\N{COMBINING ACUTE ACCENT}\N{COMBINING GRAVE ACCENT BELOW}" * 200 + "@example.com"

    response = await anonymous.post(f"{AUTH}/forgot-password", json={"email": email})

    assert response.status_code == 422
    assert response.json()["errors"][0]["code"] == "string_too_long"


@pytest.mark.parametrize("email", ["ada@example.com", "ADA@example.com"])
async def test_existing_account_is_revealed_by_email_only(
    anonymous: AsyncClient, session: AsyncSession, user: User, outbox: Outbox, email: str
) -> None:
    old_hash = user.password_hash

    taken = await anonymous.post(f"{AUTH}/register", json={"email": email, "password": PASSWORD})
    free = await anonymous.post(
        f"{AUTH}/register", json={"email": "grace@example.com", "password": PASSWORD}
    )

    assert same(taken, free)
    assert outbox.to("ada@example.com")["Subject"] == "You already have an account"
    await session.refresh(user)
    assert user.password_hash == old_hash
    assert len((await session.scalars(select(User))).all()) == 2


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"email": "nobody"}, "/email"),
        ({"email": "a\x00b@example.com"}, "/email"),
        ({"email": "\uff21da@example.com"}, "/email"),
        ({"email": "eve\uff20evil.example.net\uff0cceo@corp.example.com"}, "/email"),
        ({"email": "a@example.com, b@example.com"}, "/email"),
        ({"password": "password"}, "/password"),
        ({"password": "PassWord"}, "/password"),
        ({"password": "12345678"}, "/password"),
        ({"password": " " * 8}, "/password"),
        ({"password": "abababab"}, "/password"),
        ({"password": "grace@example.com"}, "/password"),
        ({"email": "grace.hopper@example.com", "password": "GraceHopper1!"}, "/password"),
        ({"email": "a" * 300 + "@example.com"}, "/email"),
        ({"password": "short"}, "/password"),
        ({"password": "x" * 500_000}, "/password"),
        ({"is_superuser": True}, "/is_superuser"),
        ({"is_active": False}, "/is_active"),
        ({"email_verified_at": "2026-01-01T00:00:00Z"}, "/email_verified_at"),
    ],
)
async def test_invalid_field(
    anonymous: AsyncClient, change: dict[str, object], pointer: str
) -> None:
    body = {"email": "grace@example.com", "password": PASSWORD} | change

    response = await anonymous.post(f"{AUTH}/register", json=body)

    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
    assert "x" * 100 not in response.text


async def test_internationalized_domain(anonymous: AsyncClient, outbox: Outbox) -> None:
    assert await register(anonymous, email="ada@faß.de") == 202

    # Not fass.de, which has another owner.
    assert [message["To"] for message in outbox] == ["ada@xn--fa-hia.de"]


async def test_huge_password(anonymous: AsyncClient) -> None:
    assert await register(anonymous, password="x" * 1_048_576) == 413


async def test_password_with_any_characters(anonymous: AsyncClient) -> None:
    password = "\x00 Grüße \U0001f600"

    assert await register(anonymous, password=password) == 202
    assert (await sign_in(anonymous, "grace@example.com", password)).status_code == 200


async def test_no_secret_in_the_log(
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

    assert "sign_in_failed" in printed
    secrets = [
        password,
        pair["access_token"],
        pair["refresh_token"],
        user.password_hash,
        outbox.token_to("grace@example.com"),
    ]
    assert [secret for secret in secrets if secret in printed] == []
