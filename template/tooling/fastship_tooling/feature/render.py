"""The built-in pattern of a domain."""

from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from fastship_tooling.feature import like
from fastship_tooling.feature.fields import Field, enum_module
from fastship_tooling.feature.kinds import code
from fastship_tooling.feature.names import Names, article, camel, kebab, sentence, words
from fastship_tooling.feature.parse import has_clashing_dates
from fastship_tooling.feature.project import PAGES, SOURCE, TESTS
from fastship_tooling.project import HAS_AUTH, HAS_DATABASE, HAS_DOCS

PATTERN = Path(__file__).with_name("pattern")


@cache
def load_templates() -> jinja2.Environment:
    """Return the templates of the pattern. The checks of a name render them too."""
    return jinja2.Environment(  # noqa: S701  the output is code, not HTML
        loader=jinja2.FileSystemLoader(PATTERN),
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="# {%",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )


def render(
    names: Names, fields: list[Field], *, public: bool = False, superuser: bool = False
) -> dict[Path, str]:
    """Render the built-in pattern.

    Args:
        names: The new domain.
        fields: Its fields.
        public: Whether everyone can read all records.
        superuser: Whether only superusers can call the endpoints that `public` does not open.

    Returns:
        The content of each file.
    """
    owned = HAS_AUTH and not superuser
    elevated = superuser or any(needs_superuser(field) for field in fields)
    links = [field for field in fields if field.many]
    # When one of these users or records is deleted, `updated_at` stays the same.
    versioned = [f for f in fields if f.many or (f.optional and f.references_users)]
    # `operation_id` in main.py derives these singulars from the plural.
    plural = names.plural
    regular = names.singular in {plural[:-1], plural[:-2], f"{plural[:-3]}y"}
    context: dict[str, Any] = {
        "plural": names.plural,
        "singular": names.singular,
        "Plural": camel(names.plural),
        "Singular": camel(names.singular),
        "PLURAL": names.plural.upper(),
        "SINGULAR": names.singular.upper(),
        "plural_words": words(names.plural),
        "singular_words": words(names.singular),
        "Plural_words": sentence(names.plural),
        "singular_kebab": kebab(names.singular),
        "path": kebab(names.plural),
        "article": article(names.singular),
        "Article": article(names.singular).capitalize(),
        "stored": HAS_DATABASE,
        "owned": owned,
        "public": public,
        "superuser": superuser,
        "elevated": elevated,
        "fields": fields,
        "changes": code(like.changes(fields)),
        "required": code([field.name for field in fields if field.required]),
        "invalid": code(like.invalid(fields, checked=True)),
        "body": like.body(fields),
        "referenced": like.referenced(fields),
        "owned_references": like.owned_references(fields) if owned else [],
        "datetime": "dt.datetime" if has_clashing_dates(fields) else "datetime",
        "enum_imports": like.enum_imports(fields),
        "links": links,
        "linked": lambda name: "".join(
            f", {name}.{f.name}" if f.many else f", [{name}.{f.name}]" for f in versioned
        ),
        "operation": lambda verb: "" if regular else f', operation_id="{names.plural}.{verb}"',
        "changeable": any(f.many or like.has_two_examples(f) for f in like.changed(fields)),
        "tables": ", ".join(
            f"{f.name}={f.references.plural.upper()}" for f in fields if f.references
        ),
        "link_columns": "".join(f', func.array({f.ids}).label("{f.name}")' for f in links),
        **list_context(names, fields, owned=owned, public=public),
    }
    constants = [name.partition(":")[0] for name, values in context["lists"].items() if values]
    context["constants"] = ", ".join(["CHANGES", "INVALID", "REQUIRED", *constants])
    source, tests = SOURCE / names.plural, TESTS / names.plural
    rows = ["models", "service"] if HAS_DATABASE else ["store"]
    templates = {
        source / f"{name}.py": f"src/{name}.py.j2"
        for name in ("exceptions", "schemas", *rows, "dependencies", "router")
    }
    templates[tests / "factories.py"] = "tests/factories.py.j2"
    templates[tests / "test_router.py"] = "tests/test_router.py.j2"
    if HAS_DATABASE:
        templates[tests / "test_retries.py"] = "tests/test_retries.py.j2"
    if owned:
        templates[tests / "test_ownership.py"] = "tests/test_ownership.py.j2"
    if superuser:
        templates[tests / "test_access.py"] = "tests/test_access.py.j2"
    if elevated or not HAS_DATABASE:
        templates[tests / "conftest.py"] = "tests/conftest.py.j2"
    if HAS_DOCS:
        templates[PAGES / f"{kebab(names.plural)}.md"] = "page.md.j2"
    return {
        source / "__init__.py": "",
        **(
            {source / "enums.py": enum_module(fields)}
            if any(field.values for field in fields)
            else {}
        ),
        tests / "__init__.py": "",
        **{
            path: load_templates().get_template(template).render(context)
            for path, template in templates.items()
        },
    }


def possible_files(names: Names) -> set[Path]:
    """Return the files of the pattern for every combination of features.

    Args:
        names: The domain.
    """
    folders = {"src": SOURCE / names.plural, "tests": TESTS / names.plural}
    templates = {
        folder / path.stem
        for part, folder in folders.items()
        for path in (PATTERN / part).iterdir()
    }
    return {*templates, folders["src"] / "enums.py"}


def needs_superuser(field: Field) -> bool:
    """Return whether only superusers can create the records that a field references."""
    if field.references is None or field.is_recursive:
        return False
    fixtures = TESTS / field.references.plural / "conftest.py"
    return fixtures.exists() and "is_superuser=True" in fixtures.read_text(encoding="utf-8")


def list_context(names: Names, fields: list[Field], *, owned: bool, public: bool) -> dict[str, Any]:
    """Return the variables of the pattern for filters, order and unique fields.

    Args:
        names: The new domain.
        fields: Its fields.
        owned: Whether the records belong to users.
        public: Whether lists contain the records of all users.
    """
    owner = ["owner_id"] if owned else []
    first = [] if public else owner
    indexes = [["created_at"]]
    for field in fields:
        # Equal values are sorted by time, and ranges by value.
        if field.filter and not field.kind.bounds:
            indexes.append([field.name, "created_at"])
        if field.sort or (field.filter and field.kind.bounds):
            indexes.append([field.name])
    arguments = [f"Index(None, {_strings([*first, *index, 'id'])})" for index in indexes]
    arguments += ['Index(None, "owner_id")'] if owned and public else []
    unique = [field for field in fields if field.unique]
    arguments += [f"UniqueConstraint({_strings([*owner, field.name])})" for field in unique]
    sorts = [field for field in fields if field.sort]
    listed = bool(sorts) or any(field.filter for field in fields)
    orders = [name for field in sorts for name in (field.name, f"-{field.name}")]
    return {
        "table_arguments": arguments,
        "listed": listed,
        "page_query": f"Annotated[schemas.{camel(names.singular)}Params, Query()]"
        if listed
        else "PageQuery",
        "sorts": _strings(["-created_at", "created_at", *orders]) if sorts else "",
        "sort_types": ", ".join(f'"{field.name}": {_sort_type(field)}' for field in sorts),
        "lists": {
            "UNIQUE: list[str]": [field.name for field in unique if not field.is_recursive],
            "OPTIONAL: list[str]": [field.name for field in fields if field.optional],
            "FILTERS: list[tuple[str, str, object]]": like.filters(fields),
            "SORTS: list[str]": orders,
        },
    }


def _sort_type(field: Field) -> str:
    """Return the type of stored values, which may have other spaces and lengths than those of requests."""
    return "Text" if field.kind.request == "Line" else field.kind.request


def _strings(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
