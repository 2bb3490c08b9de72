"""A router whose cost does not grow with the number of domains."""

from functools import cached_property

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
