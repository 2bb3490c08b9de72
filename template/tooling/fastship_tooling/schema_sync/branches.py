"""Migrations that the database has, but the working tree does not: those of another branch.

The text of each migration is kept next to the data of the development server, so that `dev` can
revert it after its file is gone. Other servers are not changed.
"""

import ast
import re
import runpy
import tempfile
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from shutil import copy
from typing import TYPE_CHECKING

from app.cli.console import CLIError, console
from app.cli.db import VERSIONS, load_history, migration_errors, plan
from fastship_tooling.database import postgres
from fastship_tooling.project import STATE, command_line

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

REVISION = re.compile(r"^revision(?:: *str)? *= *[\"']([\w.-]+)[\"']", re.M)


def folder_of(url: str) -> Path | None:
    """Return the folder of the kept migrations, or None if the server is not that of `dev`.

    Args:
        url: Database URL, with any driver.
    """
    if home := postgres.home_of(url):
        (home / "revisions").mkdir(exist_ok=True)
        return home / "revisions"
    return None


def remember(folder: Path | None, applied: Collection[str]) -> None:
    """Copy the migrations that the database has, as they were applied.

    Args:
        folder: Folder of the kept migrations.
        applied: Revisions that the database has.
    """
    if not folder:
        return
    for file in Path(VERSIONS).glob("*.py"):
        if not (found := REVISION.search(text := file.read_text("utf-8"))):
            continue
        kept, edited = folder / f"{found[1]}.py", folder / f"{found[1]}.edited"
        if found[1] not in applied:
            forget(folder, [found[1]])
        elif not kept.exists():
            kept.write_text(text, "utf-8")
        elif not _is_same(kept, text) and not (edited.exists() and _is_same(edited, text)):
            edited.write_text(text, "utf-8")
            console.print(
                f"{file.name} was edited after it was applied, so the database lacks the edit. Write it as "
                f"another migration ({command_line('db revision --empty')}), or start with an empty "
                f"database: {command_line('db reset')}",
                style="yellow",
                soft_wrap=True,
            )


def _is_same(file: Path, text: str) -> bool:
    """Return whether a kept migration does the same as a text. To parse them takes longer than to read."""
    known = file.read_text("utf-8")
    return known == text or _statements(known) == _statements(text)


def _statements(text: str) -> str:
    """Return what a migration does: its code without comments, format and name."""
    with suppress(SyntaxError):
        module = ast.parse(text)
        named = ast.get_docstring(module) is not None
        return ast.dump(ast.Module(module.body[named:], []))
    return text


def remember_current(url: str) -> None:
    """Copy the migrations that a command has applied.

    Args:
        url: Database URL, with the async driver.
    """
    from sqlalchemy.exc import DBAPIError

    with suppress(CLIError, DBAPIError, OSError):
        missing = {entry.revision for entry in plan(url, "head")}
        remember(folder_of(url), {entry.revision for entry in load_history(url)} - missing)


def forget(folder: Path | None, revisions: Iterable[str]) -> None:
    """Remove the texts of migrations that will be applied again.

    Args:
        folder: Folder of the kept migrations.
        revisions: Their revisions.
    """
    if not folder:
        return
    for revision in revisions:
        for suffix in (".py", ".edited"):
            (folder / f"{revision}{suffix}").unlink(missing_ok=True)


def revert(url: str, folder: Path | None) -> None:
    """Revert the migrations that are not in the working tree. If that loses data, write a backup first.

    Does nothing if the text of such a migration was not kept.

    Args:
        url: Database URL, with the async driver.
        folder: Folder of the kept migrations.

    Raises:
        CLIError: A migration cannot be reverted. Nothing has changed.
    """
    from app import migrations
    from fastship_tooling.database.backup import backup
    from fastship_tooling.schema_sync.changes import is_lossless

    current = migrations.current(url)
    with tempfile.TemporaryDirectory(dir=STATE) as versions:
        missing = _stage(Path(versions).resolve(), url, folder, current)
        if folder is None or not missing:
            return
        names, down, up = _steps(migrations.config(url, Path(versions)), current, missing)
        pointer = folder / f"{missing[0]}.backup"
        pointer.unlink(missing_ok=True)
        try:
            with migration_errors():
                if not migrations.on_connection(url, partial(is_lossless, there=down, back=up)):
                    pointer.write_text(backup().as_posix())
                migrations.on_connection(url, down)
        except (CLIError, NotImplementedError) as error:
            raise CLIError(
                f"The database has a migration that is not in {VERSIONS} and cannot be reverted: {names}."
                f"\n{error}\nSwitch back to its branch, or start with an empty database: "
                f"{command_line('db reset')}"
            ) from error
    console.print(f"Migration reverted, because its file is gone: {names}", style="yellow")
    if pointer.exists():
        console.print(f"Its data is in a backup: {pointer.read_text()}", soft_wrap=True)


def advice(folder: Path | None, revisions: Sequence[str]) -> list[str]:
    """Return how to restore the data that migrations had when they were reverted.

    Args:
        folder: Folder of the kept migrations.
        revisions: Migrations that are applied again.
    """
    pointers = [folder / f"{revision}.backup" for revision in revisions] if folder else []
    return [
        f"{backup} has the data from before this branch was left. To replace the current data by it: "
        f"{command_line(f'db restore {backup}')}"
        for pointer in pointers
        if pointer.exists() and Path(backup := pointer.read_text()).exists()
    ]


def _stage(versions: Path, url: str, folder: Path | None, current: Sequence[str]) -> list[str]:
    """Copy the migrations to a folder, with those that are missing in the working tree.

    Returns:
        The missing revisions, those of the database first. Empty if a text was not kept.
    """
    history = {entry.revision: entry for entry in load_history(url)}
    missing = [revision for revision in current if revision not in history]
    for entry in history.values() if missing else ():
        copy(entry.path, versions)
    for revision in missing:  # the loop appends to this list
        if folder is None or not (text := folder / f"{revision}.py").exists():
            return []
        copy(text, versions / f"kept_{text.name}")
        below = runpy.run_path(str(text))["down_revision"]
        below = [below] if isinstance(below, str) else below or []
        missing += [each for each in below if each not in history and each not in missing]
    return missing


def _steps(
    config: "Config", current: Sequence[str], missing: Sequence[str]
) -> "tuple[str, Callable[[Connection], None], Callable[[Connection], None]]":
    """Return the names of the missing migrations, how to revert them, and how to apply them again."""
    from alembic.runtime.environment import EnvironmentContext
    from alembic.runtime.migration import MigrationStep
    from alembic.script import ScriptDirectory

    directory = ScriptDirectory.from_config(config)
    applied = directory.iterate_revisions(tuple(current), "base")
    scripts = [script for script in applied if script.revision in missing]
    down, up = MigrationStep.downgrade_from_script, MigrationStep.upgrade_from_script

    def run(connection: "Connection", steps: list[MigrationStep]) -> None:
        config.attributes["connection"] = connection
        with EnvironmentContext(config, directory, fn=lambda *_: steps):
            directory.run_env()

    return (
        ", ".join(str(script.doc).removesuffix(".") for script in scripts),
        partial(run, steps=[down(directory.revision_map, script) for script in scripts]),
        partial(run, steps=[up(directory.revision_map, script) for script in scripts[::-1]]),
    )
