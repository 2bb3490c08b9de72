import asyncio
import threading

import jwt
import pytest
from httpx2 import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import passwords
from app.auth.constants import ALGORITHM
from app.auth.models import User
from app.config import Settings
from tests.auth.factories import PASSWORD, create_user

AUTH = "/api/v1/auth"


async def sign_in(client: AsyncClient, email: str, password: str = PASSWORD) -> Response:
    return await client.post(f"{AUTH}/token", data={"username": email, "password": password})


class TestRegister:
    async def test_then_sign_in(self, anonymous: AsyncClient) -> None:
        body = {"email": "Grace@Example.com", "password": PASSWORD}

        registered = await anonymous.post(f"{AUTH}/register", json=body)
        token = (await sign_in(anonymous, "grace@example.COM")).json()
        me = await anonymous.get(
            f"{AUTH}/me", headers={"authorization": f"Bearer {token['access_token']}"}
        )

        assert registered.status_code == 201
        assert registered.json()["email"] == "grace@example.com"
        assert registered.json()["is_superuser"] is False
        assert token["token_type"] == "bearer"
        assert token["expires_in"] == 30 * 60
        assert me.json() == registered.json()

    @pytest.mark.parametrize(
        "email", ["ada@example.com", "ADA@example.com", "\uff21da@example.com"]
    )
    @pytest.mark.usefixtures("user")
    async def test_address_that_is_taken(self, anonymous: AsyncClient, email: str) -> None:
        response = await anonymous.post(
            f"{AUTH}/register", json={"email": email, "password": PASSWORD}
        )

        assert response.status_code == 409
        assert response.json()["type"] == "urn:problem-type:email-taken"

    @pytest.mark.parametrize(
        ("change", "pointer"),
        [
            ({"email": "nobody"}, "/email"),
            ({"email": "a\x00b@example.com"}, "/email"),
            ({"password": "short"}, "/password"),
            ({"password": "x" * 1_000}, "/password"),
            ({"is_superuser": True}, "/is_superuser"),
        ],
    )
    async def test_refuses(
        self, anonymous: AsyncClient, change: dict[str, object], pointer: str
    ) -> None:
        body = {"email": "grace@example.com", "password": PASSWORD} | change

        response = await anonymous.post(f"{AUTH}/register", json=body)

        assert response.status_code == 422
        assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
        assert "x" * 100 not in response.text

    async def test_password_is_nowhere(
        self, anonymous: AsyncClient, capsys: pytest.CaptureFixture[str]
    ) -> None:
        body = {"email": "grace@example.com", "password": "a very secret phrase"}

        response = await anonymous.post(f"{AUTH}/register", json=body)

        assert "password" not in response.json()
        assert "a very secret phrase" not in response.text + capsys.readouterr().out


class TestToken:
    async def test_no_difference_between_wrong_unknown_and_deactivated(
        self, anonymous: AsyncClient, session: AsyncSession, user: User
    ) -> None:
        await create_user(session, email="gone@example.com", is_active=False)

        wrong = await sign_in(anonymous, user.email, "wrong password")
        unknown = await sign_in(anonymous, "nobody@example.com")
        deactivated = await sign_in(anonymous, "gone@example.com")

        for response in (wrong, unknown, deactivated):
            assert response.status_code == 401
            assert response.headers["www-authenticate"] == "Bearer"
        bodies = [r.json() | {"request_id": ""} for r in (wrong, unknown, deactivated)]
        assert bodies[0] == bodies[1] == bodies[2]

    async def test_hashes_anew_when_the_parameters_changed(
        self,
        anonymous: AsyncClient,
        session: AsyncSession,
        user: User,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        old = user.password_hash
        stronger = passwords.make_hasher(iterations=3)
        monkeypatch.setattr(passwords, "hasher", stronger)

        assert (await sign_in(anonymous, user.email)).status_code == 200

        await session.refresh(user)
        assert user.password_hash != old
        assert "t=3" in user.password_hash


class TestMe:
    @pytest.mark.parametrize(
        "header",
        ["", "Bearer", "Bearer nonsense", "Basic YWRhOnB3", "Bearer a.b.c"],
    )
    async def test_no_token(self, anonymous: AsyncClient, header: str) -> None:
        response = await anonymous.get(f"{AUTH}/me", headers={"authorization": header})

        assert response.status_code == 401
        assert response.json()["type"] == "urn:problem-type:not-authenticated"

    @pytest.mark.parametrize(
        ("claims", "key", "algorithm"),
        [
            ({"exp": 1}, None, ALGORITHM),
            ({"aud": "somebody-else"}, None, ALGORITHM),
            ({"iss": "somebody-else"}, None, ALGORITHM),
            ({"sub": "not-an-id"}, None, ALGORITHM),
            ({"sub": None}, None, ALGORITHM),
            ({}, "another key that is also long enough", ALGORITHM),
            ({}, None, "HS512"),
            ({}, "", "none"),
        ],
    )
    async def test_forged_token(
        self,
        anonymous: AsyncClient,
        client: AsyncClient,
        settings: Settings,
        claims: dict[str, object],
        key: str | None,
        algorithm: str,
    ) -> None:
        secret = settings.auth.secret_key.get_secret_value()
        genuine = client.headers["authorization"].removeprefix("Bearer ")
        known = jwt.decode(genuine, options={"verify_signature": False})
        forged = {k: v for k, v in (known | claims).items() if v is not None}
        long_key = (secret if key is None else key).ljust(64) if algorithm == "HS512" else None
        token = jwt.encode(forged, long_key or (secret if key is None else key), algorithm)

        assert (await client.get(f"{AUTH}/me")).status_code == 200
        response = await anonymous.get(f"{AUTH}/me", headers={"authorization": f"Bearer {token}"})

        assert response.status_code == 401

    async def test_deactivated_user(
        self, client: AsyncClient, session: AsyncSession, user: User
    ) -> None:
        user.is_active = False
        await session.commit()

        assert (await client.get(f"{AUTH}/me")).status_code == 401

    async def test_deleted_user(
        self, client: AsyncClient, session: AsyncSession, user: User
    ) -> None:
        await session.delete(user)
        await session.commit()

        assert (await client.get(f"{AUTH}/me")).status_code == 401


async def test_hashing_leaves_the_event_loop_free(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(passwords.hasher, "hash", lambda _: str(release.wait(timeout=10)))

    hashing = asyncio.create_task(passwords.hash_password("x"))
    await asyncio.sleep(0.01)  # would not return while the loop is blocked
    assert not hashing.done()
    release.set()

    assert await hashing == "True"
