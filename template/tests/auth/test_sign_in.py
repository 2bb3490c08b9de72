import asyncio
import threading
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import passwords
from app.auth.constants import ALGORITHM
from app.auth.models import RefreshToken, User
from app.auth.tokens import Purpose, create_mail_token
from app.config import Settings
from tests.auth.factories import AUTH, PASSWORD, bearer, create_user, refresh, same, sign_in


class TestToken:
    async def test_no_difference_between_wrong_unknown_and_deactivated(
        self, anonymous: AsyncClient, session: AsyncSession, user: User
    ) -> None:
        await create_user(session, email="gone@example.com", is_active=False)

        wrong = await sign_in(anonymous, user.email, "wrong password")
        unknown = await sign_in(anonymous, "nobody@example.com")
        odd = await sign_in(anonymous, "nobody\x00@example.com")
        deactivated = await sign_in(anonymous, "gone@example.com")

        assert same(wrong, unknown, odd, deactivated)
        assert wrong.status_code == 401
        assert wrong.headers["www-authenticate"] == "Bearer"

    async def test_unknown_user_is_hashed_for_all_the_same(
        self, anonymous: AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        compared: list[str] = []
        verify = passwords.hasher.verify_and_update

        def noting(password: str, password_hash: str) -> tuple[bool, str | None]:
            compared.append(password_hash)
            return verify(password, password_hash)

        monkeypatch.setattr(passwords.hasher, "verify_and_update", noting)

        await sign_in(anonymous, "nobody@example.com")

        assert len(compared) == 1

    async def test_nobody_may_store_the_answer(self, anonymous: AsyncClient, user: User) -> None:
        response = await sign_in(anonymous, user.email)

        assert response.headers["cache-control"] == "no-store"

    async def test_hashes_anew_when_the_parameters_changed(
        self,
        anonymous: AsyncClient,
        session: AsyncSession,
        user: User,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        old = user.password_hash
        monkeypatch.setattr(passwords, "hasher", passwords.make_hasher(iterations=3))

        assert (await sign_in(anonymous, user.email)).status_code == 200

        await session.refresh(user)
        assert user.password_hash != old
        assert "t=3" in user.password_hash

    @pytest.mark.parametrize(("verified", "status"), [(False, 403), (True, 200)])
    async def test_confirmed_addresses_alone_when_it_is_asked_for(
        self,
        app: FastAPI,
        anonymous: AsyncClient,
        session: AsyncSession,
        settings: Settings,
        verified: bool,
        status: int,
    ) -> None:
        strict = settings.auth.model_copy(update={"require_verified_email": True})
        app.state.settings = settings.model_copy(update={"auth": strict})
        confirmed = datetime.now(UTC) if verified else None
        await create_user(session, email_verified_at=confirmed)

        assert (await sign_in(anonymous, "ada@example.com")).status_code == status
        assert (await sign_in(anonymous, "ada@example.com", "wrong")).status_code == 401


class TestAccessToken:
    @pytest.mark.parametrize(
        "header", ["", "Bearer", "Bearer nonsense", "Basic YWRhOnB3", "Bearer a.b.c"]
    )
    async def test_none(self, anonymous: AsyncClient, header: str) -> None:
        response = await anonymous.get(f"{AUTH}/me", headers={"authorization": header})

        assert response.status_code == 401
        assert response.json()["type"] == "urn:problem-type:not-authenticated"

    @pytest.mark.parametrize(
        ("claims", "key", "algorithm"),
        [
            ({"exp": 1}, None, ALGORITHM),
            ({"nbf": 4_000_000_000}, None, ALGORITHM),
            ({"iat": 4_000_000_000}, None, ALGORITHM),
            ({"aud": "somebody-else"}, None, ALGORITHM),
            ({"aud": Purpose.RESET_PASSWORD.audience}, None, ALGORITHM),
            ({"iss": "somebody-else"}, None, ALGORITHM),
            ({"sub": "not-an-id"}, None, ALGORITHM),
            ({"sub": None}, None, ALGORITHM),
            ({"exp": None}, None, ALGORITHM),
            ({"ver": 1}, None, ALGORITHM),
            ({"ver": None}, None, ALGORITHM),
            ({}, "another key that is also long enough", ALGORITHM),
            ({}, None, "HS512"),
            ({}, "", "none"),
        ],
    )
    async def test_forged(
        self,
        anonymous: AsyncClient,
        client: AsyncClient,
        settings: Settings,
        claims: dict[str, object],
        key: str | None,
        algorithm: str,
    ) -> None:
        genuine = client.headers["authorization"].removeprefix("Bearer ")
        known = jwt.decode(genuine, options={"verify_signature": False})
        forged = {k: v for k, v in (known | claims).items() if v is not None}
        secret = settings.auth.secret_key.get_secret_value() if key is None else key
        if algorithm == "HS512":  # the same key, were it long enough
            secret = secret.ljust(64, "\0")
        token = jwt.encode(forged, secret, algorithm)

        assert (await client.get(f"{AUTH}/me")).status_code == 200
        assert (await anonymous.get(f"{AUTH}/me", headers=bearer(token))).status_code == 401

    async def test_tampered_with(self, anonymous: AsyncClient, client: AsyncClient) -> None:
        head, body, signature = client.headers["authorization"].removeprefix("Bearer ").split(".")
        changed = signature[:-4] + ("AAAA" if signature[-4:] != "AAAA" else "BBBB")

        for token in (f"{head}.{body}.{changed}", f"{head}.{body}.", f"{head}.{body}"):
            assert (await anonymous.get(f"{AUTH}/me", headers=bearer(token))).status_code == 401

    async def test_of_other_kinds_is_none(
        self, anonymous: AsyncClient, user: User, settings: Settings
    ) -> None:
        pair = (await sign_in(anonymous, user.email)).json()
        others = [
            pair["refresh_token"],
            create_mail_token(Purpose.VERIFY_EMAIL, user, settings.auth),
            create_mail_token(Purpose.RESET_PASSWORD, user, settings.auth),
        ]

        for token in others:
            assert (await anonymous.get(f"{AUTH}/me", headers=bearer(token))).status_code == 401
        assert (await refresh(anonymous, pair["access_token"])).status_code == 401

    async def test_of_a_deactivated_user(
        self, client: AsyncClient, session: AsyncSession, user: User
    ) -> None:
        user.is_active = False
        await session.commit()

        assert (await client.get(f"{AUTH}/me")).status_code == 401

    async def test_of_a_deleted_user(
        self, client: AsyncClient, session: AsyncSession, user: User
    ) -> None:
        await session.delete(user)
        await session.commit()

        assert (await client.get(f"{AUTH}/me")).status_code == 401


class TestRefresh:
    async def test_gets_the_next_pair(self, anonymous: AsyncClient, user: User) -> None:
        first = (await sign_in(anonymous, user.email)).json()

        second = await refresh(anonymous, first["refresh_token"])
        third = await refresh(anonymous, second.json()["refresh_token"])

        assert (second.status_code, third.status_code) == (200, 200)
        me = await anonymous.get(f"{AUTH}/me", headers=bearer(third.json()["access_token"]))
        assert me.json()["email"] == user.email
        tokens = {pair["refresh_token"] for pair in (first, second.json(), third.json())}
        assert len(tokens) == 3

    async def test_second_use_ends_the_sign_in(self, anonymous: AsyncClient, user: User) -> None:
        stolen = (await sign_in(anonymous, user.email)).json()["refresh_token"]
        other = (await sign_in(anonymous, user.email)).json()["refresh_token"]
        newest = (await refresh(anonymous, stolen)).json()["refresh_token"]

        assert (await refresh(anonymous, stolen)).status_code == 401
        assert (await refresh(anonymous, newest)).status_code == 401
        assert (await refresh(anonymous, other)).status_code == 200

    async def test_two_at_once(self, committing: AsyncClient, committed_user: User) -> None:
        token = (await sign_in(committing, committed_user.email)).json()["refresh_token"]

        answers = await asyncio.gather(*(refresh(committing, token) for _ in range(2)))

        assert sorted(answer.status_code for answer in answers) == [200, 401]
        (winner,) = [answer.json() for answer in answers if answer.status_code == 200]
        assert (await refresh(committing, winner["refresh_token"])).status_code == 401

    @pytest.mark.parametrize("token", ["", "nonsense", "x" * 2_000, "\x00"])
    async def test_something_else(self, anonymous: AsyncClient, token: str) -> None:
        assert (await refresh(anonymous, token)).status_code == 401

    async def test_expired(self, anonymous: AsyncClient, session: AsyncSession, user: User) -> None:
        token = (await sign_in(anonymous, user.email)).json()["refresh_token"]
        row = (await session.scalars(select(RefreshToken))).one()
        row.expires_at = datetime.now(UTC) - timedelta(seconds=1)
        await session.commit()

        assert (await refresh(anonymous, token)).status_code == 401

    async def test_deactivated_user(
        self, anonymous: AsyncClient, session: AsyncSession, user: User
    ) -> None:
        token = (await sign_in(anonymous, user.email)).json()["refresh_token"]
        user.is_active = False
        await session.commit()

        assert (await refresh(anonymous, token)).status_code == 401

    async def test_is_stored_hashed(
        self, anonymous: AsyncClient, session: AsyncSession, user: User
    ) -> None:
        token = (await sign_in(anonymous, user.email)).json()["refresh_token"]

        row = (await session.scalars(select(RefreshToken))).one()

        assert token not in str(vars(row))

    async def test_expired_ones_are_swept_out_at_the_next_sign_in(
        self, anonymous: AsyncClient, session: AsyncSession, user: User
    ) -> None:
        await sign_in(anonymous, user.email)
        row = (await session.scalars(select(RefreshToken))).one()
        row.expires_at = datetime.now(UTC) - timedelta(days=1)
        await session.commit()

        await sign_in(anonymous, user.email)

        assert len((await session.scalars(select(RefreshToken.id))).all()) == 1


class TestLogout:
    async def test_ends_this_sign_in(self, anonymous: AsyncClient, user: User) -> None:
        mine, other = [(await sign_in(anonymous, user.email)).json() for _ in range(2)]

        body = {"refresh_token": mine["refresh_token"]}
        response = await anonymous.post(f"{AUTH}/logout", json=body)

        assert response.status_code == 204
        assert (await refresh(anonymous, mine["refresh_token"])).status_code == 401
        assert (await refresh(anonymous, other["refresh_token"])).status_code == 200

    async def test_unknown_token(self, anonymous: AsyncClient) -> None:
        response = await anonymous.post(f"{AUTH}/logout", json={"refresh_token": "nonsense"})

        assert response.status_code == 204

    async def test_everywhere_is_at_once(self, anonymous: AsyncClient, user: User) -> None:
        pairs = [(await sign_in(anonymous, user.email)).json() for _ in range(2)]

        header = bearer(pairs[0]["access_token"])
        response = await anonymous.post(f"{AUTH}/logout-everywhere", headers=header)

        assert response.status_code == 204
        for pair in pairs:
            me = await anonymous.get(f"{AUTH}/me", headers=bearer(pair["access_token"]))
            assert me.status_code == 401
            assert (await refresh(anonymous, pair["refresh_token"])).status_code == 401


async def test_hashing_leaves_the_event_loop_free(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(passwords.hasher, "hash", lambda _: str(release.wait(timeout=10)))

    hashing = asyncio.create_task(passwords.hash_password(PASSWORD))
    await asyncio.sleep(0.01)  # would not return while the loop is blocked
    assert not hashing.done()
    release.set()

    assert await hashing == "True"
