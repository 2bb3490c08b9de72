"""`serve`: the production server."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import load_settings

if TYPE_CHECKING:
    from app.config import Settings

preflight: list[Callable[["Settings"], None]] = []
"""What is looked at before the server starts; each ends the command in words if it must not."""


def serve(
    host: Annotated[str | None, typer.Option(help="Instead of APP_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Instead of APP_PORT.", envvar="PORT")] = None,
    workers: Annotated[int | None, typer.Option(help="Instead of APP_WORKERS.", min=1)] = None,
) -> None:
    """Serve the application, as in production.

    Example: serve --workers 4
    """
    import uvicorn  # noqa: PLC0415

    from app.kit import logs  # noqa: PLC0415

    if workers:
        os.environ["APP_WORKERS"] = str(workers)  # for the workers to know of each other
    settings = load_settings()
    logs.configure(settings)
    for check in preflight:
        check(settings)
    uvicorn.run(
        "app.main:create_app",
        factory=True,
        host=host or settings.app.host,
        port=port or settings.app.port,
        workers=settings.app.workers,
        log_config=None,
        # One line a request is ours to write: uvicorn's own costs more than the rest of it.
        access_log=False,
        forwarded_allow_ips=list(settings.app.forwarded_allow_ips),
        timeout_graceful_shutdown=20,
        server_header=False,
    )
