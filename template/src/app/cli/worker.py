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
    import uvicorn

    from app.kit.logs import configure_logging

    settings = load_settings()
    configure_logging(settings)
    db.require_current_schema(settings)
    uvicorn.run(
        "app.worker:create_worker",
        factory=True,
        host=host or settings.app.host,
        port=port or settings.app.port,
        log_config=None,
        access_log=False,
        server_header=False,
    )
