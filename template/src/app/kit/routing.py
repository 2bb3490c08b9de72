"""Routers and dependencies that cost no more than they must. The template's: `copier update` renews it."""

import inspect
from collections.abc import Awaitable, Callable
from functools import cache, cached_property
from typing import Any

from fastapi import APIRouter
from starlette.routing import Match
from starlette.types import Scope


class Router(APIRouter):
    """A router that is not searched for what lies outside its prefix.

    FastAPI asks each route of each included router, several times for a nested one, so that every
    further domain would slow down all others (https://github.com/fastapi/fastapi/pull/16159).
    """

    @cached_property
    def _literal_prefix(self) -> str:
        return self.prefix.partition("{")[0]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether a request is for one of the routes."""
        if self._literal_prefix not in scope["path"]:
            return Match.NONE, {}
        return super().matches(scope)


@cache
def async_dependency[T](make: Callable[..., T]) -> Callable[..., Awaitable[T]]:
    """Have a class, or a plain function that waits for nothing, called where the event loop runs.

    FastAPI sends it to a thread otherwise, which takes longer than most endpoints.

    Args:
        make: What to call. Its parameters are filled as those of any dependency.

    Example:
        `Items = Annotated[ItemService, Depends(async_dependency(ItemService))]`
    """

    async def call(*args: Any, **kwargs: Any) -> T:
        return make(*args, **kwargs)

    call.__signature__ = inspect.signature(make)  # type: ignore[attr-defined]
    return call
