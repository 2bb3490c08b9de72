"""Create a domain as a copy of another one: `feature new --like DOMAIN`."""

import ast
from collections.abc import Callable
from pathlib import Path

from fastship_tooling.feature.fields import Field, enum_module
from fastship_tooling.feature.kinds import KINDS, code
from fastship_tooling.feature.names import Names, Renaming
from fastship_tooling.feature.parse import FieldError, has_clashing_dates
from fastship_tooling.feature.project import (
    SOURCE,
    TESTS,
    FeatureError,
    files_of,
    replace,
    with_imports,
)

# The fields may need any of these. Ruff removes those that are unused.
MODEL_IMPORTS = (
    "from datetime import date, datetime\nfrom decimal import Decimal\nfrom uuid import UUID\n"
)
COLUMN_IMPORTS = (
    "from sqlalchemy import ForeignKey, Numeric, Text, false, true\n"
    "from app.kit.references import reference\n"
)
SCHEMA_IMPORTS = (
    "from pydantic import StrictBool\nfrom app.kit.schemas import "
    "Date, FiniteFloat, Int32, Line, Money, Text, UtcDatetime, omittable\n"
)


def copy_domain(pattern: Names, names: Names, fields: list[Field]) -> dict[Path, str]:
    """Return the files of a new domain that is a copy of another one.

    Args:
        pattern: The domain to copy.
        names: The new domain.
        fields: Fields that replace those of the pattern; empty to keep them.

    Raises:
        FeatureError: The pattern does not have the usual files.
    """
    renaming = Renaming(pattern, names)
    texts = {}
    for path in files_of(pattern):
        rename = renaming.code if path.suffix == ".py" else renaming.prose
        texts[renaming.path(path)] = rename(path.read_text(encoding="utf-8"))
    if fields:
        folder, tests = SOURCE / names.plural, TESTS / names.plural
        _require_plain_fields(pattern, fields, texts)
        texts.pop(folder / "enums.py", None)
        if enums := [field for field in fields if field.values]:
            texts[folder / "enums.py"] = enum_module(enums)
        old = _fields_of(texts.get(folder / "schemas.py", ""), pattern)
        stored = folder / "models.py" in texts
        rows = folder / ("models.py" if stored else "store.py")
        factories = tests / "factories.py"
        texts[rows] = _rows(texts.get(rows, ""), fields, old, stored=stored)
        texts[folder / "schemas.py"] = _schemas(texts[folder / "schemas.py"], fields, old)
        texts[factories] = _factories(texts.get(factories, ""), fields, names)
    return texts


def _require_plain_fields(pattern: Names, fields: list[Field], texts: dict[Path, str]) -> None:
    """Raise an error if other files than those with the fields depend on them."""
    for field in fields:
        options = [name for name in ("unique", "filter", "sort") if getattr(field, name)]
        options += ["many[DOMAIN]"] if field.many else []
        options += ["ref[users]?"] if field.optional and field.references_users else []
        if options:
            raise FieldError(
                f"With --like, the field {field.name} cannot have {' and '.join(options)}: {pattern.plural} "
                "has no code and tests for it that could be copied. Create the domain without --like, or "
                "copy it without this and edit the copy."
            )
    if has_clashing_dates(fields):
        raise FieldError(
            "With --like, no field can be called date or datetime. Choose another name."
        )
    code = "".join(text for path, text in texts.items() if path.suffix == ".py")
    special = {
        "(PageParams)": "filters or an order",
        "association_proxy(": "lists of IDs",
        "updated_at, [": "optional references to users",
        "UniqueConstraint(": "unique fields",
    }
    if found := [description for word, description in special.items() if word in code]:
        raise FeatureError(
            f"{pattern.plural} has {' and '.join(found)}, which depend on its fields. Copy it without fields "
            "and edit the copy, or create the domain without --like."
        )


def _fields_of(schemas: str, pattern: Names) -> set[str]:
    for node in ast.parse(schemas).body:
        if isinstance(node, ast.ClassDef) and node.name.endswith("Create"):
            return {
                part.target.id
                for part in node.body
                if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
            }
    raise FeatureError(f"{SOURCE / pattern.plural}/schemas.py has no class that ends with Create.")


def _rows(source: str, fields: list[Field], old: set[str], *, stored: bool) -> str:
    imports = MODEL_IMPORTS + enum_imports(fields) + (COLUMN_IMPORTS if stored else "")

    def render(field: Field, _class: ast.ClassDef) -> str:
        return field.column if stored else field.attribute

    return with_imports(_in_classes(source, fields, old, render), imports)


def _schemas(source: str, fields: list[Field], old: set[str]) -> str:
    def render(field: Field, class_: ast.ClassDef) -> str:
        if class_.name.endswith("Update"):
            return field.update
        return field.create if class_.name.endswith("Create") else field.response

    return with_imports(
        _in_classes(source, fields, old, render),
        MODEL_IMPORTS + enum_imports(fields) + SCHEMA_IMPORTS,
    )


def enum_imports(fields: list[Field]) -> str:
    """Return the code that imports the enums of fields."""
    return "".join(
        f"from app.{f.domain.plural}.enums import {f.kind.request}\n" for f in fields if f.values
    )


def _in_classes(
    source: str, fields: list[Field], old: set[str], render: Callable[[Field, ast.ClassDef], str]
) -> str:
    """Replace the old fields in each class that has them."""
    replaced: list[tuple[ast.stmt | ast.expr, str]] = []
    for class_ in [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]:
        found = [
            node
            for node in class_.body
            if isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id in old
        ]
        new = "\n".join(f"    {render(field, class_)}" for field in fields)
        replaced += [(node, "" if index else new) for index, node in enumerate(found)]
    return replace(source, replaced)


def _factories(source: str, fields: list[Field], names: Names) -> str:
    values = {
        "CHANGES": code(changes(fields)),
        "REQUIRED": code([field.name for field in fields if field.required]),
        "INVALID": code(invalid(fields, checked=False)),
    }
    if "\nOPTIONAL: " in source:  # with a test for it
        values["OPTIONAL"] = code([field.name for field in fields if field.optional])
    replaced: list[tuple[ast.stmt | ast.expr, str]] = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            if node.target.id in values:
                replaced.append((node.value, values[node.target.id]))
        elif isinstance(node, ast.AsyncFunctionDef) and node.name == f"{names.singular}_body":
            returned = node.body[-1]
            if isinstance(returned, ast.Return) and returned.value:
                replaced.append((returned.value, body(fields)))
    if len(replaced) != len(values) + 1:
        raise FieldError(
            f"tests/{names.plural}/factories.py needs CHANGES, REQUIRED, INVALID and "
            f"{names.singular}_body(), as `feature new` creates them. Without fields, the domain is "
            "copied unchanged."
        )
    imports = "from uuid import uuid4\n" + "".join(
        f"from tests.{target.plural}.factories import create_{target.singular}\n"
        for target in referenced(fields)
    )
    return with_imports(replace(source, replaced), imports)


def changes(fields: list[Field]) -> dict[str, object]:
    """Return the body of an update request in tests."""
    return {
        # The random values of unique fields come before this one in all sort orders.
        field.name: "second"
        if field.unique and field.kind.response == "str"
        else field.kind.examples[1]
        for field in changed(fields)
    }


def changed(fields: list[Field]) -> list[Field]:
    """Return the fields that the tests of updates change."""
    return [field for field in fields if not field.references or field.many]


def filters(fields: list[Field]) -> list[tuple[str, str, object]]:
    """Return query parameters, the fields that they filter by, and values that no record has."""
    largest = 2**31 - 1
    return [
        (
            field.parameters[0],
            field.name,
            largest if field.unique and field.kind.bounds else field.kind.examples[1],
        )
        for field in fields
        if field.filter and has_two_examples(field)
    ]


def has_two_examples(field: Field) -> bool:
    """Return whether records in tests can have different values of a field."""
    return field.kind.examples[0] != field.kind.examples[1] and not field.is_recursive


def invalid(fields: list[Field], *, checked: bool) -> list[tuple[str, object]]:
    """Return the fields with values that are rejected.

    Args:
        fields: The fields.
        checked: Whether references are checked.
    """
    found: list[tuple[str, object]] = []
    for field in fields:
        found += [(field.name, value) for value in field.kind.invalid]
        if field.references and checked:
            missing = KINDS["uuid"].examples[0]
            found.append((field.name, [missing] if field.many else missing))
    return found


def body(fields: list[Field]) -> str:
    """Return the code of the body of a create request in tests."""
    return "{" + ", ".join(f"{field.name!r}: {field.example}" for field in fields) + "}"


def referenced(fields: list[Field]) -> list[Names]:
    """Return the domains whose factories the tests need."""
    targets = {f.target.plural: f.target for f in fields if f.target}
    return [target for _, target in sorted(targets.items())]


def owned_references(fields: list[Field]) -> list[Field]:
    """Return one field for each referenced domain whose rows belong to users."""
    owned = {f.target.plural: f for f in fields if f.target and not f.shared}
    return [field for _, field in sorted(owned.items())]
