"""One look at the models, and what follows from it."""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from shutil import copy

from alembic import command
from alembic.config import Config
from filelock import FileLock
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from app import migrations
from app.cli.auto_migrate.history import (
    Draft,
    History,
    MigrationError,
    compare,
    scratch_database,
)
from app.cli.auto_migrate.memory import Memory, Written, digest
from app.cli.console import console, load_settings
from app.cli.database import VERSIONS
from app.cli.dev import STATE
from app.config import SLUG


def follow_settings() -> None:
    """Bring models, migrations and the database that the settings name in step."""
    if url := load_settings().database.url:
        follow(url.get_secret_value())


def follow(url: str, agreed: Sequence[str] = ()) -> None:
    """Bring models, migrations and database in step.

    Args:
        url: The database, with the async driver.
        agreed: Losses that are wanted, as `losses` says them.

    Raises:
        MigrationError: They do not go together, or a statement failed. Nothing has changed then.
    """
    STATE.mkdir(exist_ok=True)
    with FileLock(STATE / "migrations.lock"):
        try:
            Follower(url, agreed).follow()
        except DBAPIError as error:
            raise MigrationError(
                f"The database refuses the migration: {migrations.reason(error)}"
            ) from error


class Follower:
    """Applies what there is, writes what is missing, and applies that too if nothing is lost.

    Args:
        url: The database, with the async driver.
        agreed: Losses that are wanted, as `losses` says them.
    """

    def __init__(self, url: str, agreed: Sequence[str]) -> None:
        self.url = url
        self.agreed = agreed
        self.memory = Memory(STATE / "migrations.json")
        self.history = History(url)

    def follow(self) -> None:
        """Do it."""
        head = self.history.head
        current = self.history.check(self.url)
        held = head if self.memory.waits(head) and current != head else None
        target = self.history.before(held) if held else head
        if target and current != target:
            migrations.upgrade(self.url, target)
        if held and not self._is_ours(held):  # edited, or committed: it is the user's to apply
            self._remind(self.history.path(held), self.memory.waits(held))
            return
        with tempfile.TemporaryDirectory(dir=STATE) as folder:
            staged = self._stage(Path(folder), without=[held] if held else [])
            draft = migrations.on_connection(self.url, partial(compare, staged, held))
            self._settle(draft, staged, held, self._rewritable(target))

    def _settle(
        self, draft: Draft | None, staged: Config, held: str | None, ours: list[str]
    ) -> None:
        """Do what a comparison asks for.

        Args:
            draft: What the models have and the database has not.
            staged: The history with the draft.
            held: The revision that has waited so far.
            ours: The revisions that are applied, but may still be rewritten, the newest first.
        """
        replaced = [held] if held else []
        if draft is None:
            self._remove(replaced)
            if len(ours) > 1:
                self._rewrite(ours, None)
        elif set(draft.losses) - set(self.agreed):
            self._remind(self._install(draft, replaced), draft.losses)
        elif not (ours and self._rewrite([*replaced, *ours], staged)):
            draft.losses = []
            path = self._install(draft, replaced)
            try:
                migrations.upgrade(self.url, draft.revision)
            except DBAPIError:
                self.history = History(self.url)
                self._remove([draft.revision])
                raise
            _say("written and applied", path)

    def _is_ours(self, revision: str) -> bool:
        return self.memory.is_ours(revision, self.history.path(revision))

    def _rewritable(self, tip: str | None) -> list[str]:
        ours: list[str] = []
        while tip and self._is_ours(tip):
            ours.append(tip)
            tip = self.history.before(tip)
        return ours

    def _stage(self, folder: Path, without: list[str]) -> Config:
        """Make a copy of the history, to try things with.

        Args:
            folder: Where.
            without: Revisions that are left out.
        """
        versions = folder.resolve() / "versions"
        versions.mkdir()
        for revision in self.history.keys() - set(without):
            copy(self.history.path(revision), versions)
        return migrations.config(self.url, versions)

    def _rewrite(self, replaced: list[str], increment: Config | None) -> bool:
        """Write one revision in place of several, and apply what is new in it.

        Args:
            replaced: The revisions, the newest first.
            increment: History whose newest revision is what the database lacks.

        Returns:
            Whether it could be done: the server may refuse a second database to compare with.
        """
        base = self.history.before(replaced[-1])
        with tempfile.TemporaryDirectory(dir=STATE) as folder:
            staged = self._stage(Path(folder), replaced)
            try:
                with scratch_database(self.url) as scratch:
                    staged.attributes["url"] = scratch
                    if base:
                        command.upgrade(staged, "head")
                    whole = migrations.on_connection(
                        scratch, partial(compare, staged, replaced[-1])
                    )
            except DBAPIError:
                return False

            def apply(connection: Connection) -> Path | None:
                if increment:
                    increment.attributes["connection"] = connection
                    command.upgrade(increment, "head")
                staged.attributes["connection"] = connection
                command.stamp(staged, whole.revision if whole else base or "base", purge=True)
                if whole:
                    whole.losses = []
                    return self._install(whole, replaced)
                self._remove(replaced)
                return None

            path = migrations.on_connection(self.url, apply)
        if path:
            _say("rewritten and applied", path)
        else:
            console.print("Migration removed: the models are as they were.", style="green")
        return True

    def _install(self, draft: Draft, replaced: list[str]) -> Path:
        """Put a revision into its place.

        Args:
            draft: The revision.
            replaced: Revisions that it stands for from now on.
        """
        path = VERSIONS / draft.path.name
        content = draft.path.read_bytes()
        # Remembered first: should this be interrupted, what waits must not be taken for agreed.
        self.memory[draft.revision] = Written(digest(content), draft.losses)
        self.memory.save()
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
        for revision in replaced:
            old = self.history.path(revision)
            if old.resolve() != path.resolve():
                old.unlink()
            if revision != draft.revision:
                del self.memory[revision]
        self.memory.save()
        return path

    def _remove(self, revisions: list[str]) -> None:
        for revision in revisions:
            self.history.path(revision).unlink()
            del self.memory[revision]
        self.memory.save()

    def _remind(self, path: Path, waiting: list[str]) -> None:
        _say("written, but not applied", path, style="yellow")
        for line in waiting:
            console.print(f"  It {line}.", style="yellow", markup=False, soft_wrap=True)
        console.print(
            f"Read it, change it if need be, then: uv run {SLUG} db upgrade",
            style="yellow",
            soft_wrap=True,
        )


def _say(what: str, path: Path, style: str = "green") -> None:
    shown = path.relative_to(Path.cwd()) if path.is_absolute() else path
    console.print(f"Migration {what}: {shown.as_posix()}", style=style, soft_wrap=True)
