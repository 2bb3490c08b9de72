"""The domains of the project, and the shared files that mention them."""

import ast
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from app.cli.console import CLIError
from fastship_tooling.feature.names import Names, kebab, words
from fastship_tooling.project import HAS_DATABASE

SOURCE, TESTS, PAGES = Path("src/app"), Path("tests"), Path("docs/api")
DOMAINS, SEEDS = SOURCE / "domains.py", TESTS / "seeds.py"


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
    store = SOURCE / name / "store.py"
    if store.exists():
        body = ast.parse(store.read_text(encoding="utf-8")).body
        classes = [node.name for node in body if isinstance(node, ast.ClassDef)]
        for class_ in classes:
            if f"{class_}Store" in classes:
                return Names(name, snake(class_))
    return None


def get_domain(name: str) -> Names:
    """Return the names of a domain that has routes.

    Raises:
        FeatureError: There is no such domain.
    """
    names = find_domain(name) if (SOURCE / name / "router.py").exists() else None
    if names is None:
        found = sorted(path.parent.name for path in SOURCE.glob("*/router.py"))
        domains = [domain for domain in found if find_domain(domain)]
        problem = f"There is no domain {name} in {SOURCE}."
        if (SOURCE / name).exists():
            problem = f"{name} is a part of the application, but not a domain with a table."
        raise FeatureError(f"{problem} Domains: {', '.join(domains) or 'none'}.")
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
        if path not in {DOMAINS, SEEDS}
        and not own & set(path.parents)
        and "versions" not in path.parts
        and pattern.search(path.read_text(encoding="utf-8"))
    ]


def require_unused(names: Names) -> None:
    """Check that a domain can be removed.

    Raises:
        FeatureError: Other code uses it.
    """
    if dependents := dependents_of(names):
        files = "\n".join(f"  {path}" for path in dependents)
        raise FeatureError(f"Other code uses {names.plural}. Change it first:\n{files}")


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
        FeatureError: `domains.py` has no lists of the routers and tags.
    """
    router = f"{names.plural}_router"
    description = f"Create, read, update and delete {words(names.plural)}."
    source = DOMAINS.read_text(encoding="utf-8")
    for name, entry in (
        ("TAGS", f'{{"name": "{names.plural}", "description": "{description}"}}'),
        ("ROUTERS", router),
    ):
        source = _with_entry(source, name, entry)
    statement = f"from app.{names.plural}.router import router as {router}\n"
    return {DOMAINS: with_imports(source, statement)}


def _lists(source: str) -> dict[str, ast.List]:
    """Return the lists that a module defines, by name."""
    return {
        ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0]): node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.List)
    }


def _with_entry(source: str, name: str, entry: str) -> str:
    """Add an entry at the end of a list."""
    found = _lists(source).get(name)
    if found is None:
        raise FeatureError(
            f"{DOMAINS} has no list {name}. `feature new` adds the new domain there. Restore it."
        )
    if not found.elts:
        # The comma makes Ruff write one entry per line.
        return replace(source, [(found, f"[{entry},]")])
    last = found.elts[-1]
    return replace(source, [(last, f"{ast.get_source_segment(source, last)}, {entry}")])


def unmount(names: Names) -> dict[Path, str]:
    """Return the new content of the shared files, without a domain."""
    texts = {}
    for path, package in ((DOMAINS, "app"), (SEEDS, "tests")):
        if path.exists():
            source = path.read_text(encoding="utf-8")
            texts[path] = _without(source, f"{package}.{names.plural}.", names.plural)
    return texts


def _without(source: str, module: str, domain: str) -> str:
    """Remove the imports from a module, the calls with what they import, and the entries of lists."""
    tree = ast.parse(source)
    imports = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(module)
    ]
    imported = {alias.asname or alias.name for node in imports for alias in node.names}

    def belongs(node: ast.AST) -> bool:
        used = {child.id for child in ast.walk(node) if isinstance(child, ast.Name)}
        return bool(used & imported) or f"'name': '{domain}'" in ast.unparse(node)

    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and belongs(node)]
    removed: list[tuple[ast.stmt | ast.expr, str]] = [(node, "") for node in [*imports, *calls]]
    for found in _lists(source).values():
        if any(belongs(entry) for entry in found.elts):
            kept = [ast.get_source_segment(source, e) for e in found.elts if not belongs(e)]
            removed.append((found, f"[{', '.join(map(str, kept))}{',' if kept else ''}]"))
    return replace(source, removed)


def replace(source: str, nodes: Sequence[tuple[ast.stmt | ast.expr, str]]) -> str:
    """Replace nodes by text.

    Args:
        source: Python code.
        nodes: Statements and expressions, and their replacements.
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


def with_imports(source: str, imports: str) -> str:
    """Add imports after the existing ones. Ruff sorts them."""
    lines = source.splitlines(keepends=True)
    tree = ast.parse(source)
    found = [n.end_lineno or 0 for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    at = max(found, default=0)
    return "".join([*lines[:at], imports, *lines[at:]])


def taken_names() -> set[str]:
    """Return the names of the modules and folders, which a new domain must not have."""
    return {
        path.stem
        for folder in (SOURCE, TESTS)
        for path in folder.iterdir()
        # Git leaves folders behind that only contain caches.
        if path.is_file()
        or any(each.is_file() and "__pycache__" not in each.parts for each in path.rglob("*"))
    }


def migrations_that_drop(tables: list[str]) -> set[Path]:
    """Return the migrations that drop one of the tables."""
    calls = [f'op.drop_table("{table}"' for table in tables]
    found = set()
    for path in (SOURCE / "migrations/versions").glob("*.py"):
        upgrade = path.read_text(encoding="utf-8").partition("def downgrade")[0]
        if any(call in upgrade for call in calls):
            found.add(path)
    return found


def start_database() -> AbstractContextManager[None]:
    """Return a context that starts the development database, if the migration needs it."""
    if not HAS_DATABASE:
        return nullcontext()
    from fastship_tooling.database.connection import start_in_background

    return start_in_background()


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
