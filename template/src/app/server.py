"""The server of `serve` and `worker`. Its process does not contain the command line, which would take 10 MB."""

import os
import subprocess
import sys

import uvicorn

from app.config import Settings
from app.kit.http_protocol import ServerProtocol
from app.kit.logs import configure_logging


def override(**settings: object) -> None:
    """Override settings in the environment of this process and of the server.

    Args:
        settings: Values, such as `port` for APP_PORT. None does not override.
    """
    given = {f"APP_{name.upper()}": value for name, value in settings.items()}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})


def start(application: str) -> None:
    """Replace this process by a server.

    Args:
        application: Function that creates the application: `module:function`.
    """
    # glibc raises this initial value by itself, and then keeps memory that is no longer in use.
    os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", "131072")
    # -P: modules in the working directory are not imported.
    command = [sys.executable, "-P", "-m", __name__, application]
    if sys.platform == "win32":  # it cannot replace a process
        sys.exit(subprocess.call(command))  # noqa: S603
    os.execv(sys.executable, command)  # noqa: S606


def run(application: str) -> None:
    """Run the server. Worker processes read the settings, too.

    Args:
        application: As for `start`.
    """
    settings = Settings.load()
    configure_logging(settings)
    uvicorn.run(
        application,
        factory=True,
        http=ServerProtocol,
        host=settings.app.host,
        port=settings.app.port,
        workers=settings.app.workers,
        log_config=None,
        # RequestMiddleware writes the access log. uvicorn's is slower than the rest of it.
        access_log=False,
        forwarded_allow_ips=list(settings.app.forwarded_allow_ips),
        timeout_graceful_shutdown=30,
        # Longer than that of proxies, which would otherwise send requests to a closed connection.
        timeout_keep_alive=130,
        server_header=False,
    )


if __name__ == "__main__":
    run(sys.argv[1])
