from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from httpx2 import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import passwords
from app.auth.models import Session, User
from app.auth.tokens import create_access_token
from app.config import Settings

# Strong hashes would make the tests slow.
passwords.hasher = passwords.create_hasher(memory_kib=8, iterations=1)

AUTH = "/api/v1/auth"
PASSWORD = "correct horse battery"


@lru_cache
def password_hash() -> str:
    return passwords.hasher.hash(PASSWORD)


async def create_user(session: AsyncSession, **fields: Any) -> User:
    user = User(**{"email": "ada@example.com", "password_hash": password_hash()} | fields)
    session.add(user)
    await session.commit()
    return user


async def create_session(session: AsyncSession, user: User) -> Session:
    now = datetime.now(UTC)
    row = Session(
        user_id=user.id,
        secret=b"secret",
        refreshed_at=now,
        expires_at=now + timedelta(days=1),
        address="203.0.113.7",
        user_agent="test",
    )
    session.add(row)
    await session.commit()
    return row


async def access_token(session: AsyncSession, user: User, settings: Settings) -> str:
    return create_access_token(await create_session(session, user), settings.auth)


async def sign_in(client: AsyncClient, email: str, password: str = PASSWORD) -> Response:
    return await client.post(f"{AUTH}/token", data={"username": email, "password": password})


async def refresh(client: AsyncClient, token: str) -> Response:
    return await client.post(f"{AUTH}/refresh", json={"refresh_token": token})


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def same(*responses: Response) -> bool:
    """Return whether responses are equal, apart from their request ID."""
    bodies = [(r.status_code, r.json() | {"request_id": ""}) for r in responses]
    return all(body == bodies[0] for body in bodies)
