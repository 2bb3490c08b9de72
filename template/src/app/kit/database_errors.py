"""Database errors, and the responses that clients get for them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from socket import gaierror

from asyncpg.exceptions import (
    ExclusionViolationError,
    ForeignKeyViolationError,
    InterfaceError,
    InternalClientError,
    InvalidCachedStatementError,
    PostgresError,
    RestrictViolationError,
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
# syntax error in tsquery: "..."
VALUES = re.compile(
    r"(DETAIL:|invalid input for query argument \$\d+:|in ts(?:query|vector):).*", re.DOTALL
)
# The codes of errors of values. Their messages contain the value: "..." is out of range for type integer
DATA_ERROR = "22"
QUOTED = re.compile('".*"', re.DOTALL)
# Columns that the server sets. The client cannot correct them.
SERVER_COLUMNS = {"id", "owner_id"} | {
    f"{table}.user_id" for table in ("sessions", "security_events", "stored_responses")
}


def is_unavailable(error: BaseException) -> bool:
    """Return whether `error` means the database is unavailable."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        error = error.orig or error
        # A migration has changed a table. The statement is prepared again for the next request.
        if isinstance(error.__cause__, InvalidCachedStatementError):
            return True
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
    return _violation(cause) if isinstance(cause, PostgresError) else None


def _violation(cause: PostgresError) -> Exception | None:
    if isinstance(cause, ExclusionViolationError):
        return Conflict()
    if isinstance(cause, RestrictViolationError):
        return Conflict("Another record references this one.")
    if not isinstance(cause, ForeignKeyViolationError | UniqueViolationError):
        return None
    # Key (author_id)=(...) is not present in table "users". The wording depends on the locale.
    key = re.search(r"\(([^)]+)\)=\(", cause.detail or "")
    names = [name.strip('"') for name in key[1].split(", ")] if key else []
    columns = [name for name in names if not {name, f"{cause.table_name}.{name}"} & SERVER_COLUMNS]
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


def hide_values(error: BaseException) -> None:
    """Remove the values from the database errors in an error that is logged."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        part = pending.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        pending += [part.__cause__, part.__context__]
        if isinstance(part, BaseExceptionGroup):
            pending += part.exceptions
        pending.append(getattr(part, "orig", None))
        code = getattr(part, "sqlstate", None) or getattr(pending[-1], "sqlstate", None)
        if code or isinstance(part, DBAPIError | InterfaceError):
            part.args = tuple(_without_values(str(arg), code) for arg in part.args)
            # Sentry prefers these to the arguments.
            if isinstance(getattr(part, "message", None), str):
                part.message = _without_values(part.message, code)  # type: ignore[attr-defined]
            if isinstance(getattr(part, "detail", None), str):
                part.detail = None  # type: ignore[attr-defined]


def _without_values(text: str, code: object) -> str:
    text = VALUES.sub(r"\1 hidden", text)
    return QUOTED.sub('"hidden"', text) if str(code).startswith(DATA_ERROR) else text
