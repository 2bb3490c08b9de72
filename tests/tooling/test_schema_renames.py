"""Renamed columns. The data of the table shows whether they were recognized."""

# ruff: noqa: F811
import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from fastship_tooling.schema_sync import renames
from fastship_tooling.schema_sync.renames import Rename
from fastship_tooling.schema_sync.sync import sync

from app import migrations
from app.cli.console import CLIError
from app.kit.enums import ENUM
from tests.databases import execute
from tests.tooling.conftest import Git
from tests.tooling.schema import (
    Declare,
    column,
    columns_of,
    commit_all,
    created,
    declare,  # noqa: F401
    insert,
    url,  # noqa: F401
    versions,  # noqa: F401
)

HINT = {"renamed_from": "size"}


def rows(url: str) -> list[tuple[Any, ...]]:
    def read(connection: sa.Connection) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in connection.execute(sa.text("SELECT * FROM things"))]

    return migrations.on_connection(url, read)


def names(url: str) -> set[str]:
    """Return the names of constraints and indexes."""

    def read(connection: sa.Connection) -> set[str]:
        query = (
            "SELECT conname FROM pg_constraint WHERE conrelid = 'things'::regclass AND contype <> 'n' "
            "UNION SELECT indexname FROM pg_indexes WHERE tablename = 'things'"
        )
        return set(connection.execute(sa.text(query)).scalars())

    return migrations.on_connection(url, read) - {"things_pkey"}


def texts(versions: Path) -> list[str]:
    return [file.read_text() for file in versions.glob("2*.py")]


@pytest.fixture
def commit(url: str, declare: Declare, git: Git) -> Callable[..., None]:
    """Return a function that creates the table with columns, commits, and adds a row."""

    def commit(*columns: sa.schema.SchemaItem, values: str = "1, 5") -> None:
        declare(*columns)
        sync(url)
        commit_all(git)
        insert(url, values)

    return commit


class TestHint:
    def test_data(
        self, url: str, versions: Path, declare: Declare, commit: Callable[..., None]
    ) -> None:
        commit(column("size"))
        declare(column("length", info=HINT))

        sync(url)

        assert created(versions) == ["create_things.py", "rename_size_to_length_in_things.py"]
        assert (columns_of(url), rows(url)) == (["id", "length"], [(1, 5)])
        command.downgrade(migrations.config(url), "-1")
        assert (columns_of(url), rows(url)) == (["id", "size"], [(1, 5)])

    def test_no_change(
        self, url: str, versions: Path, declare: Declare, commit: Callable[..., None]
    ) -> None:
        commit(column("size"))
        declare(column("length", info=HINT))
        sync(url)

        sync(url)
        command.check(migrations.config(url))

        assert len(created(versions)) == 2

    @pytest.mark.parametrize("second", ["renamed again", "no longer declared"])
    def test_second_change(
        self,
        second: str,
        url: str,
        versions: Path,
        declare: Declare,
        commit: Callable[..., None],
    ) -> None:
        commit(column("size"))
        declare(column("length", info=HINT))
        sync(url)
        if second == "renamed again":
            declare(column("extent", info={"renamed_from": "length"}))
        else:
            declare(column("length"), column("weight"))

        sync(url)

        # One migration instead of both would drop the column, and its data in other databases.
        assert len(created(versions)) == 3
        for change in (command.downgrade, command.upgrade):
            change(migrations.config(url), "0001" if change is command.downgrade else "head")
        assert not any("drop_column" in text.split("def downgrade")[0] for text in texts(versions))

    def test_same_hint_twice(self, url: str, declare: Declare, commit: Callable[..., None]) -> None:
        commit(column("size"))
        declare(column("length", info=HINT), column("extent", info=HINT))

        with pytest.raises(
            CLIError, match="length and extent of things have the same renamed_from"
        ):
            sync(url)

    def test_further_changes(
        self, url: str, versions: Path, declare: Declare, commit: Callable[..., None]
    ) -> None:
        commit(column("size"))
        declare(column("length", info=HINT))
        sync(url)
        declare(column("length", info=HINT, nullable=False, server_default="7"), column("weight"))

        sync(url)

        # The migration was rewritten, and still keeps the data.
        assert len(created(versions)) == 2
        assert rows(url) == [(1, 5, None)]
        for change in (command.downgrade, command.upgrade):
            change(migrations.config(url), "0001" if change is command.downgrade else "head")
        command.check(migrations.config(url))

    def test_constraints(
        self, url: str, versions: Path, declare: Declare, commit: Callable[..., None]
    ) -> None:
        values = ["a", "b"]

        def columns(name: str, kind: str, **options: Any) -> list[sa.schema.SchemaItem]:
            check = sa.CheckConstraint(sa.column(kind).in_(values), name=kind, info={ENUM: values})
            key = sa.ForeignKey("things.id", ondelete="CASCADE")
            given = {"info": {"renamed_from": "size"}} if name != "size" else {}
            other = {"info": {"renamed_from": "kind"}} if kind != "kind" else {}
            return [
                sa.Column(name, sa.Integer, key, unique=True, index=True, **given),
                sa.Column(kind, sa.Text, **other),
                check,
                sa.Index("own_name", name),
            ]

        commit(*columns("size", "kind"), values="1, 1, 'a'")
        before = names(url)
        declare(*columns("length", "form"))

        sync(url)

        text = next(versions.glob("*rename*.py")).read_text()
        assert "create_" not in text
        renamed = {name.replace("size", "length").replace("kind", "form") for name in before}
        assert names(url) == renamed
        assert rows(url) == [(1, 1, "a")]
        command.check(migrations.config(url))
        command.downgrade(migrations.config(url), "-1")
        assert names(url) == before

    def test_another_condition(
        self, url: str, versions: Path, declare: Declare, commit: Callable[..., None]
    ) -> None:
        commit(column("size"), sa.CheckConstraint("size > 0", "size"))
        declare(column("length", info=HINT), sa.CheckConstraint("length > 1", "length"))

        sync(url)

        assert rows(url) == [(1, 5)]
        assert names(url) == {"things_length_check"}
        command.check(migrations.config(url))
        command.downgrade(migrations.config(url), "-1")
        assert names(url) == {"things_size_check"}

    def test_another_type(
        self,
        url: str,
        declare: Declare,
        commit: Callable[..., None],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        commit(column("size"))
        declare(sa.Column("length", sa.Text, info=HINT))

        sync(url)

        assert "It changes things.size from INTEGER to TEXT." in capsys.readouterr().out
        migrations.upgrade(url)
        assert rows(url) == [(1, "5")]


class TestQuestion:
    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[Rename]:
        """Return the questions. Each is answered with yes."""
        asked: list[Rename] = []

        def ask(rename: Rename) -> bool:
            asked.append(rename)
            return True

        monkeypatch.setattr(renames, "ask", ask)
        return asked

    def test_yes(
        self,
        url: str,
        versions: Path,
        declare: Declare,
        commit: Callable[..., None],
        asked: list[Rename],
    ) -> None:
        commit(column("size", unique=True))
        declare(column("length", unique=True))

        sync(url)

        assert asked == [Rename("things", "size", "length")]
        assert (columns_of(url), rows(url)) == (["id", "length"], [(1, 5)])
        # The answer is in no model, so that migration is not rewritten.
        declare(column("length", unique=True), column("weight"))
        sync(url)
        assert len(created(versions)) == 3
        assert len(asked) == 1

    def test_no(
        self,
        url: str,
        versions: Path,
        declare: Declare,
        commit: Callable[..., None],
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        asked: list[Rename] = []
        monkeypatch.setattr(renames, "ask", asked.append)
        commit(column("size"))
        declare(column("length"))

        sync(url)
        sync(url)

        assert len(asked) == 1
        assert 'mapped_column(info={"renamed_from": "size"})' in capsys.readouterr().out
        assert (columns_of(url), rows(url)) == (["id", "size"], [(1, 5)])
        # The hint can be added later.
        declare(column("length", info=HINT))
        sync(url)
        assert created(versions) == ["create_things.py", "rename_size_to_length_in_things.py"]
        assert rows(url) == [(1, 5)]

    @pytest.mark.parametrize(
        "columns",
        [
            [sa.Column("length", sa.Text)],
            [column("length"), column("weight")],
        ],
        ids=["another type", "two columns"],
    )
    def test_unclear(
        self,
        url: str,
        declare: Declare,
        commit: Callable[..., None],
        asked: list[Rename],
        columns: list[sa.Column[Any]],
    ) -> None:
        commit(column("size"))
        declare(*columns)

        sync(url)

        assert asked == []

    def test_not_committed(
        self, url: str, versions: Path, declare: Declare, asked: list[Rename]
    ) -> None:
        declare(column("size"))
        sync(url)
        declare(column("length"))

        sync(url)

        # There is no data to keep, so the migration is rewritten.
        assert asked == []
        assert created(versions) == ["create_things.py"]

    def test_not_committed_with_data(
        self, url: str, versions: Path, declare: Declare, asked: list[Rename]
    ) -> None:
        declare(column("size"))
        sync(url)
        asyncio.run(execute(url, "INSERT INTO things VALUES (1, 5)"))
        declare(column("length"))

        sync(url)

        assert len(asked) == 1
        assert rows(url) == [(1, 5)]


@pytest.mark.skipif(sys.platform == "win32", reason="has no /dev/tty")
class TestTerminal:
    SCRIPT = (
        "import os, sys\n"
        "from fastship_tooling.schema_sync.renames import Rename, ask\n"
        "if sys.stdin.isatty(): os.open(os.ttyname(0), os.O_RDWR)  # of this session\n"
        "sys.stdin = None\n"
        "sys.exit(ask(Rename('things', 'size', 'length')))\n"
    )

    @pytest.mark.parametrize(("answer", "code"), [("y", 1), ("yes", 1), ("n", 0), ("", 0)])
    def test_answer(self, answer: str, code: int) -> None:
        outside, inside = os.openpty()
        try:
            os.write(outside, f"{answer}\n".encode())
            done = subprocess.run(
                [sys.executable, "-c", self.SCRIPT],
                check=False,
                stdin=inside,
                stdout=inside,
                start_new_session=True,
                timeout=60,
            )
            output = os.read(outside, 1000).decode()
        finally:
            os.close(outside)
            os.close(inside)

        assert "Was things.size renamed to length? Its data is kept then. [y/N]" in output
        assert done.returncode == code

    def test_no_terminal(self) -> None:
        command = [sys.executable, "-c", self.SCRIPT]
        done = subprocess.run(
            command, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=60
        )

        assert (done.returncode, done.stdout) == (0, b"")
