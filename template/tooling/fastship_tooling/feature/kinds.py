"""The types of the fields of a new domain."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@dataclass(frozen=True)
class Kind:
    """A type of field.

    Args:
        request: Type in request schemas.
        response: Type in models and response schemas.
        column: Arguments of `mapped_column`, as code.
        examples: Two JSON values.
        invalid: JSON values that are rejected.
        parse: Converts a default value from text; None if there can be no default.
        default_code: Returns the code of a default value in Python.
        server_default: Returns the code of a default value in `mapped_column`.
        unique: Code of a JSON value that no other record has; empty if values cannot be unique.
        query: Type in query parameters, if it is not that in request schemas.
        bounds: Words for the minimum and the maximum; empty if lists are filtered by equal values.
    """

    request: str
    response: str
    column: str
    examples: tuple[Any, Any]
    invalid: tuple[Any, ...]
    parse: Callable[[str], Any] | None = None
    default_code: Callable[[Any], str] = repr
    server_default: Callable[[Any], str] = lambda value: repr(str(value))
    unique: str = ""
    query: str = ""
    bounds: tuple[str, ...] = ()


def _parse_bool(value: str) -> bool:
    if value not in {"true", "false"}:
        raise ValueError
    return value == "true"


def _decimal_code(value: Decimal) -> str:
    return f'Decimal("{value}")'


LIMITS, TIMES = ("Minimum", "Maximum"), ("Earliest", "Latest")
KINDS = {
    "str": Kind(
        "Line", "str", "Text", ("First", "Second"), (" ", "x" * 201, "a\nb", "\x00", 1), str, unique="uuid4().hex"
    ),
    "text": Kind(
        "Text", "str", "Text", ("First\nline", "Second\nline"), ("x" * 10_001, "\x00", 1), str
    ),
    "int": Kind(
        "Int32", "int", "", (3, 4), ("3", 2**31, True), int,
        unique="uuid4().int % 2**31", query="QueryInt32", bounds=LIMITS,
    ),
    "float": Kind(
        "FiniteFloat", "float", "", (1.5, 2.5), ("1.5", True), float, query="QueryFloat",
        bounds=LIMITS,
    ),
    "decimal": Kind(
        "Money", "Decimal", "Numeric(12, 2)", ("19.90", "24.50"), ("0.001", "1e11", "much"),
        Decimal, _decimal_code, bounds=LIMITS,
    ),
    "bool": Kind(
        "StrictBool", "bool", "", (True, False), (0, "yes"), _parse_bool,
        server_default=lambda value: f"{str(value).lower()}()", query="bool",
    ),
    "date": Kind("Date", "date", "", ("2026-05-17", "2026-06-01"), (0, "soon"), bounds=TIMES),
    "datetime": Kind(
        "UtcDatetime", "datetime", "", ("2026-05-17T12:00:00Z", "2026-06-01T09:30:00Z"),
        (0, "soon", "2026-05-17T12:00:00"), bounds=TIMES,
    ),
    "uuid": Kind(
        "UUID", "UUID", "",
        ("370f3d98-7397-4ddb-8f31-0102f2a9a3dc", "0b8f4d52-3a4e-4f0a-9d0e-5f3f3a1c7b21"),
        (1, "none"), unique="str(uuid4())",
    ),
}  # fmt: skip
MANY = Kind("UniqueIds", "list[UUID]", "", ([], []), (1, "none"))


def enum_kind(class_name: str, values: list[str]) -> Kind:
    """Return the type of a field with a fixed set of values.

    Args:
        class_name: Name of the enum.
        values: Its values.
    """

    def parse(value: str) -> str:
        if value not in values:
            raise ValueError
        return value

    def code_of(value: str) -> str:
        return f"{class_name}.{member(value)}"

    examples = (values[0], values[-1])
    return Kind(class_name, class_name, "", examples, ("", 1), parse, code_of)


def member(value: str) -> str:
    """Return the name of the member of an enum with a value."""
    return value.replace("-", "_").upper()


def request_type(kind: Kind) -> "TypeAdapter[Any]":
    """Return the validator of a type in requests."""
    from pydantic import StrictBool, TypeAdapter

    from app.kit import schemas

    types = {"StrictBool": StrictBool}
    return TypeAdapter(getattr(schemas, kind.request, types.get(kind.request, str)))


def code(value: object) -> str:
    """Return a value as Python code. Long runs of one letter become a product."""
    return re.sub(
        r"'(x+)'", lambda m: f"'x' * {len(m[1]):_}" if len(m[1]) > 1 else m[0], repr(value)
    )
