"""How `dev` starts the processes of the application: on Linux, as copies of one that has the libraries."""

import multiprocessing
import sys

# Not the modules of the project, which change. Missing ones are skipped.
PRELOADED = [
    "aiosmtplib",
    "alembic.autogenerate",
    "alembic.command",
    "argon2",
    "email_validator",
    "fakeredis",
    "fastapi",
    "jinja2",
    "jwt",
    "limits.aio",
    "pgqueuer",
    "pwdlib",
    "pydantic_settings",
    "redis.asyncio",
    "rich.table",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.ext.asyncio",
    "structlog",
    "typer",
    "uvicorn.protocols.http.httptools_impl",
    "uvloop",
    "watchfiles",
]
# A copy is not safe with the libraries of macOS.
HAS_COPIES = sys.platform == "linux"
processes = multiprocessing.get_context("forkserver" if HAS_COPIES else "spawn")


def preload() -> None:
    """Start to import the libraries."""
    if HAS_COPIES:
        from multiprocessing import forkserver

        forkserver.set_forkserver_preload(PRELOADED)
        forkserver.ensure_running()
