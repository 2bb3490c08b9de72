"""A router whose cost does not grow with the number of domains, and the limit of a request body."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from fastapi import APIRouter
from starlette.routing import Match
from starlette.types import Scope


class Router(APIRouter):
    """A router that is skipped when the path is outside its prefix.

    FastAPI checks each route of each included router, several times for a nested one, so every further
    domain slows down all others. Remove this class when FastAPI does the same
    (https://github.com/fastapi/fastapi/pull/16159).
    """

    @cached_property
    def _literal_prefix(self) -> str:
        return self.prefix.partition("{")[0]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether and how the request matches one of the routes."""
        if self._literal_prefix not in scope["path"]:
            return Match.NONE, {}
        return super().matches(scope)


def body_limit[F: Callable[..., Any]](size: int) -> Callable[[F], F]:
    """Set the maximum size of the request body of an endpoint, instead of `APP_MAX_BODY_BYTES`.

    The request then has more time: a second for each 10,000 bytes of the body.

    Args:
        size: Maximum size, in bytes.
    """

    def mark(function: F) -> F:
        function.__body_limit__ = size  # type: ignore[attr-defined]
        return function

    return mark
