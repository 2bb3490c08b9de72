"""The specifications of fields on the command line."""

import keyword
import re
from collections.abc import Callable
from dataclasses import replace
from decimal import InvalidOperation
from typing import Any

from app.cli.console import CLIError
from fastship_tooling.feature.fields import NO_DEFAULT, Field
from fastship_tooling.feature.kinds import KINDS, MANY, Kind, enum_kind, member, request_type
from fastship_tooling.feature.names import Names, camel
from fastship_tooling.feature.project import is_shared
from fastship_tooling.project import HAS_AUTH, HAS_DATABASE

MAX_NAME = 60  # PostgreSQL truncates names at 63 bytes
RESERVED = {
    "id": "every domain has it",
    "created_at": "every domain has it",
    "updated_at": "every domain has it",
    "owner": "it is the user who created the record",
    "owner_id": "it is the user who created the record",
    "metadata": "SQLAlchemy uses it",
    "registry": "SQLAlchemy uses it",
    "changes": "the schemas have a method of this name",
    "field": "the code of a domain in memory calls a function of this name",
    "reference": "the models call a function of this name",
    "mapped_column": "the models call a function of this name",
    "relationship": "the models call a function of this name",
    "omittable": "the schemas call a function of this name",
}
RESERVED |= dict.fromkeys(
    ["int", "float", "str", "bool", "list", "false", "true", "self"], "Python uses it"
)
RESERVED |= dict.fromkeys(
    ["copy", "construct", "dict", "json", "parse_obj", "schema", "validate"], "Pydantic uses it"
)
TYPES = ", ".join([*KINDS, "enum[VALUE,...]", "ref[DOMAIN]", "many[DOMAIN]"])
OPTION = "(?:unique|filter|sort)"
OPTIONS = re.compile(rf":({OPTION}(?:[,:]{OPTION})*)(?=$|=)")
SPECIFICATION = re.compile(
    r"(?P<type>\w*)(?:\[(?P<arguments>[^\]]*)\])?(?P<optional>\?)?(?:=(?P<default>.*))?"
)
VALUE = "[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*"
# The names of the other classes of a domain: InvoiceCreate is a schema.
CLASSES = {"create", "update", "params", "service", "store", "not_found"}
PARAMETERS = {"limit", "cursor", "sort", "order", "after", "filters", "check_cursor"}

FindDomain = Callable[[str], Names | None]


class FieldError(CLIError):
    """A field specification is invalid."""


def parse(specifications: list[str], domain: Names, find_domain: FindDomain) -> list[Field]:
    """Parse specifications such as `price:decimal=0`, `due:date?` and `author:ref[users]`.

    Args:
        specifications: The specifications.
        domain: The new domain.
        find_domain: Returns the names of a domain that can be referenced, or None.

    Raises:
        FieldError: A specification is invalid.
    """
    fields: list[Field] = []
    reserved = RESERVED | dict.fromkeys(domain.forms, "it is the name of the domain")
    for text in specifications:
        field = _parse(text, domain, find_domain)
        if field.name.startswith("model_"):
            raise FieldError(
                f"The name {field.name} is reserved: Pydantic uses it. Choose another name."
            )
        if reason := reserved.get(field.name):
            raise FieldError(
                f"The name {field.name} is reserved: {reason}. Choose another name, such as "
                f"{domain.singular}_{field.name}."
            )
        if field.name in {other.name for other in fields}:
            raise FieldError(f"There are two fields with the name {field.name}.")
        fields.append(field)
    parameters = [name for field in fields for name in field.parameters]
    for name in parameters:
        others = PARAMETERS | {field.name for field in fields if name not in field.parameters}
        if name in others or parameters.count(name) > 1:
            raise FieldError(
                f"The query parameter {name} would have two meanings. Rename the field."
            )
    if has_clashing_dates(fields):
        fields = [
            replace(field, kind=replace(field.kind, response=f"dt.{field.kind.response}"))
            if field.kind.response in {"date", "datetime"}
            else field
            for field in fields
        ]
    return fields


def has_clashing_dates(fields: list[Field]) -> bool:
    """Return whether a field has the name of a type that annotations use."""
    return any(field.name in {"date", "datetime"} for field in fields)


def _parse(text: str, domain: Names, find_domain: FindDomain) -> Field:
    name, colon, rest = text.partition(":")
    if not re.fullmatch("[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise FieldError(
            f"{name!r} is not a valid field name. Use lower-case letters, digits and underscores."
        )
    if len(name) > MAX_NAME:
        raise FieldError(f"The name {name} is longer than {MAX_NAME} characters.")
    if not colon:
        raise FieldError(
            f"The field {name} has no type. Write, for example, {name}:str. Types: {TYPES}."
        )
    found = OPTIONS.search(rest)
    options = set(re.split("[,:]", found[1])) if found else set()
    match = SPECIFICATION.fullmatch(OPTIONS.sub("", rest, count=1))
    if match is None:
        raise _unknown_type(name, rest)
    type_, arguments, default = match["type"], match["arguments"], match["default"]
    optional = bool(match["optional"])
    if arguments is not None and type_ in {"ref", "many"}:
        field = _reference(name, type_, arguments, domain, find_domain)
        if default is not None:
            raise FieldError(f"The field {name} is a reference and cannot have a default.")
        if optional and type_ == "many":
            raise FieldError(
                f"The field {name} is a list, which may be empty. Remove the question mark."
            )
    elif arguments is not None and type_ == "enum":
        kind = _enum(name, arguments, domain)
        field = Field(name, kind, domain, values=tuple(arguments.split(",")))
    elif arguments is None and type_ in KINDS:
        field = Field(name, KINDS[type_], domain)
    else:
        raise _unknown_type(name, rest)
    value = _parse_default(name, type_, field.kind, default)
    return _with_options(replace(field, optional=optional, default=value), type_, options)


def _unknown_type(name: str, text: str) -> FieldError:
    type_, _, options = text.removesuffix("?").partition(":")
    if options and text.endswith("?") and type_ in KINDS:
        return FieldError(f"The question mark follows the type: {name}:{type_}?:{options}")
    type_ = re.split("[?=]", text)[0]
    return FieldError(
        f"The type {type_!r} of the field {name} does not exist. Types: {TYPES}. "
        "Options after the type: unique, filter, sort; several as in :filter:sort."
    )


def _reference(
    name: str, type_: str, target_name: str, domain: Names, find_domain: FindDomain
) -> Field:
    own = target_name == domain.plural
    target = domain if own else find_domain(target_name)
    if target is None:
        raise FieldError(
            f"The field {name} references the domain {target_name}, which does not exist."
        )
    shared = HAS_AUTH and not own and is_shared(target)
    if type_ == "ref":
        field_name = f"{name.removesuffix('_id')}_id"
        return Field(field_name, KINDS["uuid"], domain, references=target, shared=shared)
    if own:
        raise FieldError(f"The field {name} cannot contain {name}. Use ref[{name}]?, as in a tree.")
    if not HAS_DATABASE:
        raise FieldError(f"The field {name} needs a database, which this project does not have.")
    if target.plural == "users":
        raise FieldError(f"The field {name} cannot contain users. Use ref[users].")
    if name != target.plural:
        raise FieldError(f"Use the name of the domain: {target.plural}:many[{target.plural}].")
    # The longest name of a constraint. PostgreSQL truncates names at 63 bytes.
    if len(f"{domain.singular}_{target.plural}_{target.singular}_ids_fkey") > MAX_NAME + 3:
        raise FieldError(
            f"The names {domain.singular} and {target.plural} are too long for a list of IDs. Choose a "
            "shorter name for the domain."
        )
    return Field(f"{target.singular}_ids", MANY, domain, references=target, shared=shared)


def _enum(name: str, arguments: str, domain: Names) -> Kind:
    values = arguments.split(",")
    if any(not re.fullmatch(VALUE, value) for value in values):
        raise FieldError(
            f"The values {arguments!r} of the field {name} are not valid. Separate them by commas, without "
            "spaces, and use lower-case letters, digits, hyphens and underscores."
        )
    if len({member(value) for value in values}) < len(values):
        raise FieldError(f"The field {name} has two equal values.")
    if name in CLASSES:
        raise FieldError(
            f"The enum of the field {name} would have the name of another class. Choose another name."
        )
    return enum_kind(f"{camel(domain.singular)}{camel(name)}", values)


def _parse_default(name: str, type_: str, kind: Kind, default: str | None) -> Any:
    if default is None:
        return NO_DEFAULT
    if kind.parse is None:
        raise FieldError(f"The field {name} of type {type_} cannot have a default.")
    try:
        # As a request would store it: 1.5 becomes 1.50, and spaces around a line are removed.
        return request_type(kind).validate_python(kind.parse(default))
    except (ValueError, InvalidOperation) as error:
        raise FieldError(
            f"{default!r} is not a valid default for {name} of type {type_}."
        ) from error


def _with_options(field: Field, type_: str, options: set[str]) -> Field:
    """Set the options of a field, if its type has them."""
    name, users = field.name, field.references_users
    if options and type_ in {"text", "many"}:
        raise FieldError(
            f"The field {name} of type {type_} cannot have the options {', '.join(sorted(options))}."
        )
    if "unique" in options:
        if not HAS_DATABASE:
            raise FieldError(f"The field {name} can only be unique in a project with a database.")
        if not field.kind.unique or users or field.default is not NO_DEFAULT:
            raise FieldError(
                f"The field {name} cannot be unique. Fields of type str, int, uuid and ref[DOMAIN] without "
                "a default can."
            )
    if field.is_recursive and not field.optional:
        raise FieldError(
            f"The field {name} references its own domain. Make it optional, since the first record cannot "
            f"reference another one: {name.removesuffix('_id')}:ref[{field.domain.plural}]?"
        )
    if "sort" in options and field.references:
        raise FieldError(f"Lists cannot be sorted by {name}: the order of IDs has no meaning.")
    if "sort" in options and field.optional:
        raise FieldError(
            f"Lists cannot be sorted by {name}, which is optional. Give it a default instead, or remove sort."
        )
    if "filter" in options and not field.kind.bounds and name.endswith(("_min", "_max")):
        raise FieldError(
            f"Lists cannot be filtered by {name}: the suffix is for ranges. Rename the field."
        )
    changes: dict[str, Any] = dict.fromkeys(options, True)
    return replace(field, **changes)
