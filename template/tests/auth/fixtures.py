"""Fixtures for all tests: users and their clients."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import User
from app.config import Settings
from tests.auth.factories import access_token, create_user
from tests.conftest import client_of


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
