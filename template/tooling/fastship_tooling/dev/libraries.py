"""The libraries of the application. The process of which `dev` makes copies imports this module."""

import gc
import signal
from contextlib import suppress
from importlib import import_module

# Not the modules of the project, which change. Missing ones are skipped.
LIBRARIES = [
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

# `dev` ends the copies. A signal for all of its processes must not end this one before.
for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
    signal.signal(number, signal.SIG_IGN)

# The garbage collector does not search them, here and in the copies. This saves a quarter of a second.
gc.disable()
for name in LIBRARIES:
    with suppress(ImportError):
        import_module(name)
gc.freeze()
gc.enable()
