"""`routes`: the routes of the application."""

from collections.abc import Iterator
from typing import Any

from app.cli.console import console, table
from fastship_tooling import openapi


def routes() -> None:
    """List the routes: method, path, who has access, and the function that handles them.

    Example: routes | grep items
    """
    from fastapi.routing import iter_route_contexts

    app = openapi.application()
    described = app.openapi()["paths"]
    rows = table("Method", "Path", "Access", "Handler")
    for route in iter_route_contexts(app.routes):
        endpoint = route.endpoint
        if endpoint is None:
            continue
        path = str(route.path_format)
        for method in sorted(set(route.methods or ()) - {"HEAD"}):
            operation = described.get(path, {}).get(method.lower(), {})
            access = "user" if operation.get("security") else "public"
            if access == "user" and "get_superuser" in _calls(route.dependant):
                access = "superuser"
            rows.add_row(method, path, access, f"{endpoint.__module__}:{endpoint.__qualname__}")
    console.print(rows)


def _calls(dependant: Any) -> Iterator[str]:
    """Yield the name of the function of a dependency, and those of the dependencies that it has."""
    yield getattr(dependant.call, "__name__", "")
    for dependency in dependant.dependencies:
        yield from _calls(dependency)
