"""A faster search for routes, and the limit of a request body."""

import inspect
from collections.abc import Callable
from functools import cached_property
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

# What a router passes to its routes.
OPTIONS = set(inspect.signature(APIRouter.add_api_route).parameters) & set(
    inspect.signature(APIRoute).parameters
) - {"path", "endpoint"}


class Route(APIRoute):
    """A route that is skipped quickly when the path does not contain its literal part."""

    @cached_property
    def _literal(self) -> str:
        return self.path.partition("{")[0]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether and how the request matches."""
        if self._literal not in scope["path"]:
            return Match.NONE, {}
        return super().matches(scope)


def add_router(app: FastAPI, router: APIRouter, prefix: str = "") -> None:
    """Add the routes of a router to an application.

    `include_router` of FastAPI keeps the router, and searches it twice for each request. Use it instead
    of this function when it no longer does (https://github.com/fastapi/fastapi/pull/16159).

    Args:
        app: Application.
        router: Router. If it has more than HTTP endpoints, such as a WebSocket, another router or a
            lifespan, it is included as by FastAPI.
        prefix: Start of the paths.
    """
    routes = [route for route in router.routes if type(route) is APIRoute]
    if (
        len(routes) != len(router.routes)
        or not isinstance(router.lifespan_context, type(APIRouter().lifespan_context))
        or (router.on_startup or router.on_shutdown or router.form_limits)
    ):
        app.include_router(router, prefix=prefix)
        return
    for route in routes:
        options = {name: getattr(route, name) for name in OPTIONS}
        app.router.add_api_route(
            prefix + route.path, route.endpoint, route_class_override=Route, **options
        )


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
