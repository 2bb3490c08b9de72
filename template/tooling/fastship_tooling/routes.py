"""`routes`: the routes of the application."""

from app.cli.console import console, table
from fastship_tooling import openapi


def routes() -> None:
    """List the routes: method, path, who has access, and the function that handles them.

    Example: routes | grep items
    """
    from fastapi.routing import iter_route_contexts

    from app.kit.openapi import calls_of

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
            if access == "user":
                calls = {getattr(call, "__name__", "") for call in calls_of(route.dependant)}
                access = "superuser" if "get_superuser" in calls else "user"
            rows.add_row(method, path, access, f"{endpoint.__module__}:{endpoint.__qualname__}")
    console.print(rows)
