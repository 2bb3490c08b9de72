import asyncio
import threading
from datetime import UTC, datetime
from uuid import uuid4

import jwt
import pytest
from fastapi import FastAPI, WebSocket
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import Message, Scope

from app.auth import passwords
from app.auth.constants import ALGORITHM
from app.auth.dependencies import CurrentUser
from app.auth.models import User
from app.auth.tokens import MailToken, Purpose
from app.config import Settings
from app.kit.problems import add_problem_handlers
from tests.auth.factories import AUTH, PASSWORD, bearer, create_user, refresh, same, sign_in


class TestToken:
    async def test_same_response_for_wrong_unknown_and_inactive(
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

    async def test_unknown_user_takes_the_same_time(
        self, anonymous: AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        compared: list[str] = []
        verify = passwords.hasher.verify_and_update

        def record(password: str, password_hash: str) -> tuple[bool, str | None]:
            compared.append(password_hash)
            return verify(password, password_hash)

        monkeypatch.setattr(passwords.hasher, "verify_and_update", record)

        await sign_in(anonymous, "nobody@example.com")

        assert len(compared) == 1

    async def test_response_must_not_be_cached(self, anonymous: AsyncClient, user: User) -> None:
        response = await sign_in(anonymous, user.email)

        assert response.headers["cache-control"] == "no-store"

    async def test_rehash_after_a_change_of_parameters(
        self,
        anonymous: AsyncClient,
        session: AsyncSession,
        user: User,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        old = user.password_hash
        monkeypatch.setattr(passwords, "hasher", passwords.create_hasher(iterations=3))

        assert (await sign_in(anonymous, user.email)).status_code == 200

        await session.refresh(user)
        assert user.password_hash != old
        assert "t=3" in user.password_hash

    @pytest.mark.parametrize(("verified", "status"), [(False, 403), (True, 200)])
    async def test_require_verified_email(
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
    async def test_missing_or_malformed(self, anonymous: AsyncClient, header: str) -> None:
        response = await anonymous.get(f"{AUTH}/me", headers={"authorization": header})

        assert response.status_code == 401
        assert response.json()["type"] == "urn:problem-type:not-authenticated"

    @pytest.mark.parametrize(
        ("claims", "key", "algorithm"),
        [
            ({"exp": 1}, None, ALGORITHM),
            ({"nbf": 4_000_000_000}, None, ALGORITHM),
            ({"iat": 4_000_000_000}, None, ALGORITHM),
            ({"aud": "other-service"}, None, ALGORITHM),
            ({"iss": "other-service"}, None, ALGORITHM),
            ({"sub": None}, None, ALGORITHM),
            ({"exp": None}, None, ALGORITHM),
            ({"sid": "not-an-id"}, None, ALGORITHM),
            ({"sid": str(uuid4())}, None, ALGORITHM),
            ({"sid": None}, None, ALGORITHM),
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
        if algorithm == "HS512":  # the same key, padded to the required length
            secret = secret.ljust(64, "\0")
        token = jwt.encode(forged, secret, algorithm)

        assert (await client.get(f"{AUTH}/me")).status_code == 200
        assert (await anonymous.get(f"{AUTH}/me", headers=bearer(token))).status_code == 401

    async def test_modified(self, anonymous: AsyncClient, client: AsyncClient) -> None:
        head, body, signature = client.headers["authorization"].removeprefix("Bearer ").split(".")
        changed = signature[:-4] + ("AAAA" if signature[-4:] != "AAAA" else "BBBB")

        for token in (f"{head}.{body}.{changed}", f"{head}.{body}.", f"{head}.{body}"):
            assert (await anonymous.get(f"{AUTH}/me", headers=bearer(token))).status_code == 401

    async def test_other_kinds_of_tokens(
        self, anonymous: AsyncClient, user: User, settings: Settings
    ) -> None:
        pair = (await sign_in(anonymous, user.email)).json()
        others = [
            pair["refresh_token"],
            *(MailToken.create(purpose, user, settings.auth).encode() for purpose in Purpose),
        ]

        for token in others:
            assert (await anonymous.get(f"{AUTH}/me", headers=bearer(token))).status_code == 401
        assert (await refresh(anonymous, pair["access_token"])).status_code == 401

    async def test_inactive_user(
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


async def test_hashing_does_not_block_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(passwords.hasher, "hash", lambda _: str(release.wait(timeout=10)))

    hashing = asyncio.create_task(passwords.hash_password(PASSWORD))
    await asyncio.sleep(0.01)  # it would not return while the event loop is blocked
    assert not hashing.done()
    release.set()

    assert await hashing == "True"


@pytest.mark.parametrize(
    ("name", "answer"),
    [("authorization", "websocket.accept"), ("cookie", "websocket.http.response.start")],
)
async def test_websocket(app: FastAPI, client: AsyncClient, name: str, answer: str) -> None:
    live = FastAPI()
    live.state = app.state
    add_problem_handlers(live)

    @live.websocket("/live")
    async def accept(websocket: WebSocket, _user: CurrentUser) -> None:
        await websocket.accept()

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message["type"])

    sent: list[str] = []
    headers = [(name.encode(), client.headers["authorization"].encode())]
    scope: Scope = {"type": "websocket", "path": "/live", "headers": headers, "query_string": b""}
    await live(scope, receive, send)

    assert sent[0] == answer
