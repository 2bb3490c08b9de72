"""Migrations that were tried, and what `db check` says about each."""

# ruff: noqa: F811
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from fastship_tooling.database import squawk
from fastship_tooling.deploy import server
from typer.testing import CliRunner

from app.cli.db import load_history
from app.cli.main import app
from tests.tooling.fake_docker import FakeDocker
from tests.tooling.schema import add_revision, url, versions  # noqa: F401

runner = CliRunner()

CONCURRENTLY = "with op.get_context().autocommit_block():\n        "
NEW_TABLE = 'op.create_table("things", sa.Column("size", sa.Integer))'
VALIDATE = f'{CONCURRENTLY}op.execute("ALTER TABLE items VALIDATE CONSTRAINT items_x")'

TRIED = {
    # Columns.
    "add": ('op.add_column("items", sa.Column("x", sa.Integer))', []),
    "add with default": (
        'op.add_column("items", sa.Column("x", sa.Integer, server_default="7", nullable=False))',
        [],
    ),
    "add required": (
        'op.add_column("items", sa.Column("x", sa.Integer, nullable=False))',
        ["adding-required-field"],
    ),
    "add with volatile default": (
        'op.add_column("items", sa.Column("x", sa.Uuid, server_default=sa.func.gen_random_uuid()))',
        ["adding-field-with-default"],
    ),
    "drop": ('op.drop_column("items", "title")', ["ban-drop-column"]),
    "rename": (
        'op.alter_column("items", "title", new_column_name="x")',
        ["renaming-column"],
    ),
    "type": ('op.alter_column("items", "title", type_=sa.Text)', ["changing-column-type"]),
    "nullable": ('op.alter_column("items", "title", nullable=True)', []),
    "not nullable": (
        'op.alter_column("items", "title", nullable=False)',
        ["adding-not-nullable-field"],
    ),
    "not nullable, safe": (
        'op.execute("ALTER TABLE items ADD CONSTRAINT items_x CHECK (title IS NOT NULL) NOT VALID")\n'
        f'    {VALIDATE}\n    op.alter_column("items", "title", nullable=False)\n'
        '    op.execute("ALTER TABLE items DROP CONSTRAINT items_x")',
        [],
    ),
    "default": ('op.alter_column("items", "title", server_default="x")', []),
    # Constraints. The values of an enum are a check constraint.
    "enum value added": (
        'op.drop_constraint("items_title_check", "items")\n'
        """    op.create_check_constraint("title", "items", "title IN ('a', 'b', 'c')")""",
        ["constraint-missing-not-valid"],
    ),
    "enum value removed": (
        'op.drop_constraint("items_title_check", "items")\n'
        """    op.create_check_constraint("title", "items", "title IN ('a')")""",
        ["constraint-missing-not-valid"],
    ),
    "check, safe": (
        f"""op.create_check_constraint(op.f("items_x"), "items", "title <> ''", postgresql_not_valid=True)\n    {VALIDATE}""",
        [],
    ),
    "check, validated in the same transaction": (
        """op.create_check_constraint(op.f("items_x"), "items", "title <> ''", postgresql_not_valid=True)\n    """
        'op.execute("ALTER TABLE items VALIDATE CONSTRAINT items_x")',
        ["constraint-missing-not-valid"],
    ),
    "unique": (
        'op.create_unique_constraint("items_x", "items", ["title"])',
        ["disallowed-unique-constraint"],
    ),
    "unique replaced": (
        'op.drop_constraint("items_x", "items")\n'
        '    op.create_unique_constraint("items_y", "items", ["title"])',
        ["disallowed-unique-constraint"],
    ),
    "unique, safe": (
        f'{CONCURRENTLY}op.create_index("items_x", "items", ["title"], unique=True, postgresql_concurrently=True)'
        '\n    op.execute("ALTER TABLE items ADD CONSTRAINT items_x UNIQUE USING INDEX items_x")',
        [],
    ),
    "foreign key": (
        'op.create_foreign_key("items_x", "items", "items", ["title"], ["id"])',
        ["adding-foreign-key-constraint"],
    ),
    "foreign key, safe": (
        'op.create_foreign_key("items_x", "items", "items", ["title"], ["id"], postgresql_not_valid=True)'
        f"\n    {VALIDATE}",
        [],
    ),
    # Indexes.
    "index": (
        'op.create_index("items_x", "items", ["title"])',
        ["require-concurrent-index-creation"],
    ),
    "index, safe": (
        f'{CONCURRENTLY}op.create_index("items_x", "items", ["title"], postgresql_concurrently=True)',
        [],
    ),
    "index, safe and repeatable": (
        f'{CONCURRENTLY}op.create_index("items_x", "items", ["title"], if_not_exists=True, '
        "postgresql_concurrently=True)",
        [],
    ),
    "index, in a transaction": (
        'op.create_index("items_x", "items", ["title"], postgresql_concurrently=True)',
        ["ban-concurrent-index-creation-in-transaction"],
    ),
    "index dropped": ('op.drop_index("items_x", "items")', []),
    # Tables.
    "new table": (
        f'{NEW_TABLE}\n    op.create_index("things_x", "things", ["size"])\n'
        '    op.add_column("things", sa.Column("x", sa.Integer, nullable=False))',
        [],
    ),
    "new materialized view": (
        'op.execute("CREATE MATERIALIZED VIEW titles AS SELECT title FROM items")\n'
        '    op.create_index("titles_x", "titles", ["title"])',
        [],
    ),
    "dropped table": ('op.drop_table("items")', ["ban-drop-table"]),
    "renamed table": ('op.rename_table("items", "things")', ["renaming-table"]),
    # Rows.
    "update": ("""op.execute("UPDATE items SET title = ''")""", []),
    "insert": (
        'op.bulk_insert(sa.table("items", sa.column("title", sa.Text)), [{"title": "x"}])',
        [],
    ),
    "read": ('op.get_bind().execute(sa.text("SELECT 1")).scalar_one()', ["unchecked"]),
}


def rules() -> list[str]:
    return [finding.rule for finding in squawk.check(load_history(squawk.NO_DATABASE)[::-1])]


@pytest.mark.parametrize(("code", "expected"), TRIED.values(), ids=TRIED)
def test_verdict(versions: Path, code: str, expected: list[str]) -> None:
    add_revision(versions, "a", code)

    assert rules() == expected


def test_two_heads(versions: Path) -> None:
    for name in "ab":
        add_revision(versions, name, 'op.drop_column("items", "title")')

    result = runner.invoke(app, ["db", "check"])

    assert result.exit_code == 1
    assert sorted(re.findall(r"^(.)\.py: ban-drop-column$", result.stderr, re.M)) == ["a", "b"]


def test_first_migration(versions: Path) -> None:
    result = runner.invoke(app, ["db", "check"])

    assert result.exit_code == 0, result.output
    assert "neither block nor break" in result.stdout


class TestMessage:
    def test_safe_way(self, versions: Path) -> None:
        add_revision(versions, "a", 'op.create_index("items_x", "items", ["title"])')

        result = runner.invoke(app, ["db", "check"])

        assert result.exit_code == 1
        assert "\na.py: require-concurrent-index-creation\n" in result.stderr
        assert "\n  CREATE INDEX items_x ON items (title)\n" in result.stderr
        assert "Writes to items wait until the index is built. Safe:\n" in result.stderr
        assert "\n    with op.get_context().autocommit_block():\n" in result.stderr
        assert "# squawk-ignore require-concurrent-index-creation: reason" in result.stderr

    def test_accepted(self, versions: Path) -> None:
        code = 'op.drop_column("items", "title")\n    op.create_index("items_x", "items", ["id"])'
        comment = "# squawk-ignore renaming-column, ban-drop-column: never used"
        add_revision(versions, "a", code, comment=comment)

        assert rules() == ["require-concurrent-index-creation"]

    def test_quoted_names(self, versions: Path) -> None:
        add_revision(
            versions,
            "a",
            'op.create_table("Order", sa.Column("x", sa.Integer))\n'
            '    op.create_index("x", "Order", ["x"])\n    op.add_column("Order", '
            'sa.Column("y", sa.Integer, nullable=False))',
        )

        assert rules() == []


class TestDeploy:
    @pytest.fixture
    def migrate(
        self, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[[str], list[tuple[str, ...]]]:
        monkeypatch.setattr(server, "HAS_DATABASE", True)

        def deploy(current: str) -> list[tuple[str, ...]]:
            docker.outputs["run"] = current
            server.migrate(docker, "run")
            return [command[2:] for command in docker.commands]

        return deploy

    def test_pending(self, versions: Path, migrate: Callable[[str], object]) -> None:
        add_revision(versions, "a", 'op.drop_column("items", "title")')
        add_revision(versions, "b", 'op.drop_table("items")', below="a")

        with pytest.raises(server.DeployError, match=r"b\.py: ban-drop-table") as caught:
            migrate("a")

        # The first one was applied before.
        assert "a.py" not in str(caught.value)
        assert str(caught.value).endswith(server.STILL_SERVING)

    def test_refused_before_any_change(
        self, versions: Path, docker: FakeDocker, migrate: Callable[[str], object]
    ) -> None:
        add_revision(versions, "a", 'op.drop_column("items", "title")')

        with pytest.raises(server.DeployError, match="ban-drop-column"):
            migrate("0001")

        assert [command[-1] for command in docker.commands] == ["current"]

    def test_table_of_another_pending_migration(
        self, versions: Path, migrate: Callable[[str], list[tuple[str, ...]]]
    ) -> None:
        add_revision(versions, "a", NEW_TABLE)
        code = 'op.create_index("things_x", "things", ["size"])'
        add_revision(versions, "b", code, below="a")

        assert rules() == ["require-concurrent-index-creation"]
        assert migrate("0001")[-1] == ("db", "upgrade")

    def test_two_heads(
        self, versions: Path, docker: FakeDocker, migrate: Callable[[str], object]
    ) -> None:
        for name in "ab":
            add_revision(versions, name, "pass")

        with pytest.raises(
            server.DeployError, match=r"Several migrations are the latest.*db merge"
        ):
            migrate("0001")

        assert [command[-1] for command in docker.commands] == ["current"]

    @pytest.mark.parametrize("current", ["", "of_a_branch"], ids=["empty", "unknown"])
    def test_nothing_to_check(
        self, versions: Path, migrate: Callable[[str], list[tuple[str, ...]]], current: str
    ) -> None:
        add_revision(versions, "a", 'op.drop_column("items", "title")')

        # `db upgrade` reports an unknown revision.
        assert migrate(current)[-1] == ("db", "upgrade")


def test_missing_program(versions: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    add_revision(versions, "a", "pass")
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(tmp_path))

    result = runner.invoke(app, ["db", "check"])

    assert result.exit_code == 1
    assert "squawk does not run:" in result.stderr
