import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import SecurityEvent, User
from tests.auth.factories import AUTH, PASSWORD, refresh, sign_in
from tests.auth.fixtures import Outbox


async def test_account_limit_applies_to_the_correct_password(
    anonymous: AsyncClient, user: User
) -> None:
    wrong = [(await sign_in(anonymous, user.email, "wrong")).status_code for _ in range(10)]
    right = await sign_in(anonymous, user.email.upper())
    other = await sign_in(anonymous, "other@example.com")

    assert wrong == [401] * 10
    assert right.status_code == 429
    assert right.json()["type"] == "urn:problem-type:too-many-requests"
    assert 0 < int(right.headers["retry-after"]) <= 60
    assert other.status_code == 401


async def test_address_limit_applies_to_all_accounts(anonymous: AsyncClient) -> None:
    tries = [
        (await sign_in(anonymous, f"{number}@example.com")).status_code for number in range(31)
    ]

    assert tries == [401] * 30 + [429]


@pytest.mark.usefixtures("user")
async def test_emails_to_one_address(anonymous: AsyncClient, outbox: Outbox) -> None:
    body = {"email": "ada@example.com"}
    codes = [
        (await anonymous.post(f"{AUTH}/forgot-password", json=body)).status_code for _ in range(6)
    ]

    # The response does not tell that further emails are not sent.
    assert codes == [202] * 6
    assert len(outbox) == 5


async def test_registrations_of_one_address(anonymous: AsyncClient, outbox: Outbox) -> None:
    body = {"email": "grace@example.com", "password": "correct horse battery"}

    for _ in range(8):
        assert (await anonymous.post(f"{AUTH}/register", json=body)).status_code == 202

    assert len(outbox) == 5


@pytest.mark.parametrize(
    ("before", "now"), [("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::2")]
)
async def test_known_address_is_not_locked_out(
    app: FastAPI, session: AsyncSession, user: User, before: str, now: str
) -> None:
    def client(address: str) -> AsyncClient:
        transport = ASGITransport(app, client=(address, 1))
        return AsyncClient(transport=transport, base_url="http://test")

    async with client(before) as owner:
        assert (await sign_in(owner, user.email)).status_code == 200
    async with client("203.0.113.99") as attacker:
        guesses = [(await sign_in(attacker, user.email, "wrong")).status_code for _ in range(11)]
    async with client(now) as owner:
        again = await sign_in(owner, user.email)

    assert (guesses[0], guesses[-1], again.status_code) == (401, 429, 200)


async def test_names_that_look_like_a_known_address(
    app: FastAPI, anonymous: AsyncClient, session: AsyncSession, user: User
) -> None:
    assert (await sign_in(anonymous, user.email)).status_code == 200
    network = await session.scalar(select(SecurityEvent.network))
    for _ in range(10):
        await sign_in(anonymous, f"{user.email} {network}", "wrong")
        await sign_in(anonymous, f"known {user.email} {network}", "wrong")

    assert (await sign_in(anonymous, user.email)).status_code == 200


async def test_weak_passwords_do_not_use_up_emails(anonymous: AsyncClient, outbox: Outbox) -> None:
    body = {"email": "grace@example.com", "password": "password"}
    for _ in range(6):
        assert (await anonymous.post(f"{AUTH}/register", json=body)).status_code == 422

    await anonymous.post(f"{AUTH}/register", json=body | {"password": PASSWORD})

    assert outbox.to("grace@example.com")


async def test_emails_do_not_block_the_owner(
    client: AsyncClient, anonymous: AsyncClient, outbox: Outbox
) -> None:
    for _ in range(6):
        await anonymous.post(f"{AUTH}/forgot-password", json={"email": "ada@example.com"})
    body = {"email": "countess@example.com", "current_password": PASSWORD}

    assert (await client.patch(f"{AUTH}/me", json=body)).status_code == 202
    assert outbox.to("countess@example.com")


@pytest.mark.usefixtures("user")
async def test_one_kind_of_email_does_not_use_up_another(
    anonymous: AsyncClient, outbox: Outbox
) -> None:
    body = {"email": "ada@example.com"}
    for _ in range(6):
        await anonymous.post(f"{AUTH}/verify-email/request", json=body)
    outbox.clear()

    await anonymous.post(f"{AUTH}/forgot-password", json=body)

    assert outbox.to("ada@example.com")["Subject"] == "Reset your password"


@pytest.mark.parametrize("name", ["x" * 300, "ada\x00@example.com", "ä" * 200])
async def test_unusual_names(anonymous: AsyncClient, name: str) -> None:
    assert (await sign_in(anonymous, name)).status_code in {401, 422}


async def test_refresh_and_register(anonymous: AsyncClient) -> None:
    refreshes = [(await refresh(anonymous, "x")).status_code for _ in range(61)]
    body = {"email": "grace@example.com", "password": PASSWORD}
    registers = [
        (await anonymous.post(f"{AUTH}/register", json=body)).status_code for _ in range(21)
    ]

    assert refreshes[-2:] == [401, 429]
    assert registers[-2:] == [202, 429]


async def test_disabled(app: FastAPI, anonymous: AsyncClient) -> None:
    app.state.rate_limiter = None

    body = {"email": "ada@example.com"}
    codes = [
        (await anonymous.post(f"{AUTH}/forgot-password", json=body)).status_code for _ in range(10)
    ]

    assert codes == [202] * 10
