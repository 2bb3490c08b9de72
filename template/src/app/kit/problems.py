"""Errors in one shape: problem details (RFC 9457).

An exception that a client may see is a subclass of `Problem`. A dependency or an endpoint says with
`@raises` which ones it raises, and the OpenAPI schema of every route that uses it tells so.
"""

import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, ClassVar

from asgi_correlation_id import correlation_id
from fastapi import FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict, Field
from starlette._utils import get_route_path
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"
SCHEMA_REF = "#/components/schemas/"


class InvalidPart(BaseModel):
    """One part of a request that was not accepted."""

    location: str = Field(description="Where it was: body, query, path, header or cookie.")
    pointer: str = Field(description="JSON pointer (RFC 6901) to it, within the location.")
    code: str = Field(description="Kind of error, for programs.")
    detail: str = Field(description="What is wrong, for people.")


class ProblemDetails(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(title="Problem")

    type: str = Field("about:blank", description="Kind of problem, for programs.")
    title: str = Field(description="Kind of problem, for people.")
    status: int = Field(description="HTTP status code.")
    detail: str | None = Field(None, description="What happened this time, and what to do.")
    request_id: str | None = Field(None, description="Names the request in the log.")
    errors: list[InvalidPart] | None = Field(None, description="The parts that were not accepted.")


class Problem(Exception):
    """An error that the client is told about.

    The docstring of a subclass is the `detail` where none is given.

    Args:
        detail: What happened this time, and what to do.
        headers: Headers of this response, beside those of all of the kind.
    """

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST
    HEADERS: ClassVar[dict[str, str]] = {}
    # Whether what the request has changed is kept all the same.
    commits: ClassVar[bool] = False

    def __init__(self, detail: str | None = None, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail or self.summary())
        self.detail = str(self)
        self.headers = self.HEADERS | (headers or {})

    @classmethod
    def words(cls) -> list[str]:
        """Split the class's name: `ItemNotFound` is `item`, `not`, `found`."""
        return re.sub(r"(?<!^)(?=[A-Z])", " ", cls.__name__).lower().split()

    @classmethod
    def type_uri(cls) -> str:
        """Name the kind of problem for programs."""
        return "urn:problem-type:" + "-".join(cls.words())

    @classmethod
    def title(cls) -> str:
        """Name the kind of problem for people."""
        return " ".join(cls.words()).capitalize()

    @classmethod
    def summary(cls) -> str:
        """Say what it means, in a sentence."""
        return (cls.__doc__ or cls.title()).strip().splitlines()[0]


class ServiceUnavailable(Problem):
    """Something that this needs is not answering; try again in a moment."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    HEADERS: ClassVar[dict[str, str]] = {"Retry-After": "5"}


class InvalidRequest(Problem):
    """The request has parts that are not accepted; `errors` names them."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class InternalError(Problem):
    """Something went wrong on our side. The log knows more under the request's id."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR


def problem_response(
    status: int,
    *,
    title: str | None = None,
    type_uri: str = "about:blank",
    detail: str | None = None,
    errors: list[InvalidPart] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """Make the response that tells of a problem.

    Args:
        status: HTTP status code.
        title: Kind of problem, for people; by default the status's own phrase.
        type_uri: Kind of problem, for programs.
        detail: What happened this time.
        errors: The parts of the request that were not accepted.
        headers: Headers to add.
    """
    details = ProblemDetails(
        type=type_uri,
        title=title or HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        request_id=correlation_id.get(),
        errors=errors,
    )
    return JSONResponse(
        details.model_dump(exclude_none=True),
        status_code=status,
        headers=headers,
        media_type=MEDIA_TYPE,
    )


def respond(problem: Problem, errors: list[InvalidPart] | None = None) -> Response:
    """Make the response that tells of `problem`."""
    return problem_response(
        problem.status,
        title=problem.title(),
        type_uri=problem.type_uri(),
        detail=problem.detail,
        errors=errors,
        headers=problem.headers,
    )


def install(app: FastAPI) -> None:
    """Make `app` answer every error with problem details, and declare them in its schema."""

    @app.exception_handler(Problem)
    async def on_problem(_request: Request, problem: Problem) -> Response:
        return respond(problem)

    @app.exception_handler(RequestValidationError)
    async def on_invalid_request(_request: Request, error: RequestValidationError) -> Response:
        return respond(InvalidRequest(), [_invalid_part(detail) for detail in error.errors()])

    @app.exception_handler(HTTPException)
    async def on_http_exception(request: Request, error: HTTPException) -> Response:
        phrase = HTTPStatus(error.status_code).phrase
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(sorted(_allowed_methods(app, request)))
        return problem_response(
            error.status_code,
            detail=error.detail if error.detail != phrase else None,
            headers=headers,
        )

    undeclared = app.openapi

    def declared() -> dict[str, Any]:
        fresh = app.openapi_schema is None
        schema = undeclared()
        if fresh:
            _declare(app, schema)
        return schema

    app.openapi = declared  # type: ignore[method-assign]  # the documented way


def raises[F: Callable[..., Any]](*problems: type[Problem]) -> Callable[[F], F]:
    """Say which problems a dependency or an endpoint raises.

    Example:
        >>> class ItemNotFound(Problem): ...
        >>> @raises(ItemNotFound)
        ... async def valid_item_id(item_id: int) -> int: ...
    """

    def mark(function: F) -> F:
        function.__problems__ = problems  # type: ignore[attr-defined]
        return function

    return mark


def _invalid_part(detail: dict[str, Any]) -> InvalidPart:
    location, *path = [str(part) for part in detail["loc"]]
    escaped = [part.replace("~", "~0").replace("/", "~1") for part in path]
    return InvalidPart(
        location=location,
        # A position in text that is no JSON points to no part of it.
        pointer="" if detail["type"] == "json_invalid" else "".join(f"/{p}" for p in escaped),
        code=detail["type"],
        detail=detail["msg"].removeprefix("Value error, "),
    )


def _allowed_methods(app: FastAPI, request: Request) -> set[str]:
    """Find the methods of a path. Starlette names only those of the first route that has it."""
    path = get_route_path(request.scope)
    return {
        method
        for route in iter_route_contexts(app.routes)
        if (regex := getattr(route, "path_regex", None)) and regex.match(path)
        for method in route.methods or ()
    }


def _problems_of(dependant: Dependant) -> Iterator[type[Problem]]:
    yield from getattr(dependant.call, "__problems__", ())
    for dependency in dependant.dependencies:
        yield from _problems_of(dependency)


def _declare(app: FastAPI, schema: dict[str, Any]) -> None:
    """Add to each operation the problems that it may answer with."""
    for route in iter_route_contexts(app.routes):
        dependant: Dependant | None = getattr(route, "dependant", None)
        if dependant is None or not route.include_in_schema:
            continue
        for method in route.methods or ():
            operation = schema["paths"][route.path_format][method.lower()]
            responses = operation["responses"]
            problems: list[type[Problem]] = [*_problems_of(dependant), InternalError]
            if "422" in responses:
                problems.append(InvalidRequest)
            descriptions = {
                str(int(status)): " ".join(
                    dict.fromkeys(p.summary() for p in problems if p.status == status)
                )
                for status in sorted({problem.status for problem in problems})
            }
            if "requestBody" in operation:
                descriptions["400"] = "The body cannot be read."
                descriptions["413"] = "The body is too large."
            for status, description in descriptions.items():
                responses[status] = {
                    "description": description,
                    "content": {MEDIA_TYPE: {"schema": {"$ref": SCHEMA_REF + "Problem"}}},
                }
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    problem = ProblemDetails.model_json_schema(ref_template=SCHEMA_REF + "{model}")
    schemas |= {**problem.pop("$defs", {}), "Problem": problem}
