"""The domains of the project, and the shared files that mention them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from app.cli.console import CLIError
from fastship_tooling.feature.names import Names, kebab, sentence, words
from fastship_tooling.project import HAS_DATABASE

SOURCE, TESTS, PAGES = Path("src/app"), Path("tests"), Path("docs/api")
MAIN, SEEDS = SOURCE / "main.py", TESTS / "seeds.py"


class FeatureError(CLIError):
    """A domain cannot be created or removed."""


def find_domain(name: str) -> Names | None:
    """Return the names of a domain, or of a table of another domain: `users` belongs to `auth`.

    Args:
        name: Plural name.
    """
    for models in sorted(SOURCE.glob("*/models.py")):
        for node in ast.walk(ast.parse(models.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and table_name(node) == name:
                return Names(name, snake(node.name))
    for file in ("models.py", "store.py"):
        path = SOURCE / name / file
        if path.exists():
            for class_ in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(class_, ast.ClassDef) and snake(class_.name)[:2] == name[:2]:
                    return Names(name, snake(class_.name))
    return None


def get_domain(name: str) -> Names:
    """Return the names of a domain that has routes.

    Raises:
        FeatureError: There is no such domain.
    """
    names = find_domain(name) if (SOURCE / name / "router.py").exists() else None
    if names is None and (SOURCE / name).exists():
        raise FeatureError(f"{name} is a part of the application, but not a domain with a table.")
    if names is None:
        raise FeatureError(f"There is no domain {name} in {SOURCE}.")
    return names


def is_shared(names: Names) -> bool:
    """Return whether the rows of a domain belong to no user."""
    models = SOURCE / names.plural / "models.py"
    return models.exists() and "owner_id" not in models.read_text(encoding="utf-8")


def table_name(model: ast.ClassDef) -> str | None:
    """Return the value of `__tablename__` in a class."""
    for node in model.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__tablename__":
            return str(ast.literal_eval(node.value))
    return None


def tables_of(names: Names) -> list[str]:
    """Return the names of the tables of a domain, including those of its links."""
    models = SOURCE / names.plural / "models.py"
    tree = ast.parse(models.read_text(encoding="utf-8")) if models.exists() else ast.Module([], [])
    found = [table_name(node) for node in tree.body if isinstance(node, ast.ClassDef)]
    return [name for name in found if name]


def snake(camel_case: str) -> str:
    """Return a class name in snake case."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in camel_case).lstrip("_")


def files_of(names: Names) -> Iterator[Path]:
    """Yield the files of a domain."""
    for folder in (SOURCE / names.plural, TESTS / names.plural):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path
    page = PAGES / f"{kebab(names.plural)}.md"
    if page.exists():
        yield page


def dependents_of(names: Names) -> list[Path]:
    """Return the files of other domains that reference a domain."""
    own = {SOURCE / names.plural, TESTS / names.plural}
    pattern = re.compile(
        rf'"{names.plural}\.id"|reference\("{names.plural}"|^\s*(from|import) (app|tests)\.{names.plural}\b',
        re.MULTILINE,
    )
    return [
        path
        for folder in (SOURCE, TESTS)
        for path in sorted(folder.rglob("*.py"))
        if path not in {MAIN, SEEDS}
        and not own & set(path.parents)
        and "versions" not in path.parts
        and pattern.search(path.read_text(encoding="utf-8"))
    ]


def mentions_of(names: Names) -> list[Path]:
    """Return the documentation pages that mention a domain."""
    pattern = re.compile(rf"\b({re.escape(words(names.plural))}|{kebab(names.plural)})\b")
    generated = {"changelog.md", "configuration.md"}
    pages = [Path("README.md"), Path("AGENTS.md"), *sorted(Path("docs").rglob("*.md"))]
    pages = [
        page for page in pages if page.name not in generated and page.parent.name != "endpoints"
    ]
    return [
        page for page in pages if page.exists() and pattern.search(page.read_text(encoding="utf-8"))
    ]


def mount(names: Names) -> dict[Path, str]:
    """Return the new content of the shared files, with a new domain.

    Args:
        names: The new domain.

    Raises:
        FeatureError: `main.py` has no routers.
    """
    return {MAIN: _with_router(MAIN.read_text(encoding="utf-8"), names)}


def _with_router(source: str, names: Names) -> str:
    """Add the import of a router, its `include_router`, and its entry in the list of tags."""
    tree = ast.parse(source)
    imports = [
        node
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        and re.fullmatch(r"app\.\w+\.\w*router", node.module or "")
    ]
    included = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and ast.unparse(node).startswith("app.include_router(")
    ]
    tags = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TAGS"
    ]
    if not (imports and included and tags and isinstance(tags[0], ast.List)):
        raise FeatureError(
            f"{MAIN} has no list TAGS, no import of a router, or no `app.include_router(...)`. "
            "`feature new` adds the new domain there. Restore them."
        )
    entry = f'{{"name": "{names.plural}", "description": "{sentence(names.plural)}."}},'
    last_tag, last_router = tags[0].elts[-1], included[-1]  # the health checks
    insertions = [
        (
            imports[-1].end_lineno or 0,
            f"from app.{names.plural}.router import router as {names.plural}_router",
        ),
        (
            last_router.lineno - 1,
            f"{' ' * last_router.col_offset}app.include_router({names.plural}_router, prefix=API)",
        ),
        (last_tag.lineno - 1, f"{' ' * last_tag.col_offset}{entry}"),
    ]
    lines = source.splitlines()
    for number, line in sorted(insertions, reverse=True):
        lines.insert(number, line)
    return "\n".join(lines) + "\n"


def unmount(names: Names) -> dict[Path, str]:
    """Return the new content of the shared files, without a domain."""
    texts = {}
    for path, package in ((MAIN, "app"), (SEEDS, "tests")):
        if path.exists():
            source = path.read_text(encoding="utf-8")
            texts[path] = _without(source, list(_statements(source, f"{package}.{names.plural}.")))
    main = texts[MAIN]
    texts[MAIN] = _without(main, list(_tags(main, names.plural)))
    return texts


def _statements(source: str, module: str) -> Iterator[tuple[int, int]]:
    """Yield the lines of the imports from a module, and of the calls with what they import."""
    tree = ast.parse(source)
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(module):
            imported |= {alias.asname or alias.name for alias in node.names}
            yield node.lineno, node.end_lineno or node.lineno
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            used = {child.id for child in ast.walk(node) if isinstance(child, ast.Name)}
            if used & imported:
                yield node.lineno, node.end_lineno or node.lineno


def _tags(source: str, domain: str) -> Iterator[tuple[int, int]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Dict) and f"'name': '{domain}'" in ast.unparse(node):
            yield node.lineno, node.end_lineno or node.lineno


def _without(text: str, places: list[tuple[int, int]]) -> str:
    lines = text.splitlines(keepends=True)
    for first, last in sorted(places, reverse=True):
        del lines[first - 1 : last]
    return "".join(lines)


def taken_names() -> set[str]:
    """Return the names of the modules and folders, which a new domain must not have."""
    return {path.stem for folder in (SOURCE, TESTS) for path in folder.iterdir()}


def migrations_that_drop(tables: list[str]) -> set[Path]:
    """Return the migrations that drop one of the tables."""
    calls = [f'op.drop_table("{table}"' for table in tables]
    found = set()
    for path in (SOURCE / "migrations/versions").glob("*.py"):
        upgrade = path.read_text(encoding="utf-8").partition("def downgrade")[0]
        if any(call in upgrade for call in calls):
            found.add(path)
    return found


def sync_schema(confirmed: list[str]) -> None:
    """Create and apply the migration.

    Args:
        confirmed: Destructive changes to apply.
    """
    if not HAS_DATABASE:
        return
    from app.cli.db import database_url
    from fastship_tooling.database.connection import require_development
    from fastship_tooling.schema_sync.sync import sync
    from fastship_tooling.settings import default_to_development

    default_to_development()
    with database_url() as url:
        require_development("feature")
        sync(url, confirmed)
