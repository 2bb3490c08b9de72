from functools import cache
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import User
from app.auth.passwords import hasher

PASSWORD = "correct horse battery"


@cache
def password_hash() -> str:
    return hasher.hash(PASSWORD)


async def create_user(session: AsyncSession, **fields: Any) -> User:
    user = User(**{"email": "ada@example.com", "password_hash": password_hash()} | fields)
    session.add(user)
    await session.commit()
    return user
