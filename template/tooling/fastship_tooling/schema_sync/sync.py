"""Synchronize the database schema with the models."""

import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from functools import partial
from importlib.util import cache_from_source
from itertools import chain
from pathlib import Path

from alembic import command
from alembic.config import Config
from filelock import FileLock
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from app import migrations
from app.cli.console import CLIError, console
from app.cli.db import VERSIONS, migration_errors, plan, require_connection
from fastship_tooling.database import squawk
from fastship_tooling.project import STATE
from fastship_tooling.schema_sync import branches, renames
from fastship_tooling.schema_sync.changes import REPLACES, is_lossless
from fastship_tooling.schema_sync.history import Draft, History, compare, scratch_database
from fastship_tooling.schema_sync.messages import NOT_APPLIED, remind, report
from fastship_tooling.schema_sync.renames import Rename
from fastship_tooling.schema_sync.state import Created, State, digest


def sync(url: str, confirmed: Sequence[str] = ()) -> None:
    """Apply the migrations, and create one for the changes of the models.

    Args:
        url: Database URL, with the async driver.
        confirmed: Destructive changes to apply, as returned by `destructive_changes`.

    Raises:
        CLIError: Models, migrations and database are inconsistent. Nothing has changed.
    """
    require_connection(url)
    STATE.mkdir(exist_ok=True)
    with FileLock(STATE / "migrations.lock"):
        for old in STATE.glob("tmp*"):  # a process that was ended has left it
            shutil.rmtree(old, ignore_errors=True)
        with migration_errors():
            synchronization = SchemaSync(url, confirmed)
        try:
            with migration_errors():
                synchronization.run()
        except CLIError as error:
            raise CLIError("\n".join([str(error), *synchronization.advice])) from error


class SchemaSync:
    """Applies migrations, creates a missing one, and applies it unless it is destructive.

    Args:
        url: Database URL, with the async driver.
        confirmed: Destructive changes to apply, as returned by `destructive_changes`.
    """

    def __init__(self, url: str, confirmed: Sequence[str]) -> None:
        self.url = url
        self.confirmed = confirmed
        self.state = State(STATE / "migrations.json")
        self.history = History(url)
        self.kept = branches.folder_of(url)
        self.advice: list[str] = []
        self.applied: set[str] = set()

    def run(self) -> None:
        """Synchronize."""
        branches.revert(self.url, self.kept)
        missing = [script.revision for script in plan(self.url, "head")]
        self._remember(self.history.keys() - set(missing))
        self.state.confirm(self.applied)
        held = next(filter(self.state.unconfirmed, missing), None)
        target = self.history.previous(held) if held else self.history.head
        if target in missing:
            self._upgrade(target, missing)
        # The user has edited or committed it, or another migration follows.
        if held and (held != self.history.head or not self._is_rewritable(held)):
            remind("not applied", self.history.path(held), self.state.unconfirmed(held))
            return
        with tempfile.TemporaryDirectory(dir=STATE) as folder:
            staged = self.history.stage(Path(folder), without=[held] if held else [])
            draft = migrations.on_connection(self.url, partial(compare, staged, held))
            self._apply(draft, staged, held, self._rewritable(target))

    def _remember(self, applied: Iterable[str]) -> None:
        self.applied.update(applied)
        branches.remember(self.kept, self.applied)

    def _upgrade(self, target: str, missing: list[str]) -> None:
        self.advice = branches.advice(self.kept, missing)
        migrations.upgrade(self.url, target)
        applied = missing[: missing.index(target) + 1]
        for revision in applied:
            report("applied", self.history.path(revision))
        self._remember(applied)
        for line in self.advice:
            console.print(line, style="yellow", markup=False, soft_wrap=True)
        self.advice = []

    def _apply(
        self, draft: Draft | None, staged: Config, held: str | None, rewritable: list[str]
    ) -> None:
        """Apply the result of a comparison.

        Args:
            draft: Migration for the differences between the models and the database.
            staged: Configuration of the history that contains the draft.
            held: Destructive migration that was created before and is not applied.
            rewritable: Applied migrations that may be rewritten, newest first.
        """
        replaced = [held] if held else []
        confirmed = {*self.confirmed, *chain(*(self.state[each].confirmed for each in rewritable))}
        if draft is None:
            self._remove(replaced)
            if len(rewritable) > 1:
                self._rewrite(rewritable, None, confirmed)
            return
        unconfirmed = bool(set(draft.destructive) - set(self.confirmed))
        if (
            rewritable
            and (not unconfirmed or self._is_undo(draft, staged))
            and self._rewrite([*replaced, *rewritable], staged, set() if unconfirmed else confirmed)
        ):
            return
        # It was asked before if such a migration was created and not applied.
        if unconfirmed and not held and (answered := [*filter(renames.ask, draft.possible)]):
            self._rename(answered)
            return
        if unconfirmed:
            remind(NOT_APPLIED, self._install(draft, replaced), draft.destructive)
            return
        path = self._install(draft, replaced, confirmed=draft.destructive)
        try:
            migrations.upgrade(self.url, draft.revision)
        except DBAPIError as error:
            self.history = History(self.url)
            if migrations.is_lock_failure(error):
                self._remove([draft.revision])
                raise
            self.state[draft.revision].destructive = failure = [
                f"fails: {migrations.reason(error)}"
            ]
            self.state.save()
            remind(NOT_APPLIED, path, failure)
            return
        self._remember([draft.revision])
        report("created and applied", path)
        self._check(path)

    def _rename(self, answered: list[Rename]) -> None:
        """Create another migration, which renames columns, and apply it.

        Args:
            answered: Renames that the models do not declare.
        """
        with tempfile.TemporaryDirectory(dir=STATE) as folder:
            staged = self.history.stage(Path(folder), without=[])
            again = partial(compare, staged, None, answered=answered)
            self._apply(migrations.on_connection(self.url, again), staged, None, [])

    def _is_undo(self, draft: Draft, staged: Config) -> bool:
        """Return whether a destructive change loses no data and exchanges no constraint.

        Args:
            draft: The change.
            staged: Configuration of the history that contains it.
        """
        if any(change.startswith(REPLACES) for change in draft.destructive):
            return False

        def run(connection: Connection, function: Callable[[Config, str], None], to: str) -> None:
            staged.attributes["connection"] = connection
            function(staged, to)

        there = partial(run, function=command.upgrade, to="head")
        back = partial(run, function=command.downgrade, to="-1")
        with suppress(DBAPIError):
            return migrations.on_connection(self.url, partial(is_lossless, there=there, back=back))
        return False

    def _is_rewritable(self, revision: str) -> bool:
        return self.state.is_rewritable(revision, self.history.path(revision))

    def _rewritable(self, revision: str | None) -> list[str]:
        found: list[str] = []
        while revision and self._is_rewritable(revision):
            found.append(revision)
            revision = self.history.previous(revision)
        return found

    def _rewrite(
        self, replaced: list[str], increment: Config | None, confirmed: Collection[str]
    ) -> bool:
        """Replace several migrations by one, and apply the new part of it.

        Args:
            replaced: The migrations, newest first.
            increment: History whose latest revision is missing in the database.
            confirmed: Destructive changes that the new migration may have.

        Returns:
            False if it has others, such as a rename that it would not contain, or if the history cannot
            be applied to a second database for the comparison.
        """
        base = self.history.previous(replaced[-1])
        with tempfile.TemporaryDirectory(dir=STATE) as folder:
            staged = self.history.stage(Path(folder), replaced)
            try:
                with scratch_database(self.url) as scratch:
                    staged.attributes["url"] = scratch
                    if base:
                        command.upgrade(staged, "head")
                    whole = migrations.on_connection(
                        scratch, partial(compare, staged, replaced[-1])
                    )
            except Exception:  # a migration may need rows
                return False
            if whole and not set(whole.destructive) <= set(confirmed):
                return False

            def apply(connection: Connection) -> Path | None:
                if increment:
                    increment.attributes["connection"] = connection
                    command.upgrade(increment, "head")
                staged.attributes["connection"] = connection
                command.stamp(staged, whole.revision if whole else base or "base", purge=True)
                if whole:
                    return self._install(whole, replaced, confirmed=whole.destructive)
                self._remove(replaced)
                return None

            try:
                path = migrations.on_connection(self.url, apply)
            except DBAPIError:  # reported for the increment alone
                return False
        if path and whole:
            self._remember([whole.revision])
            report("rewritten and applied", path)
            self._check(path)
        else:
            console.print("Migration removed: the models have no changes.", style="green")
        return True

    def _install(self, draft: Draft, replaced: list[str], confirmed: Sequence[str] = ()) -> Path:
        """Move a migration to `versions/`.

        Args:
            draft: The migration.
            replaced: Revisions that it replaces.
            confirmed: Its destructive changes that are confirmed.
        """
        path = Path(VERSIONS) / draft.path.name
        content = draft.path.read_bytes()
        # Save the state first: after an interruption, a destructive migration must stay unconfirmed.
        # A comparison would not find the renames again, so a migration with such is not rewritten.
        created = "" if draft.answered else digest(content)
        held = [change for change in draft.destructive if change not in confirmed]
        self.state[draft.revision] = Created(created, held, [*confirmed])
        self.state.save()
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
            # Python does not notice a change within one second, and would use the old bytecode.
            Path(cache_from_source(path)).unlink(missing_ok=True)
        branches.forget(self.kept, [draft.revision, *replaced])
        for revision in replaced:
            old = self.history.path(revision)
            if old.resolve() != path.resolve():
                old.unlink()
            if revision != draft.revision:
                del self.state[revision]
        self.state.save()
        return path

    def _remove(self, revisions: list[str]) -> None:
        for revision in revisions:
            self.history.path(revision).unlink()
            del self.state[revision]
        self.state.save()

    def _check(self, path: Path) -> None:
        """Print what a new migration would block or break in production, or accept it if confirmed."""
        for script in History(self.url).values():
            if Path(script.path).name == path.name:
                if self.confirmed:
                    squawk.accept(script, "confirmed")
                else:
                    squawk.warn(script)
