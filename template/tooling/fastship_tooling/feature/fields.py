"""The fields of a new domain: their specification on the command line, and the code for them."""

import keyword
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from app.cli.console import CLIError
from fastship_tooling.feature.names import Names, words
from fastship_tooling.feature.project import is_shared
from fastship_tooling.project import HAS_AUTH

if TYPE_CHECKING:
    from pydantic import TypeAdapter

MAX_NAME = 60  # PostgreSQL truncates names at 63 bytes
RESERVED = {
    "id",
    "created_at",
    "updated_at",
    "owner",
    "owner_id",
    "metadata",
    "registry",
    "changes",
}
RESERVED |= {"date", "datetime", "int", "float", "str", "bool", "false", "true", "self"}
RESERVED |= {"copy", "construct", "dict", "json", "parse_obj", "schema", "validate"}  # Pydantic's


class FieldError(CLIError):
    """A field specification is invalid."""


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
    """

    request: str
    response: str
    column: str
    examples: tuple[Any, Any]
    invalid: tuple[Any, ...]
    parse: Callable[[str], Any] | None = None
    default_code: Callable[[Any], str] = repr
    server_default: Callable[[Any], str] = lambda value: repr(str(value))


def _parse_bool(value: str) -> bool:
    if value not in {"true", "false"}:
        raise ValueError
    return value == "true"


def _decimal_code(value: Decimal) -> str:
    return f'Decimal("{value}")'


KINDS = {
    "str": Kind("Line", "str", "Text", ("First", "Second"), (" ", "x" * 201, "\x00", 1), str),
    "text": Kind(
        "Text", "str", "Text", ("First\nline", "Second\nline"), ("x" * 10_001, "\x00", 1), str
    ),
    "int": Kind("Int32", "int", "", (3, 4), ("3", 2**31, True), int),
    "float": Kind("FiniteFloat", "float", "", (1.5, 2.5), ("1.5", True), float),
    "decimal": Kind(
        "Money", "Decimal", "Numeric(12, 2)", ("19.90", "24.50"), ("0.001", "1e11", "much"),
        Decimal, _decimal_code,
    ),
    "bool": Kind(
        "StrictBool", "bool", "", (True, False), (0, "yes"), _parse_bool,
        server_default=lambda value: f"{str(value).lower()}()",
    ),
    "date": Kind("Date", "date", "", ("2026-05-17", "2026-06-01"), (0, "soon")),
    "datetime": Kind(
        "UtcDatetime", "datetime", "", ("2026-05-17T12:00:00Z", "2026-06-01T09:30:00Z"),
        (0, "soon", "2026-05-17T12:00:00"),
    ),
    "uuid": Kind(
        "UUID", "UUID", "",
        ("370f3d98-7397-4ddb-8f31-0102f2a9a3dc", "0b8f4d52-3a4e-4f0a-9d0e-5f3f3a1c7b21"),
        (1, "none"),
    ),
}  # fmt: skip
REFERENCE = re.compile(r"ref\[([a-z][a-z0-9_]*)\]")
SPECIFICATION = re.compile(r"(?P<type>[^?=]*)(?P<optional>\?)?(?:=(?P<default>.*))?")
NO_DEFAULT = object()


@dataclass(frozen=True)
class Field:
    """A field of the new domain.

    Args:
        name: Name of the attribute and of the column.
        kind: Type.
        domain: The new domain.
        optional: Whether the value may be null.
        default: Default value, or NO_DEFAULT.
        references: Domain that the field references.
        shared: Whether the rows of that domain belong to no user.
    """

    name: str
    kind: Kind
    domain: Names
    optional: bool = False
    default: Any = NO_DEFAULT
    references: Names | None = None
    shared: bool = False

    @property
    def required(self) -> bool:
        """Whether a request must contain the field."""
        return not self.optional and self.default is NO_DEFAULT

    @property
    def description(self) -> str:
        """Description of the field."""
        if self.references:
            return f"ID of the {words(self.name.removesuffix('_id'))}."
        if self.kind is KINDS["bool"]:
            verb, _, rest = self.name.partition("_")
            phrase = f"{verb} {words(rest)}" if rest and verb in {"is", "has"} else None
            return (
                f"Whether the {words(self.domain.singular)} {phrase or f'is {words(self.name)}'}."
            )
        if self.kind is KINDS["date"]:
            stem = words(re.sub("_?(on|date)$", "", self.name))
            return f"{stem} date.".strip().capitalize()
        if self.kind is KINDS["datetime"]:
            stem = words(re.sub("_?(at|time|datetime)$", "", self.name))
            return f"{stem} time (UTC).".strip().capitalize().replace("(utc)", "(UTC)")
        return f"{words(self.name).capitalize()}."

    @property
    def response(self) -> str:
        """Code in the response schema."""
        options = f"description={self.description!r}, examples=[{self.kind.examples[0]!r}]"
        return f"{self.name}: {self._nullable(self.kind.response)} = Field({options})"

    @property
    def create(self) -> str:
        """Code in the schema of a create request."""
        default = ""
        if self.default is not NO_DEFAULT:
            default = f"{self.kind.default_code(self.default)}, "
        elif self.optional:
            default = "None, "
        options = f"{default}description={self.description!r}, examples=[{self.kind.examples[0]!r}]"
        return f"{self.name}: {self._nullable(self.kind.request)} = Field({options})"

    @property
    def update(self) -> str:
        """Code in the schema of an update request."""
        options = f"description={self.description!r}, examples=[{self.kind.examples[1]!r}]"
        return f"{self.name}: {self._nullable(self.kind.request)} = omittable({options})"

    @property
    def column(self) -> str:
        """Code in the model."""
        arguments = [self.kind.column] if self.kind.column else []
        if self.references and self.references.plural != "users" and not self.shared:
            type_ = self._nullable(self.kind.response)
            return f'{self.name}: Mapped[{type_}] = reference("{self.references.plural}")'
        if self.references:
            # Deleting an account deletes everything that references it.
            cascade = ', ondelete="CASCADE"' if self.references.plural == "users" else ""
            arguments = [f'ForeignKey("{self.references.plural}.id"{cascade})', "index=True"]
        if self.default is not NO_DEFAULT:
            arguments.append(f"server_default={self.kind.server_default(self.default)}")
        options = f" = mapped_column({', '.join(arguments)})" if arguments else ""
        return f"{self.name}: Mapped[{self._nullable(self.kind.response)}]{options}"

    @property
    def attribute(self) -> str:
        """Code in the dataclass of a domain that is stored in memory."""
        return f"{self.name}: {self._nullable(self.kind.response)}"

    @property
    def example(self) -> str:
        """Code of a value in tests."""
        if self.references is None:
            return code(self.kind.examples[0])
        if self.references.plural == "users":
            return '(await client.get("/api/v1/auth/me")).json()["id"]'
        return f'(await create_{self.references.singular}(client))["id"]'

    def _nullable(self, annotation: str) -> str:
        return f"{annotation} | None" if self.optional else annotation


def parse(
    specifications: list[str], domain: Names, find_domain: Callable[[str], Names | None]
) -> list[Field]:
    """Parse specifications such as `price:decimal=0`, `due:date?` and `author:ref[users]`.

    Args:
        specifications: The specifications.
        domain: The new domain.
        find_domain: Returns the names of a domain that can be referenced, or None.

    Raises:
        FieldError: A specification is invalid.
    """
    fields: list[Field] = []
    for text in specifications:
        field = _parse(text, domain, find_domain)
        reserved = RESERVED | {domain.plural, domain.singular}
        if field.name in reserved or field.name.startswith("model_"):
            raise FieldError(f"The name {field.name} is reserved. Choose another name.")
        if field.name in {other.name for other in fields}:
            raise FieldError(f"There are two fields with the name {field.name}.")
        fields.append(field)
    return fields


def _parse(text: str, domain: Names, find_domain: Callable[[str], Names | None]) -> Field:
    name, colon, rest = text.partition(":")
    types = ", ".join([*KINDS, "ref[DOMAIN]"])
    if not re.fullmatch("[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise FieldError(
            f"{name!r} is not a valid field name. Use lower-case letters, digits and underscores."
        )
    if len(name) > MAX_NAME:
        raise FieldError(f"The name {name} is longer than {MAX_NAME} characters.")
    if not colon:
        raise FieldError(
            f"The field {name} has no type. Write, for example, {name}:str. Types: {types}."
        )
    match = SPECIFICATION.fullmatch(rest)
    type_, optional = (match["type"], bool(match["optional"])) if match else (rest, False)
    default = match["default"] if match else None
    if reference := REFERENCE.fullmatch(type_):
        target = find_domain(reference[1])
        if target is None:
            raise FieldError(
                f"The field {name} references the domain {reference[1]}, which does not exist."
            )
        if default is not None:
            raise FieldError(f"The field {name} is a reference and cannot have a default.")
        field_name = f"{name.removesuffix('_id')}_id"
        shared = HAS_AUTH and is_shared(target)
        return Field(field_name, KINDS["uuid"], domain, optional, references=target, shared=shared)
    if type_ not in KINDS:
        raise FieldError(f"The type {type_!r} of the field {name} does not exist. Types: {types}.")
    kind = KINDS[type_]
    return Field(name, kind, domain, optional, _parse_default(name, type_, kind, default))


def _parse_default(name: str, type_: str, kind: Kind, default: str | None) -> Any:
    if default is None:
        return NO_DEFAULT
    if kind.parse is None:
        raise FieldError(f"The field {name} of type {type_} cannot have a default.")
    try:
        value = kind.parse(default)
        _request_type(kind).validate_python(value)
    except (ValueError, InvalidOperation) as error:
        raise FieldError(
            f"{default!r} is not a valid default for {name} of type {type_}."
        ) from error
    return value


def _request_type(kind: Kind) -> "TypeAdapter[Any]":
    from pydantic import StrictBool, TypeAdapter

    from app.kit import schemas

    return TypeAdapter(getattr(schemas, kind.request, StrictBool))


def code(value: object) -> str:
    """Return a value as Python code. Long runs of one letter become a product."""
    return re.sub(
        r"'(x+)'", lambda m: f"'x' * {len(m[1]):_}" if len(m[1]) > 1 else m[0], repr(value)
    )
