import asyncio
import shutil
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Index, PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy.ext.asyncio import AsyncSession

from app import migrations
from app.database import Base
from app.kit.jobs import queue_of

QUEUE = {"pgqueuer", "pgqueuer_log", "pgqueuer_schedules", "pgqueuer_statistics"}


def tables(url: str) -> set[str]:
    async def fetch() -> set[str]:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        try:
            return {row["tablename"] for row in await connection.fetch(query)}
        finally:
            await connection.close()

    return asyncio.run(fetch())


def test_one_head() -> None:
    script = ScriptDirectory.from_config(migrations.config("postgresql://"))

    assert len(script.get_heads()) == 1


def test_models_match_migrations(database_url: str) -> None:
    # Raises an error if a migration is missing.
    command.check(migrations.config(database_url))


@pytest.mark.parametrize("table", Base.metadata.tables.values(), ids=str)
def test_foreign_keys_have_an_index(table: Table) -> None:
    kinds = Index | PrimaryKeyConstraint | UniqueConstraint
    first = {
        column.name
        for index in (*table.indexes, *table.constraints)
        if isinstance(index, kinds)
        for column in list(index.columns)[:1]
    }

    # Without an index, the deletion of a referenced row reads the whole table.
    for key in table.foreign_key_constraints:
        assert key.column_keys[0] in first, key.name


async def test_queue_matches_migrations(session: AsyncSession) -> None:
    plan = await queue_of(session).plan_upgrade()

    # After an update of pgqueuer: `db revision`, with these statements in op.execute().
    assert plan.statements == ()


def test_up_down_up(empty_database_url: str) -> None:
    migrations.upgrade(empty_database_url)
    upgraded = tables(empty_database_url)
    command.downgrade(migrations.config(empty_database_url), "base")
    downgraded = tables(empty_database_url)
    migrations.upgrade(empty_database_url)

    assert upgraded == {"alembic_version", *Base.metadata.tables, *QUEUE}
    assert downgraded == {"alembic_version"}
    assert tables(empty_database_url) == upgraded


def test_dropped_tables_that_reference_each_other(empty_database_url: str, tmp_path: Path) -> None:
    # Alembic lists dropped tables in a random order. With six tables, it is hardly the right one.
    migrations.upgrade(empty_database_url)
    chain = [f"chain_{number}" for number in range(6)]

    def create(connection: Connection) -> None:
        for name, referenced in zip(chain, [chain[0], *chain], strict=False):
            connection.exec_driver_sql(
                f"CREATE TABLE {name} (id uuid PRIMARY KEY REFERENCES {referenced} (id))"
            )

    migrations.on_connection(empty_database_url, create)
    shutil.copytree(Path(str(migrations.__file__)).parent / "versions", tmp_path / "versions")
    config = migrations.config(empty_database_url, tmp_path / "versions")

    command.revision(config, "drop the chain", autogenerate=True)
    command.upgrade(config, "head")
    without = tables(empty_database_url)
    command.downgrade(config, "-1")

    assert not without & set(chain)
    assert tables(empty_database_url) == without | set(chain)


def test_without_pyproject(
    empty_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    # An image contains only the installed package.
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))

    migrations.upgrade(empty_database_url)

    assert tables(empty_database_url) == {"alembic_version", *Base.metadata.tables, *QUEUE}
