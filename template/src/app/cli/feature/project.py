"""The project as `feature` sees it: its domains, and the places that mention one."""

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

from app.cli.console import PlainError
from app.cli.feature.names import Names, Renaming, kebab

SOURCE, TESTS, PAGES = Path("src/app"), Path("tests"), Path("docs/api")
MAIN, SITE = SOURCE / "main.py", Path("mkdocs.yml")


class FeatureError(PlainError):
    """It cannot be done; says why."""


def domain_names(name: str) -> Names | None:
    """Find out what the things of a domain are called, from its router.

    Args:
        name: Of the domain's folder.

    Returns:
        None when there is no such domain.
    """
    folder = SOURCE / name
    if not (folder / "models.py").exists():
        # People refer to tables, of which a domain may have several: `users` are in `auth`.
        return _table_names(name)
    for schema in (folder / "schemas.py", folder / "models.py"):
        if schema.exists():
            for node in ast.parse(schema.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and _could_be_one_of(node.name, name):
                    return Names(name, _snake(node.name))
    return _table_names(name)


def _table_names(table: str) -> Names | None:
    for models in sorted(SOURCE.glob("*/models.py")):
        for node in ast.walk(ast.parse(models.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and f"'{table}'" in {
                ast.unparse(part.value)
                for part in node.body
                if isinstance(part, ast.Assign) and ast.unparse(part.targets[0]) == "__tablename__"
            }:
                return Names(table, _snake(node.name))
    return None


def _snake(camel_case: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in camel_case).lstrip("_")


def _could_be_one_of(class_name: str, plural: str) -> bool:
    """Tell whether a class may be the thing that a plural is of: the plainest name comes first."""
    return _snake(class_name)[:2] == plural[:2]


def files_of(names: Names) -> Iterator[Path]:
    """Yield the files that make a domain."""
    for folder in (SOURCE / names.plural, TESTS / names.plural):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path
    page = PAGES / f"{kebab(names.plural)}.md"
    if page.exists():
        yield page


def own_fields(names: Names) -> set[str]:
    """Give the fields that a request for a new thing has."""
    for node in ast.parse((SOURCE / names.plural / "schemas.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name.endswith("Create"):
            return {
                part.target.id
                for part in node.body
                if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
            }
    raise FeatureError(f"{SOURCE / names.plural}/schemas.py has no class ...Create to go by.")


def identifiers(paths: list[Path]) -> set[str]:
    """Collect the names that Python files use."""
    return {
        token.string
        for path in paths
        if path.suffix == ".py"
        for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline)
        if token.type == tokenize.NAME
    }


def mount(renaming: Renaming) -> dict[Path, str]:
    """Give the texts of the shared files with the new domain beside the old one.

    Args:
        renaming: From the old one to the new one.

    Raises:
        FeatureError: `main.py` does not mount the old one.
    """
    main = MAIN.read_text(encoding="utf-8")
    places = list(_mentions(main, renaming.old.plural))
    if len(places) < 2:  # noqa: PLR2004  the import, and include_router
        raise FeatureError(
            f"{MAIN} does not import and include the router of {renaming.old.plural}."
        )
    texts = {MAIN: _with_copies(main, places, renaming.code)}
    if SITE.exists() and (PAGES / f"{kebab(renaming.old.plural)}.md").exists():
        site = SITE.read_text(encoding="utf-8")
        places = list(_navigation(site, renaming.old.plural))
        texts[SITE] = _with_copies(site, places, renaming.prose)
    return texts


def unmount(names: Names) -> dict[Path, str]:
    """Give the texts of the shared files without a domain."""
    main = MAIN.read_text(encoding="utf-8")
    texts = {MAIN: _without(main, list(_mentions(main, names.plural)))}
    if SITE.exists():
        site = SITE.read_text(encoding="utf-8")
        texts[SITE] = _without(site, list(_navigation(site, names.plural)))
    return texts


def _mentions(source: str, domain: str) -> Iterator[tuple[int, int]]:
    """Yield the lines, from 1 on, that bring a domain into the application.

    They are the import of its router, its `include_router`, and its entry in the list of tags.
    """
    tree = ast.parse(source)
    routers: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"app.{domain}."):
            routers |= {alias.asname or alias.name for alias in node.names}
            yield node.lineno, node.end_lineno or node.lineno
    for node in ast.walk(tree):
        included = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        if included and {ast.unparse(argument) for argument in node.value.args} & routers:  # type: ignore[attr-defined]
            yield node.lineno, node.end_lineno or node.lineno  # type: ignore[attr-defined]
        if isinstance(node, ast.Dict) and f"'name': '{domain}'" in ast.unparse(node):
            yield node.lineno, node.end_lineno or node.lineno


def _navigation(site: str, domain: str) -> Iterator[tuple[int, int]]:
    page = f"api/{kebab(domain)}.md"
    for number, line in enumerate(site.splitlines(), start=1):
        if line.rstrip().endswith(page):
            yield number, number


def _with_copies(text: str, places: list[tuple[int, int]], rename: object) -> str:
    lines = text.splitlines(keepends=True)
    for first, last in sorted(places, reverse=True):
        block = "".join(lines[first - 1 : last])
        indent = block[: len(block) - len(block.lstrip())]
        # Code is renamed as a statement of its own, so without its indentation.
        lines[last:last] = [indent + rename(block.lstrip())]  # type: ignore[operator]
    return "".join(lines)


def _without(text: str, places: list[tuple[int, int]]) -> str:
    lines = text.splitlines(keepends=True)
    for first, last in sorted(places, reverse=True):
        del lines[first - 1 : last]
    return "".join(lines)
