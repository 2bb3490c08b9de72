from functools import lru_cache
from typing import Any

from httpx2 import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import passwords
from app.auth.models import User

# Strong hashes would be most of the time that the tests take.
passwords.hasher = passwords.make_hasher(memory_kib=8, iterations=1)

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


async def sign_in(client: AsyncClient, email: str, password: str = PASSWORD) -> Response:
    return await client.post(f"{AUTH}/token", data={"username": email, "password": password})


async def refresh(client: AsyncClient, token: str) -> Response:
    return await client.post(f"{AUTH}/refresh", json={"refresh_token": token})


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def same(*responses: Response) -> bool:
    """Tell whether an outsider could tell responses apart."""
    seen = [(r.status_code, r.json() | {"request_id": ""}) for r in responses]
    return all(one == seen[0] for one in seen)
