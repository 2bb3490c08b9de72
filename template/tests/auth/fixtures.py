"""Fixtures for all tests: users, their clients, and the emails that were sent."""

import re
from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import User
from app.config import MailSettings, Settings
from app.database import SessionFactory, after_commit
from app.kit import mail
from app.kit.jobs import Job
from tests.auth.factories import access_token, create_user
from tests.conftest import client_of
from tests.jobs.fixtures import RunJobs


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


@pytest.fixture
async def anonymous(app: FastAPI, session: AsyncSession) -> AsyncIterator[AsyncClient]:
    """Return a client that is not signed in."""
    async with client_of(app) as client:
        yield client


@pytest.fixture
async def user(session: AsyncSession) -> User:
    return await create_user(session)


@pytest.fixture
async def client(
    app: FastAPI, session: AsyncSession, user: User, settings: Settings
) -> AsyncIterator[AsyncClient]:
    """Return a client that is signed in as `user`."""
    token = await access_token(session, user, settings)
    async with client_of(app, authorization=f"Bearer {token}") as client:
        yield client


@pytest.fixture
def outbox(monkeypatch: pytest.MonkeyPatch, run_jobs: RunJobs) -> Outbox:
    """Run the jobs of a request when it commits. Deliver no emails, and return those that were sent."""
    sent = Outbox()
    enqueue = Job.enqueue

    async def deliver(message: EmailMessage, _settings: MailSettings) -> None:
        sent.append(message)

    async def enqueue_and_run(
        job: Job[Any], session: AsyncSession, *args: Any, **kwargs: Any
    ) -> None:
        await enqueue(job, session, *args, **kwargs)
        after_commit(session, run_jobs)

    monkeypatch.setattr(mail, "deliver", deliver)
    monkeypatch.setattr(Job, "enqueue", enqueue_and_run)
    return sent


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
