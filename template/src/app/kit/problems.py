"""Error responses in one format: problem details (RFC 9457).

An exception that a client may see is a subclass of `Problem`. `@raises` on a dependency or an
endpoint declares it in the OpenAPI schema of every route that uses it (`app.kit.openapi`).
"""

import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from app.kit.logs import request_id_var

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20


class InvalidParameter(BaseModel):
    """A part of the request that is invalid."""

    location: str = Field(description="Part of the request: body, query, path, header or cookie.")
    pointer: str = Field(description="JSON pointer (RFC 6901) within that part.")
    code: str = Field(description="Machine-readable error code.")
    detail: str = Field(description="Human-readable explanation.")


class ProblemDetails(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(title="Problem")

    type: str = Field("about:blank", description="Machine-readable problem type.")
    title: str = Field(description="Short, human-readable summary of the problem type.")
    status: int = Field(description="HTTP status code.")
    detail: str | None = Field(None, description="Explanation of this occurrence.")
    request_id: str | None = Field(None, description="ID of the request in the log.")
    errors: list[InvalidParameter] | None = Field(None, description="Invalid parts of the request.")

    def to_response(self, headers: dict[str, str]) -> Response:
        """Create the error response."""
        self.request_id = request_id_var.get()
        content = self.model_dump(exclude_none=True)
        return JSONResponse(content, self.status, headers, media_type=MEDIA_TYPE)


class Problem(Exception):
    """Base class of errors that are sent to the client.

    The docstring of a subclass is its default `detail`.

    Args:
        detail: Explanation of this occurrence.
        headers: Headers of this response, in addition to `HEADERS`.
        errors: Invalid parts of the request, as in `RequestValidationError`.
    """

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST
    HEADERS: ClassVar[dict[str, str]] = {}
    # Whether the changes of the request are committed despite the error.
    commits: ClassVar[bool] = False

    def __init__(
        self,
        detail: str | None = None,
        *,
        headers: dict[str, str] | None = None,
        errors: Sequence[dict[str, Any]] = (),
    ) -> None:
        super().__init__(detail or self.summary())
        self.headers = self.HEADERS | (headers or {})
        self.errors = errors

    @classmethod
    def summary(cls) -> str:
        """Return the first line of the docstring."""
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0]

    def details(self) -> ProblemDetails:
        """Return the response body. `ItemNotFound` has the type `urn:problem-type:item-not-found`."""
        words = re.sub(r"(?<!^)(?=[A-Z])", " ", type(self).__name__).lower().split()
        return ProblemDetails(
            type="urn:problem-type:" + "-".join(words),
            title=" ".join(words).capitalize(),
            status=self.status,
            detail=str(self),
            errors=[_invalid_parameter(error) for error in self.errors] or None,
        )

    def to_response(self) -> Response:
        """Create the error response."""
        return self.details().to_response(self.headers)


class UntrustedHost(Problem):
    """The Host header is not a host of this API."""


class BodyTooLarge(Problem):
    """The request body is too large."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class InvalidRequest(Problem):
    """The request is invalid. See `errors` for details."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class InternalError(Problem):
    """An unexpected error occurred. The server log has details under the request ID."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR


class ServiceUnavailable(Problem):
    """The service is temporarily unavailable. Try again in a few seconds."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    HEADERS: ClassVar[dict[str, str]] = {"Retry-After": "5"}


def add_problem_handlers(app: FastAPI) -> None:
    """Send problem details for every error of `app`."""

    @app.exception_handler(Problem)
    async def on_problem(_request: Request, problem: Problem) -> Response:
        return problem.to_response()

    @app.exception_handler(RequestValidationError)
    async def on_invalid_request(_request: Request, error: RequestValidationError) -> Response:
        # The client may send any number of unknown fields.
        return InvalidRequest(errors=error.errors()[:MAX_ERRORS]).to_response()

    @app.exception_handler(HTTPException)
    async def on_http_exception(request: Request, error: HTTPException) -> Response:
        if isinstance(error.__cause__, Problem):
            return error.__cause__.to_response()
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(sorted(_allowed_methods(app, request)))
        title = HTTPStatus(error.status_code).phrase
        detail = error.detail if error.detail != title else None
        details = ProblemDetails(title=title, status=error.status_code, detail=detail)
        return details.to_response(headers)


def raises[F: Callable[..., Any]](*problems: type[Problem]) -> Callable[[F], F]:
    """Declare the problems that a dependency or an endpoint raises.

    Example:
        >>> class ItemNotFound(Problem): ...
        >>> @raises(ItemNotFound)
        ... async def valid_item_id(item_id: int) -> int: ...
    """

    def mark(function: F) -> F:
        function.__problems__ = problems  # type: ignore[attr-defined]
        return function

    return mark


def field_error(field: str, code: str, message: str) -> dict[str, Any]:
    """Return an error of a field of the body, as `RequestValidationError` and `Problem` expect it.

    Args:
        field: Name of the field.
        code: Machine-readable error code.
        message: Human-readable explanation.
    """
    return {"loc": ("body", field), "type": code, "msg": message}


def missing_reference(field: str) -> RequestValidationError:
    """Return the error for a field with the ID of a record that does not exist.

    Args:
        field: Name of the field.
    """
    message = "Referenced record does not exist."
    return RequestValidationError([field_error(field, "reference", message)])


def _invalid_parameter(detail: dict[str, Any]) -> InvalidParameter:
    location, *path = [str(part) for part in detail["loc"]]
    escaped = [part.replace("~", "~0").replace("/", "~1") for part in path]
    return InvalidParameter(
        location=location,
        # For malformed JSON, Pydantic reports an offset, which is not a JSON pointer.
        pointer="" if detail["type"] == "json_invalid" else "".join(f"/{p}" for p in escaped),
        code=detail["type"],
        detail=detail["msg"].removeprefix("Value error, "),
    )


def _allowed_methods(app: FastAPI, request: Request) -> set[str]:
    """Return the methods of a path. Starlette only reports those of the first matching route."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    return {
        method
        for route in iter_route_contexts(app.routes)
        if (regex := getattr(route, "path_regex", None)) and regex.match(path)
        for method in route.methods or ()
    }
