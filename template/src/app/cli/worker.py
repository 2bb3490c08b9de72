"""`worker`: the process that runs background jobs."""

from typing import Annotated

import typer

from app.cli import db
from app.cli.console import load_settings


def worker(
    host: Annotated[str | None, typer.Option(help="Override APP_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Override APP_PORT.", envvar="PORT")] = None,
) -> None:
    """Run background jobs and schedules, with the health checks of the application on a port.

    Example: worker --port 8001
    """
    from app import server

    server.override(host=host, port=port, workers=1)
    settings = load_settings()
    db.require_current_schema(settings)
    server.start("app.worker:create_worker")
