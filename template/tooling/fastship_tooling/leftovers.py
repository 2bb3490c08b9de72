"""Files that use code which an update of the template has removed."""

import ast
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from app.cli.console import CLIError
from fastship_tooling import git

SOURCE, TESTS = Path("src/app"), Path("tests")
EXAMPLE = (SOURCE / "items", TESTS / "items")
CONFLICT = "conflict (<<<<<<<)"
MARKER = re.compile("^<<<<<<< ", re.MULTILINE)


class Leftovers(NamedTuple):
    """Files that use removed code, and how to correct them.

    Args:
        problem: The files, and what each imports.
        advice: Suggested fix.
    """

    problem: str
    advice: str

    def __str__(self) -> str:
        return f"{self.problem}\n{self.advice}"


def describe_leftovers(*folders: Path) -> Leftovers | None:
    """Return the problem and its fix, or None if no file uses removed code.

    Args:
        folders: Where to search; by default the application and its tests, and all files for conflicts.
    """
    found = find_leftovers(*folders)
    if not folders and shutil.which("git"):
        names = git.run("grep", "-lE", MARKER.pattern).stdout.splitlines()
        found |= {Path(name): [CONFLICT] for name in names}
    if not found:
        return None
    files = (f"\n  {path.as_posix()}: {', '.join(problems)}" for path, problems in found.items())
    example = " ".join(path.as_posix() for path in EXAMPLE if any(path.glob("*.py")))
    advice = "Edit them."
    if (SOURCE / "items/router.py").exists():
        advice += f" The same changes of the example: git diff HEAD -- {example}"
    elif example:
        advice += "\nThe example was removed; an update added files of it. "
        advice += f"Delete them: rm -r {example}"
    if commands := _commands({path.parent.name for path in found}):
        advice += (
            "\nOr write the code of these domains again from their fields, without your edits:"
        )
        advice += "".join(f"\n  {command}" for command in commands)
    return Leftovers(
        f"Files import modules that this project does not have, or contain conflicts:{''.join(files)}",
        advice,
    )


def _commands(folders: set[str]) -> list[str]:
    """Return the commands that write domains again, referenced domains first."""
    from fastship_tooling.feature.project import find_domain
    from fastship_tooling.feature.read import command_of

    commands: dict[str, str] = {}
    for folder in sorted(folders - {"items"}):
        # The code of the user may be unusual or broken.
        with suppress(CLIError, SyntaxError):
            if (SOURCE / folder / "router.py").exists() and (names := find_domain(folder)):
                commands[folder] = command_of(names)
    ordered: list[str] = []
    while commands:
        waiting = [
            n for n, text in commands.items() if any(f"[{m}]" in text for m in commands if m != n)
        ]
        # Domains that reference each other are in any order.
        ready = next((name for name in commands if name not in waiting), next(iter(commands)))
        ordered.append(commands.pop(ready))
    return ordered


def find_leftovers(*folders: Path) -> dict[Path, list[str]]:
    """Return the files with conflicts or with imports of modules that do not exist, and these modules.

    Args:
        folders: Where to search; by default the application and its tests.
    """
    found: dict[Path, list[str]] = {}
    for folder in folders or (SOURCE, TESTS):
        for path in sorted(folder.rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if MARKER.search(text):
                found[path] = [CONFLICT]
                continue
            try:
                tree = ast.parse(text)
            except SyntaxError:
                continue  # not the result of an update
            if missing := sorted({name for name in _imports(tree) if not _exists(name)}):
                found[path] = missing
    return found


def _imports(tree: ast.Module) -> Iterator[str]:
    """Yield the modules of the project that a file imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
            # Only a package can contain modules: `from app.kit import redis`.
            if _is_empty_package(node.module):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.startswith(("app.", "tests.")))


def _path(module: str) -> Path:
    return Path("src" if module.partition(".")[0] == "app" else "", *module.split("."))


def _exists(module: str) -> bool:
    path = _path(module)
    # A folder that only contains caches is left over, too.
    return path.with_suffix(".py").exists() or any(path.glob("*.py"))


def _is_empty_package(module: str) -> bool:
    package = _path(module) / "__init__.py"
    if not package.exists():
        return False
    try:
        body = ast.parse(package.read_text(encoding="utf-8")).body
    except SyntaxError:
        return False
    return all(isinstance(node, ast.Expr) for node in body)  # nothing, or a docstring
