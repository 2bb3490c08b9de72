"""`routes`: the routes of the application."""

from app.cli.console import console, table
from fastship_tooling import openapi


def routes() -> None:
    """List the routes: method, path, access, and the function that handles them.

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
            schemes = sorted({name for need in operation.get("security", ()) for name in need})
            access = " or ".join(schemes) or "public"
            rows.add_row(method, path, access, f"{endpoint.__module__}:{endpoint.__qualname__}")
    console.print(rows)
