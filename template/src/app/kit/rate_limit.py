"""Rate limits by client address and by account."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from time import time
from typing import Annotated, NamedTuple

import structlog
from fastapi import Depends, FastAPI
from fastapi.requests import HTTPConnection
from limits import parse_many
from limits.aio.storage import Storage
from limits.aio.strategies import MovingWindowRateLimiter

from app.config import AuthSettings
from app.kit.problems import Problem, ServiceUnavailable, raises

log = structlog.stdlib.get_logger(__name__)


class TooManyRequests(Problem):
    """Too many requests. Try again after the number of seconds in `Retry-After`."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class Limit(NamedTuple):
    """Rates such as `5/minute` or `10/minute; 100/day`.

    Args:
        name: Action that is limited.
        address: Rates per client address.
        account: Rates per account.
    """

    name: str
    address: str | None = None
    account: str | None = None


@asynccontextmanager
async def rate_limit_lifespan(
    app: FastAPI, settings: AuthSettings, storage: Storage
) -> AsyncIterator[None]:
    """Provide the rate limiter to the requests of `app`.

    Args:
        app: The application.
        settings: Whether rate limits are enabled.
        storage: Storage of the counters. Those in memory belong to one worker.
    """
    app.state.rate_limiter = MovingWindowRateLimiter(storage) if settings.rate_limits else None
    yield


def client_address(request: HTTPConnection) -> str:
    """Return the address of the client of a request."""
    return request.client.host if request.client else "unknown"


def client_network(address: str) -> str:
    """Return the network that is limited as one client: the address, or the /64 of an IPv6 address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        mapped = parsed.ipv4_mapped  # ::ffff:192.0.2.1
        return str(mapped or ip_network((parsed, 64), strict=False))
    return str(parsed)


class Limiter:
    """The counters for the client of one request.

    Args:
        limiter: The rate limiter of the application; None disables all limits.
        address: Client address.
    """

    def __init__(self, limiter: MovingWindowRateLimiter | None, address: str) -> None:
        self.limiter = limiter
        self.address = address

    async def hit(self, limit: Limit, *, account: str | None = None) -> None:
        """Count one action.

        Args:
            limit: The action and its rates.
            account: Account that the action concerns.

        Raises:
            TooManyRequests: A rate is exceeded.
            ServiceUnavailable: The counters are unavailable (fail closed).
        """
        seconds = await self._seconds_to_wait(limit, account)
        if seconds:
            raise TooManyRequests(headers={"Retry-After": str(seconds)})

    async def allows(self, limit: Limit, *, account: str) -> bool:
        """Count one action, and return whether it is allowed.

        Args:
            limit: The action and its rates.
            account: Account that the action concerns.

        Raises:
            ServiceUnavailable: The counters are unavailable (fail closed).
        """
        return not await self._seconds_to_wait(limit, account)

    async def _seconds_to_wait(self, limit: Limit, account: str | None) -> int:
        if self.limiter is None:
            return 0
        counters = [(limit.address, "address", client_network(self.address))]
        if account is not None:
            # A hash: what the client sends may be long, or personal.
            digest = sha256(account.encode("utf-8", "replace")).hexdigest()
            counters.append((limit.account, "account", digest))
        for rates, kind, value in counters:
            for item in parse_many(rates) if rates else ():
                try:
                    if await self.limiter.hit(item, limit.name, kind, value):
                        continue
                    window = await self.limiter.get_window_stats(item, limit.name, kind, value)
                except Exception as error:
                    log.exception("rate limit counters unavailable")
                    raise ServiceUnavailable from error
                log.warning("rate limit exceeded", action=limit.name, by=kind)
                return max(1, ceil(window.reset_time - time()))
        return 0


@raises(TooManyRequests, ServiceUnavailable)
async def get_limiter(request: HTTPConnection) -> Limiter:
    """Return the rate limiter for the client of the request."""
    return Limiter(request.app.state.rate_limiter, client_address(request))


LimiterDep = Annotated[Limiter, Depends(get_limiter)]
