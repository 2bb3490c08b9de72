from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import Session, User
from tests.auth.factories import AUTH, bearer, create_session, create_user, refresh, sign_in


async def only_session(session: AsyncSession) -> Session:
    return (await session.scalars(select(Session))).one()


async def status_of_me(client: AsyncClient, access_token: str) -> int:
    return (await client.get(f"{AUTH}/me", headers=bearer(access_token))).status_code


class TestRefresh:
    async def test_success(self, anonymous: AsyncClient, user: User) -> None:
        first = (await sign_in(anonymous, user.email)).json()

        second = await refresh(anonymous, first["refresh_token"])
        third = await refresh(anonymous, second.json()["refresh_token"])

        assert (second.status_code, third.status_code) == (200, 200)
        me = await anonymous.get(f"{AUTH}/me", headers=bearer(third.json()["access_token"]))
        assert me.json()["email"] == user.email
        tokens = {pair["refresh_token"] for pair in (first, second.json(), third.json())}
        assert len(tokens) == 3

    async def test_same_successor_for_some_seconds(
        self, anonymous: AsyncClient, user: User
    ) -> None:
        # Two tabs refresh at the same time, or a response gets lost.
        token = (await sign_in(anonymous, user.email)).json()["refresh_token"]

        first, second = [await refresh(anonymous, token) for _ in range(2)]

        assert first.json()["refresh_token"] == second.json()["refresh_token"]
        assert (await refresh(anonymous, second.json()["refresh_token"])).status_code == 200

    async def test_reuse_revokes_the_session(
        self, anonymous: AsyncClient, session: AsyncSession, user: User
    ) -> None:
        stolen = (await sign_in(anonymous, user.email)).json()["refresh_token"]
        newest = (await refresh(anonymous, stolen)).json()
        row = await only_session(session)
        row.refreshed_at -= timedelta(minutes=1)
        await session.commit()
        other = (await sign_in(anonymous, user.email)).json()["refresh_token"]

        assert (await refresh(anonymous, stolen)).status_code == 401
        assert (await refresh(anonymous, newest["refresh_token"])).status_code == 401
        assert await status_of_me(anonymous, newest["access_token"]) == 401
        assert (await refresh(anonymous, other)).status_code == 200

    async def test_older_token_revokes_at_once(self, anonymous: AsyncClient, user: User) -> None:
        first = (await sign_in(anonymous, user.email)).json()["refresh_token"]
        second = (await refresh(anonymous, first)).json()["refresh_token"]
        third = (await refresh(anonymous, second)).json()["refresh_token"]

        assert (await refresh(anonymous, first)).status_code == 401
        assert (await refresh(anonymous, third)).status_code == 401

    @pytest.mark.parametrize("token", ["", "nonsense", "x" * 2_000, "\x00", "ä" * 70])
    async def test_malformed(self, anonymous: AsyncClient, token: str) -> None:
        assert (await refresh(anonymous, token)).status_code == 401

    async def test_forged(self, anonymous: AsyncClient, session: AsyncSession, user: User) -> None:
        token = (await sign_in(anonymous, user.email)).json()["refresh_token"]
        other = (await sign_in(anonymous, user.email)).json()["refresh_token"]

        # The ID of one session, with the signature of another one.
        assert (await refresh(anonymous, token[:24] + other[24:])).status_code == 401
        assert (await refresh(anonymous, token)).status_code == 200

    @pytest.mark.parametrize("field", ["expires_at", "refreshed_at"])
    async def test_expired(
        self, anonymous: AsyncClient, session: AsyncSession, user: User, field: str
    ) -> None:
        token = (await sign_in(anonymous, user.email)).json()["refresh_token"]
        row = await only_session(session)
        setattr(row, field, datetime.now(UTC) - timedelta(days=31))
        await session.commit()

        assert (await refresh(anonymous, token)).status_code == 401

    async def test_not_stored(
        self, anonymous: AsyncClient, session: AsyncSession, user: User
    ) -> None:
        token = (await sign_in(anonymous, user.email)).json()["refresh_token"]

        assert token not in str(vars(await only_session(session)))

    async def test_expired_sessions_are_deleted_on_sign_in(
        self, anonymous: AsyncClient, session: AsyncSession, user: User
    ) -> None:
        expired = await create_session(session, user)
        expired.expires_at = datetime.now(UTC) - timedelta(days=1)
        await session.commit()

        await sign_in(anonymous, user.email)

        assert (await only_session(session)).id != expired.id


class TestSignOut:
    async def test_revokes_this_session(self, anonymous: AsyncClient, user: User) -> None:
        mine, other = [(await sign_in(anonymous, user.email)).json() for _ in range(2)]

        body = {"refresh_token": mine["refresh_token"]}
        response = await anonymous.post(f"{AUTH}/logout", json=body)

        assert response.status_code == 204
        assert await status_of_me(anonymous, mine["access_token"]) == 401
        assert (await refresh(anonymous, mine["refresh_token"])).status_code == 401
        assert (await refresh(anonymous, other["refresh_token"])).status_code == 200

    async def test_unknown_token(self, anonymous: AsyncClient) -> None:
        response = await anonymous.post(f"{AUTH}/logout", json={"refresh_token": "nonsense"})

        assert response.status_code == 204

    async def test_everywhere(self, anonymous: AsyncClient, user: User) -> None:
        pairs = [(await sign_in(anonymous, user.email)).json() for _ in range(2)]

        header = bearer(pairs[0]["access_token"])
        response = await anonymous.post(f"{AUTH}/logout-everywhere", headers=header)

        assert response.status_code == 204
        for pair in pairs:
            assert await status_of_me(anonymous, pair["access_token"]) == 401
            assert (await refresh(anonymous, pair["refresh_token"])).status_code == 401


class TestSessions:
    async def test_list(self, anonymous: AsyncClient, user: User) -> None:
        agents = ["Firefox", "curl/8.14"]
        pairs = []
        for agent in agents:
            anonymous.headers["user-agent"] = agent
            pairs.append((await sign_in(anonymous, user.email)).json())

        response = await anonymous.get(f"{AUTH}/sessions", headers=bearer(pairs[0]["access_token"]))

        found = [(row["user_agent"], row["is_current"]) for row in response.json()]
        assert found == [("curl/8.14", False), ("Firefox", True)]
        assert "secret" not in response.text

    async def test_revoke(self, client: AsyncClient, anonymous: AsyncClient, user: User) -> None:
        pair = (await sign_in(anonymous, user.email)).json()
        sessions = (await client.get(f"{AUTH}/sessions")).json()
        [other] = [row["id"] for row in sessions if not row["is_current"]]

        first, again = [await client.delete(f"{AUTH}/sessions/{other}") for _ in range(2)]

        assert (first.status_code, again.status_code) == (204, 404)
        assert await status_of_me(anonymous, pair["access_token"]) == 401
        assert (await client.get(f"{AUTH}/me")).status_code == 200

    async def test_session_of_another_user(
        self, client: AsyncClient, session: AsyncSession
    ) -> None:
        grace = await create_user(session, email="grace@example.com")
        other = await create_session(session, grace)

        for session_id in (other.id, uuid4()):
            response = await client.delete(f"{AUTH}/sessions/{session_id}")
            assert response.status_code == 404


async def test_security_events(client: AsyncClient, anonymous: AsyncClient, user: User) -> None:
    await sign_in(anonymous, user.email, "wrong password")
    pair = (await sign_in(anonymous, user.email)).json()
    await anonymous.post(f"{AUTH}/logout", json={"refresh_token": pair["refresh_token"]})

    page = (await client.get(f"{AUTH}/events")).json()

    assert [event["kind"] for event in page["data"]] == [
        "signed_out",
        "signed_in",
        "sign_in_failed",
    ]
    assert page["data"][0]["address"] == "127.0.0.1"
