from collections.abc import AsyncIterator, Iterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from sqlalchemy import delete

from app.auth.models import User
from app.config import Settings
from app.database import SessionFactory
from tests.auth.factories import create_user
from tests.auth.fixtures import Outbox
from tests.conftest import client_of


@pytest.fixture(autouse=True)
def no_delivery(outbox: Outbox) -> None:
    """Deliver no emails, also in tests that do not read the outbox."""


@pytest.fixture(autouse=True)
def restored_state(app: FastAPI, settings: Settings) -> Iterator[None]:
    app.state.rate_limiter = MovingWindowRateLimiter(MemoryStorage())
    yield
    app.state.rate_limiter = None
    app.state.settings = settings


@pytest.fixture
async def committed_user(session_factory: SessionFactory) -> AsyncIterator[User]:
    """Create a user that other connections see."""
    async with session_factory() as session:
        user = await create_user(session, email="grace@example.com")
        yield user
        await session.execute(delete(User).where(User.id == user.id))
        await session.commit()


@pytest.fixture
async def committing(app: FastAPI, committed_user: User) -> AsyncIterator[AsyncClient]:
    """Return a client whose requests have transactions of their own."""
    async with client_of(app) as client:
        yield client
