"""Database errors, and the responses that clients get for them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from socket import gaierror

from asyncpg.exceptions import (
    ForeignKeyViolationError,
    InterfaceError,
    InternalClientError,
    PostgresError,
    UniqueViolationError,
)
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import StaleDataError

from app.kit.problems import Problem, ServiceUnavailable, field_error, missing_reference
from app.kit.references import LIST_SUFFIX

# https://www.postgresql.org/docs/current/errcodes-appendix.html: connection errors, too many
# connections, server shutdown, crash, startup, timeouts, lock timeouts, read-only servers,
# serialization failures and deadlocks.
UNAVAILABLE_SQLSTATES = (
    *("08", "53300", "57P01", "57P02", "57P03"),
    *("57014", "55P03", "25P03", "25P04", "25006", "40001", "40P01"),
)
UNAVAILABLE_ERRORS = (ConnectionError, TimeoutError, gaierror, PoolTimeoutError)
# asyncio raises a plain OSError when it cannot connect to any of several addresses (subclasses, such as
# FileNotFoundError, have other causes), and asyncpg its error when the connection is being closed.
UNAVAILABLE_TYPES = {OSError, InternalClientError}
# DETAIL: Failing row contains (...). invalid input for query argument $1: ... (expected str, got int)
VALUES = re.compile(r"(DETAIL:|invalid input for query argument \$\d+:).*", re.DOTALL)
# Columns that the server sets. The client cannot correct them.
SERVER_COLUMNS = {"id", "owner_id", "user_id"}


def is_unavailable(error: BaseException) -> bool:
    """Return whether `error` means the database is unavailable."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        error = error.orig or error
    if str(getattr(error, "sqlstate", "")).startswith(UNAVAILABLE_SQLSTATES):
        return True
    return isinstance(error, UNAVAILABLE_ERRORS) or type(error) in UNAVAILABLE_TYPES


class Conflict(Problem):
    """Another request or record conflicts with this request."""

    status = HTTPStatus.CONFLICT


def to_problem(error: Exception) -> Exception | None:
    """Return the error that the client gets for a database error, or None for an unexpected one.

    Args:
        error: Error of a session.
    """
    if is_unavailable(error):
        return ServiceUnavailable("The database is unavailable.")
    if isinstance(error, StaleDataError):
        return Conflict("Another request has deleted this record.")
    cause = error.orig.__cause__ if isinstance(error, IntegrityError) and error.orig else None
    if not isinstance(cause, ForeignKeyViolationError | UniqueViolationError):
        return None
    # Key (author_id)=(...) is not present in table "users". The wording depends on the locale.
    key = re.search(r"\(([^)]+)\)=\(", cause.detail or "")
    columns = [name for name in (key[1].split(", ") if key else []) if name not in SERVER_COLUMNS]
    if isinstance(cause, UniqueViolationError):
        return Conflict(
            errors=[field_error(name, "unique", "The value exists already.") for name in columns]
        )
    if not columns:  # deleted meanwhile, or still referenced
        return Conflict("Another record references this one, or was deleted.")
    is_list = str(cause.constraint_name).endswith(f"_{columns[0]}{LIST_SUFFIX}")
    return missing_reference(f"{columns[0]}s" if is_list else columns[0])


@contextmanager
def database_errors() -> Iterator[None]:
    """Raise the problem that the client gets for a database error.

    An unexpected error is raised again without the values that it contains, since it is logged.
    """
    try:
        yield
    except Exception as error:
        if problem := to_problem(error):
            raise problem from error
        hide_values(error)
        raise


def hide_values(error: Exception) -> None:
    """Remove the values from a database error that is logged."""
    if isinstance(error, DBAPIError) and error.orig:
        parts = [error, error.orig, error.orig.__cause__]
    elif isinstance(error, InterfaceError | PostgresError):  # of a Reader
        parts = [error]
    else:
        return
    for part in filter(None, parts):
        part.args = tuple(VALUES.sub(r"\1 hidden", str(arg)) for arg in part.args)
        if isinstance(part, PostgresError):
            part.detail = None
