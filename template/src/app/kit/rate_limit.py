"""Limits on how often somebody may try.

Counts that are kept in memory are each worker's own, so that several together allow as many times
more.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from time import time
from typing import Annotated, NamedTuple

import structlog
from fastapi import Depends, FastAPI, Request
from limits import parse
from limits.aio.storage import Storage
from limits.aio.strategies import MovingWindowRateLimiter

from app.kit.problems import Problem, ServiceUnavailable, raises

log = structlog.stdlib.get_logger(__name__)


class TooManyRequests(Problem):
    """That was tried too often; `Retry-After` says in how many seconds it may be tried again."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class Limit(NamedTuple):
    """How often something may be done, such as `5/minute` or `20 per 1 hour`.

    Args:
        name: What is done.
        address: How often from one address.
        account: How often for one account, from wherever.
    """

    name: str
    address: str
    account: str | None = None


@asynccontextmanager
async def connected(app: FastAPI, storage: Storage, *, enabled: bool) -> AsyncIterator[None]:
    """Give `app` its counters, for as long as the context lasts.

    Args:
        app: Gets the counters.
        storage: Where they are kept.
        enabled: Whether anything is counted at all.
    """
    app.state.rate_limiter = MovingWindowRateLimiter(storage) if enabled else None
    yield


def network_of(address: str) -> str:
    """Name whom an address belongs to: with IPv6, everybody has a whole /64 of them."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(
        ip_network((parsed, 64), strict=False) if isinstance(parsed, IPv6Address) else parsed
    )


class Limiter:
    """Counts what the client of one request does.

    Args:
        windows: The counters; None counts nothing.
        address: Where the request comes from.
    """

    def __init__(self, windows: MovingWindowRateLimiter | None, address: str) -> None:
        self.windows = windows
        self.address = address

    async def count(self, limit: Limit, *, account: str | None = None) -> None:
        """Count one more of what `limit` names.

        Args:
            limit: What is done, and how often it may be.
            account: For whom it is done.

        Raises:
            TooManyRequests: That is one too many.
            ServiceUnavailable: The counters do not answer; better nobody than anybody.
        """
        await self._count(limit.address, limit.name, "address", network_of(self.address))
        if account is not None and limit.account is not None:
            await self._count(limit.account, limit.name, "account", account)

    async def _count(self, rate: str, *key: str) -> None:
        if self.windows is None:
            return
        item = parse(rate)
        try:
            if await self.windows.hit(item, *key):
                return
            window = await self.windows.get_window_stats(item, *key)
        except Exception as error:
            log.exception("cannot count attempts")
            raise ServiceUnavailable from error
        log.warning("too many requests", what=key[0], by=key[1])
        seconds = max(1, ceil(window.reset_time - time()))
        raise TooManyRequests(headers={"Retry-After": str(seconds)})


@raises(TooManyRequests, ServiceUnavailable)
async def get_limiter(request: Request) -> Limiter:
    """Give a request its limiter."""
    address = request.client.host if request.client else "unknown"
    return Limiter(request.app.state.rate_limiter, address)


LimiterDep = Annotated[Limiter, Depends(get_limiter)]
