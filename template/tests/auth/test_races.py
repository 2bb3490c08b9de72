"""Concurrent requests with transactions of their own."""

import asyncio

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from app.auth import passwords
from app.auth.models import User
from app.auth.tokens import MailToken, Purpose
from app.config import Settings
from tests.auth.factories import AUTH, bearer, refresh, sign_in


async def status_of_me(client: AsyncClient, access_token: str) -> int:
    return (await client.get(f"{AUTH}/me", headers=bearer(access_token))).status_code


@pytest.fixture(autouse=True)
def no_limits(app: FastAPI) -> None:
    app.state.rate_limiter = None


async def test_two_refreshes(committing: AsyncClient, committed_user: User) -> None:
    token = (await sign_in(committing, committed_user.email)).json()["refresh_token"]

    answers = await asyncio.gather(*(refresh(committing, token) for _ in range(8)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


@pytest.mark.parametrize("everywhere", [False, True])
async def test_refresh_and_sign_out(
    committing: AsyncClient, committed_user: User, everywhere: bool
) -> None:
    for _ in range(6):
        pair = (await sign_in(committing, committed_user.email)).json()
        if everywhere:
            header = bearer(pair["access_token"])
            sign_out = committing.post(f"{AUTH}/logout-everywhere", headers=header)
        else:
            body = {"refresh_token": pair["refresh_token"]}
            sign_out = committing.post(f"{AUTH}/logout", json=body)

        refreshed, _ = await asyncio.gather(refresh(committing, pair["refresh_token"]), sign_out)

        if refreshed.status_code == 200:
            successor = refreshed.json()
            assert (await refresh(committing, successor["refresh_token"])).status_code == 401
            assert await status_of_me(committing, successor["access_token"]) == 401


async def test_sign_in_and_change_of_password(
    committing: AsyncClient, committed_user: User
) -> None:
    both = ["correct horse battery", "a brand new secret"]
    for number in range(6):
        old, new = both[number % 2], both[(number + 1) % 2]
        pair = (await sign_in(committing, committed_user.email, old)).json()
        change = committing.put(
            f"{AUTH}/me/password",
            json={"current_password": old, "new_password": new},
            headers=bearer(pair["access_token"]),
        )

        *others, changed = await asyncio.gather(
            *(sign_in(committing, committed_user.email, old) for _ in range(4)), change
        )

        assert changed.status_code == 204
        for other in others:
            if other.status_code == 200:
                token = other.json()["refresh_token"]
                assert (await refresh(committing, token)).status_code == 401


async def test_sign_in_and_deletion(committing: AsyncClient, committed_user: User) -> None:
    pair = (await sign_in(committing, committed_user.email)).json()
    delete = committing.request(
        "DELETE",
        f"{AUTH}/me",
        json={"current_password": "correct horse battery"},
        headers=bearer(pair["access_token"]),
    )

    given = ["correct horse battery", "wrong password"] * 3
    *others, deleted = await asyncio.gather(
        *(sign_in(committing, committed_user.email, password) for password in given),
        delete,
    )

    assert deleted.status_code == 204
    assert {other.status_code for other in others} <= {200, 401}


async def test_deletion_with_the_old_password(
    committing: AsyncClient, committed_user: User
) -> None:
    stolen, own = [(await sign_in(committing, committed_user.email)).json() for _ in range(2)]
    old = {"current_password": "correct horse battery"}
    delete = committing.request(
        "DELETE", f"{AUTH}/me", json=old, headers=bearer(stolen["access_token"])
    )
    change = committing.put(
        f"{AUTH}/me/password",
        json=old | {"new_password": "a brand new secret"},
        headers=bearer(own["access_token"]),
    )

    changed, deleted = await asyncio.gather(change, delete)

    # Only one of them succeeds.
    assert {changed.status_code, deleted.status_code} & {401, 403}
    assert 204 in {changed.status_code, deleted.status_code}


async def test_two_resets_with_one_token(
    committing: AsyncClient, committed_user: User, settings: Settings
) -> None:
    token = MailToken.create(Purpose.RESET_PASSWORD, committed_user, settings.auth).encode()
    bodies = [{"token": token, "new_password": f"a brand new secret {n}"} for n in range(4)]

    url = f"{AUTH}/reset-password"
    answers = await asyncio.gather(*(committing.post(url, json=body) for body in bodies))

    assert sorted(answer.status_code for answer in answers) == [204, 400, 400, 400]


async def test_rehash(
    committing: AsyncClient,
    committed_user: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hasher = passwords.create_hasher(memory_kib=8, iterations=2)
    monkeypatch.setattr(passwords, "hasher", hasher)

    answers = await asyncio.gather(*(sign_in(committing, committed_user.email) for _ in range(6)))

    assert {answer.status_code for answer in answers} == {200}
