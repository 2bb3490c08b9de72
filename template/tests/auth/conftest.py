import re
from collections.abc import AsyncIterator, Iterator
from email.message import EmailMessage

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from sqlalchemy import delete

from app.auth.models import User
from app.config import MailSettings, Settings
from app.database import SessionFactory
from app.kit import mail
from tests.auth.factories import create_user
from tests.conftest import client_of


class Outbox(list[EmailMessage]):
    """The emails that were sent."""

    def to(self, address: str) -> EmailMessage:
        """Return the only email to an address."""
        (message,) = [message for message in self if message["To"] == address]
        return message

    def token_to(self, address: str) -> str:
        """Return the token from the link in the only email to an address, and remove the email."""
        message = self.to(address)
        self.remove(message)
        body = message.get_body(("plain",))
        assert body
        found = re.search(r"token=([\w.-]+)", body.get_content())
        assert found
        return found[1]


@pytest.fixture(autouse=True)
def outbox(monkeypatch: pytest.MonkeyPatch) -> Outbox:
    sent = Outbox()

    async def deliver(message: EmailMessage, _settings: MailSettings) -> None:
        sent.append(message)

    monkeypatch.setattr(mail, "deliver", deliver)
    return sent


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
