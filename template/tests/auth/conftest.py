from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from app.config import Settings
from tests.auth.fixtures import Outbox


@pytest.fixture(autouse=True)
def no_delivery(outbox: Outbox) -> None:
    """Deliver no emails, also in tests that do not read the outbox."""


@pytest.fixture(autouse=True)
def restored_state(app: FastAPI, settings: Settings) -> Iterator[None]:
    app.state.rate_limiter = MovingWindowRateLimiter(MemoryStorage())
    yield
    app.state.rate_limiter = None
    app.state.settings = settings
