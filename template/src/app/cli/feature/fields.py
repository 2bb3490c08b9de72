"""The fields of a new domain: what is said on the command line, and what it becomes in code."""

import ast
import keyword
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from app.cli.console import PlainError
from app.cli.feature.names import Names, words

MAX_NAME = 60  # PostgreSQL cuts names at 63
TAKEN = {"id", "created_at", "updated_at", "owner", "owner_id", "metadata", "registry", "changes"}
TAKEN |= {"copy", "construct", "dict", "json", "parse_obj", "schema", "validate"}  # of Pydantic


class FieldError(PlainError):
    """A field cannot be made; says why."""


@dataclass(frozen=True)
class Kind:
    """A kind of field.

    Args:
        accepted: Type in the schemas of requests.
        given: Type in models and in the schemas of responses.
        column: Arguments of `mapped_column`, as code.
        examples: Two values as JSON has them.
        refused: Values that are not accepted.
        imports: What the types and the column need, as code.
    """

    accepted: str
    given: str
    column: str
    examples: tuple[Any, Any]
    refused: tuple[Any, ...]
    imports: tuple[str, ...] = ()


KINDS = {
    "str": Kind(
        "Line", "str", "Text", ("First", "Second"), (" ", "x" * 201, "\x00", 1),
        ("from sqlalchemy import Text",),
    ),
    "text": Kind(
        "Text", "str", "Text", ("First\nline", "Second\nline"),
        ("x" * 10_001, "\x00", 1), ("from sqlalchemy import Text",),
    ),
    "int": Kind("Whole", "int", "", (3, 4), ("3", 2**31, True)),
    "float": Kind("Real", "float", "", (1.5, 2.5), ("1.5", True)),
    "decimal": Kind(
        "Amount", "Decimal", "Numeric(12, 2)", ("19.90", "24.50"), ("0.001", "1e11", "much"),
        ("from decimal import Decimal", "from sqlalchemy import Numeric"),
    ),
    "bool": Kind("Flag", "bool", "", (True, False), (0, "yes")),
    "date": Kind(
        "Day", "date", "", ("2026-05-17", "2026-06-01"), (0, "soon"),
        ("from datetime import date",),
    ),
    "datetime": Kind(
        "Moment", "datetime", "", ("2026-05-17T12:00:00Z", "2026-06-01T09:30:00Z"),
        (0, "soon", "2026-05-17T12:00:00"), ("from datetime import datetime",),
    ),
    "uuid": Kind(
        "UUID", "UUID", "",
        ("370f3d98-7397-4ddb-8f31-0102f2a9a3dc", "0b8f4d52-3a4e-4f0a-9d0e-5f3f3a1c7b21"),
        (1, "none"), ("from uuid import UUID",),
    ),
}  # fmt: skip
REFERENCE = re.compile(r"ref\[([a-z][a-z0-9_]*)\]")


@dataclass(frozen=True)
class Field:
    """A field of the new domain.

    Args:
        name: Of the attribute and the column.
        kind: What it holds.
        refers_to: The domain that it points to.
    """

    name: str
    kind: Kind
    refers_to: Names | None = None

    @property
    def label(self) -> str:
        """What people call it."""
        return words(self.name.removesuffix("_id") if self.refers_to else self.name)


def parse(
    texts: list[str], find_domain: Callable[[str], Names | None], reserved: set[str]
) -> list[Field]:
    """Read fields such as `price:decimal` and `author:ref[users]`.

    Args:
        texts: As they were given.
        find_domain: Gives the names of a domain that can be referred to.
        reserved: Names that the code of the domain uses for something else.

    Raises:
        FieldError: One is not possible; says why.
    """
    fields = [_parse(text, find_domain) for text in texts]
    for index, field in enumerate(fields):
        if field.name in TAKEN | reserved or field.name.startswith("model_"):
            raise FieldError(
                f"{field.name} is a name that every record or its code has: take another."
            )
        if field.name in {other.name for other in fields[:index]}:
            raise FieldError(f"There are two fields called {field.name}.")
    return fields


def _parse(text: str, find_domain: Callable[[str], Names | None]) -> Field:
    name, colon, type_ = text.partition(":")
    possible = ", ".join([*KINDS, "ref[DOMAIN]"])
    if not re.fullmatch("[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise FieldError(f"{name!r} cannot name a field: use lower-case letters, digits and _.")
    if len(name) > MAX_NAME:
        raise FieldError(f"{name} is longer than {MAX_NAME} characters.")
    if not colon:
        raise FieldError(f"Say what {name} holds, such as {name}:str. There are {possible}.")
    if reference := REFERENCE.fullmatch(type_):
        domain = find_domain(reference[1])
        if domain is None:
            raise FieldError(f"There is no domain {reference[1]} that {name} could refer to.")
        return Field(f"{name.removesuffix('_id')}_id", KINDS["uuid"], domain)
    if type_ not in KINDS:
        raise FieldError(f"{type_!r} is no type that {name} could have. There are {possible}.")
    return Field(name, KINDS[type_])


class Fields:
    """Puts fields into a copy of the pattern, in place of the pattern's own.

    Args:
        fields: The new ones.
        names: Of the new domain.
        old: Names of the pattern's fields.
        stored: Whether there are tables, which know what there is to refer to.
    """

    def __init__(self, fields: list[Field], names: Names, old: set[str], *, stored: bool) -> None:
        self.fields = fields
        self.names = names
        self.old = old
        self.stored = stored

    def models(self, source: str) -> str:
        """Rewrite `models.py`: columns of a table, or fields of a plain class."""
        imports = {line for field in self.fields for line in field.kind.imports}
        if not self.stored:
            imports = {line for line in imports if "sqlalchemy" not in line}
        elif any(field.refers_to for field in self.fields):
            imports.add("from sqlalchemy import ForeignKey")
        source = self._in_classes(source, self._column if self.stored else self._attribute)
        return with_imports(source, imports)

    def schemas(self, source: str) -> str:
        """Rewrite `schemas.py`."""
        imports = {line for field in self.fields for line in field.kind.imports}
        imports = {line for line in imports if "sqlalchemy" not in line}
        imports |= {
            f"from app.kit.schemas import {field.kind.accepted}"
            for field in self.fields
            if field.kind.accepted != field.kind.given
        }
        return with_imports(self._in_classes(source, self._schema), imports)

    def _in_classes(self, source: str, make: Callable[[Field, ast.ClassDef], str]) -> str:
        tree = ast.parse(source)
        replaced: list[tuple[ast.stmt, str]] = []
        for class_ in [node for node in tree.body if isinstance(node, ast.ClassDef)]:
            old = [
                node
                for node in class_.body
                if isinstance(node, ast.AnnAssign)
                and isinstance(node.target, ast.Name)
                and node.target.id in self.old
            ]
            new = "\n".join(f"    {make(field, class_)}" for field in self.fields)
            replaced += [(node, "" if index else new) for index, node in enumerate(old)]
        return replace(source, replaced)

    def _column(self, field: Field, _class: ast.ClassDef) -> str:
        if field.refers_to:
            target = f'ForeignKey("{field.refers_to.plural}.id", ondelete="CASCADE"), index=True'
            return f"{field.name}: Mapped[UUID] = mapped_column({target})"
        column = f" = mapped_column({field.kind.column})" if field.kind.column else ""
        return f"{field.name}: Mapped[{field.kind.given}]{column}"

    def _attribute(self, field: Field, _class: ast.ClassDef) -> str:
        return f"{field.name}: {field.kind.given}"

    def _schema(self, field: Field, class_: ast.ClassDef) -> str:
        accepted = field.kind.accepted
        example = f"examples=[{field.kind.examples[0]!r}]"
        if class_.name.endswith("Update"):
            return f'{field.name}: {accepted} | None = Field(None, description="Its new {field.label}.")'
        type_ = accepted if class_.name.endswith("Create") else field.kind.given
        return f'{field.name}: {type_} = Field(description="Its {field.label}.", {example})'

    def factories(self, source: str) -> str:
        """Rewrite what tests send.

        Raises:
            FieldError: The pattern's `factories.py` does not have the parts that would change.
        """
        tree = ast.parse(source)
        values = {
            "CHANGE": {f.name: f.kind.examples[1] for f in self.fields if not f.refers_to},
            "REQUIRED": [field.name for field in self.fields],
            "REFUSED": [(f.name, value) for f in self.fields for value in self._refused(f)],
        }
        replaced: list[tuple[ast.stmt | ast.expr, str]] = [
            (node.value, _code(values[node.target.id]))
            for node in tree.body
            if isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id in values
            and node.value
        ]
        replaced += [
            (node.body[-1].value, self._example())
            for node in tree.body
            if isinstance(node, ast.AsyncFunctionDef)
            and node.name == f"new_{self.names.singular}"
            and isinstance(node.body[-1], ast.Return)
            and node.body[-1].value
        ]
        if len(replaced) != len(values) + 1:
            raise FieldError(
                f"tests/{self.names.plural}/factories.py would need CHANGE, REQUIRED, REFUSED and "
                f"new_{self.names.singular}(), as those of items have them. Without fields, the "
                "pattern is copied as it is."
            )
        imports = {
            f"from tests.{to.plural}.factories import create_{to.singular}"
            for field in self.fields
            if (to := field.refers_to) and to.plural != "users"
        }
        return with_imports(replace(source, replaced), imports)

    def _refused(self, field: Field) -> tuple[Any, ...]:
        nobody = field.kind.examples[:1] if field.refers_to and self.stored else ()
        return (*field.kind.refused, *nobody)

    def _example(self) -> str:
        entries = [f"{f.name!r}: {_reference(f) or _code(f.kind.examples[0])}" for f in self.fields]
        return "{" + ", ".join(entries) + "}"


def _reference(field: Field) -> str:
    """Make the code by which a test gets the id of what a field refers to."""
    if field.refers_to is None:
        return ""
    if field.refers_to.plural == "users":
        return '(await client.get("/api/v1/auth/me")).json()["id"]'
    return f'(await create_{field.refers_to.singular}(client))["id"]'


def _code(value: object) -> str:
    """Write a value as code; long runs of a letter as a product."""
    return re.sub(r"'(x+)'", lambda m: f"'x' * {len(m[1])}" if len(m[1]) > 1 else m[0], repr(value))


def replace(source: str, nodes: Sequence[tuple[ast.stmt | ast.expr, str]]) -> str:
    """Put texts in place of nodes.

    Args:
        source: Python source.
        nodes: Statements and expressions of it, and what each becomes; a statement, with its line.
    """
    lines = source.splitlines(keepends=True)
    for node, text in sorted(nodes, key=lambda pair: pair[0].lineno, reverse=True):
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        if isinstance(node, ast.stmt):
            lines[first : last + 1] = [text + "\n"] if text else []
            continue
        # Offsets count bytes.
        head = lines[first].encode()[: node.col_offset].decode()
        tail = lines[last].encode()[node.end_col_offset or 0 :].decode()
        lines[first : last + 1] = [head + text + tail]
    return "".join(lines)


def with_imports(source: str, imports: set[str]) -> str:
    """Add imports after the ones that are there; ruff sorts them and takes out what is not used."""
    lines = source.splitlines(keepends=True)
    tree = ast.parse(source)
    found = [n.end_lineno or 0 for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    at = max(found, default=0)
    return "".join([*lines[:at], *(f"{line}\n" for line in sorted(imports)), *lines[at:]])
