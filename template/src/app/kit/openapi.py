"""The OpenAPI schema: the problems of each operation with examples, and plain names of models."""

import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from app.kit.problems import (
    MEDIA_TYPE,
    BodyTooLarge,
    InternalError,
    InvalidRequest,
    Problem,
    ProblemDetails,
    field_error,
)

SCHEMA_REF = "#/components/schemas/"
EXAMPLE_ID = "0f6f6a5e4f7c4c0b9d3f6f0a4c1d2e3f"
INVALID = {
    "integer": (
        "int_parsing",
        "Input should be a valid integer, unable to parse string as an integer",
    ),
    "uuid": (
        "uuid_parsing",
        "Input should be a valid UUID, invalid length: expected length 32 for simple format, found 1",
    ),
}
"""Code and message of an invalid parameter, by its type, for examples."""
MALFORMED = ProblemDetails(
    title=HTTPStatus.BAD_REQUEST.phrase,
    status=HTTPStatus.BAD_REQUEST,
    detail="There was an error parsing the body",  # FastAPI's words
)


def extend_openapi(app: FastAPI) -> None:
    """Declare the problems of all operations in the OpenAPI schema of `app`, and name its models."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = original()
            _declare_problems(app, schema)
            app.openapi_schema = _plain_names(schema)
        return app.openapi_schema

    # https://fastapi.tiangolo.com/how-to/extending-openapi/
    app.openapi = openapi  # type: ignore[method-assign]


def _plain_names(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with `ItemPage` instead of `Page_Item_`, the name of a generic model."""
    names = re.compile(r"\bPage(?:_(\w+)_|\[(\w+)\])(?=\")")  # the title has brackets
    text = names.sub(lambda match: f"{match[1] or match[2]}Page", json.dumps(schema))
    renamed: dict[str, Any] = json.loads(text)
    return renamed


def calls_of(dependant: Dependant) -> Iterator[Any]:
    """Yield an endpoint or dependency, and all dependencies that it has."""
    yield dependant.call
    for dependency in dependant.dependencies:
        yield from calls_of(dependency)


def _problems_of(dependant: Dependant) -> Iterator[type[Problem]]:
    for call in calls_of(dependant):
        yield from getattr(call, "__problems__", ())


def _declare_problems(app: FastAPI, schema: dict[str, Any]) -> None:
    """Add the possible problems to each operation of an OpenAPI schema, with an example of each."""
    components = schema.setdefault("components", {})
    schemas, examples = (components.setdefault(name, {}) for name in ("schemas", "examples"))
    for route in iter_route_contexts(app.routes):
        dependant: Dependant | None = getattr(route, "dependant", None)
        if dependant is None or not route.include_in_schema:
            continue
        for method in route.methods or ():
            operation = schema["paths"][route.path_format][method.lower()]
            problems = [problem() for problem in (*_problems_of(dependant), InternalError)]
            if "422" in operation["responses"]:
                problems.append(InvalidRequest(errors=[_invalid_part(operation, schemas)]))
            if "requestBody" in operation:
                problems.append(BodyTooLarge())
            found = {type(problem).__name__: problem.details() for problem in problems}
            if "requestBody" in operation:
                found["MalformedBody"] = MALFORMED
            for status in sorted({details.status for details in found.values()}):
                of_status = {name: one for name, one in found.items() if one.status == status}
                response = {"description": " ".join(str(one.detail) for one in of_status.values())}
                content = {name: _example(name, one, examples) for name, one in of_status.items()}
                media = {"schema": {"$ref": SCHEMA_REF + "Problem"}, "examples": content}
                has_body = status >= HTTPStatus.BAD_REQUEST
                operation["responses"][str(status)] = response | (
                    {"content": {MEDIA_TYPE: media}} if has_body else {}
                )
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    problem = ProblemDetails.model_json_schema(ref_template=SCHEMA_REF + "{model}")
    schemas |= {**problem.pop("$defs", {}), "Problem": problem}


def _example(name: str, details: ProblemDetails, examples: dict[str, Any]) -> dict[str, Any]:
    """Return the example of a problem. It is shared, unless its `errors` belong to one operation."""
    value = details.model_dump(exclude_none=True) | {"request_id": EXAMPLE_ID}
    example = {"summary": details.title, "value": value}
    if details.errors:
        return example
    examples[name] = example
    return {"$ref": f"#/components/examples/{name}"}


def _invalid_part(operation: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return an error of the body of an operation; without a body, of its first parameter."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        reference = content.get("schema", {}).get("$ref", "")
        if required := schemas.get(reference.removeprefix(SCHEMA_REF), {}).get("required"):
            return field_error(required[0], "missing", "Field required")
        return field_error("unknown", "extra_forbidden", "Extra inputs are not permitted")
    [parameter, *_] = operation["parameters"]
    kind = parameter["schema"].get("format") or parameter["schema"].get("type")
    code, message = INVALID.get(kind, ("value_error", "The value is invalid"))
    return {"loc": (parameter["in"], parameter["name"]), "type": code, "msg": message}
