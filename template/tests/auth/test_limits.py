import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from app.auth.models import User
from tests.auth.conftest import Outbox
from tests.auth.factories import AUTH, refresh, sign_in


async def test_of_an_account_hold_for_the_right_password_too(
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


async def test_of_an_address_hold_for_all_accounts(anonymous: AsyncClient) -> None:
    tries = [
        (await sign_in(anonymous, f"{number}@example.com")).status_code for number in range(31)
    ]

    assert tries == [401] * 30 + [429]


@pytest.mark.usefixtures("user")
async def test_of_mails_to_one_address(anonymous: AsyncClient, outbox: Outbox) -> None:
    body = {"email": "ada@example.com"}
    codes = [
        (await anonymous.post(f"{AUTH}/forgot-password", json=body)).status_code for _ in range(6)
    ]

    assert codes == [202] * 5 + [429]
    assert len(outbox) == 5


async def test_of_refreshing_and_registering(anonymous: AsyncClient) -> None:
    refreshes = [(await refresh(anonymous, "x")).status_code for _ in range(61)]
    body = {"email": "grace@example.com", "password": "x" * 8}
    registers = [
        (await anonymous.post(f"{AUTH}/register", json=body)).status_code for _ in range(21)
    ]

    assert refreshes[-2:] == [401, 429]
    assert registers[-2:] == [202, 429]


async def test_can_be_switched_off(app: FastAPI, anonymous: AsyncClient) -> None:
    app.state.rate_limiter = None

    body = {"email": "ada@example.com"}
    codes = [
        (await anonymous.post(f"{AUTH}/forgot-password", json=body)).status_code for _ in range(10)
    ]

    assert codes == [202] * 10
