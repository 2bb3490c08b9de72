import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from app import migrations
from app.database import Base
from tests.databases import temporary_database


@pytest.fixture
def empty() -> Iterator[str]:
    """Create a database without tables."""
    with temporary_database("base") as url:
        yield url


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


def test_up_down_up(empty: str) -> None:
    migrations.upgrade(empty)
    upgraded = tables(empty)
    command.downgrade(migrations.config(empty), "base")
    downgraded = tables(empty)
    migrations.upgrade(empty)

    assert upgraded == {"alembic_version", *Base.metadata.tables}
    assert downgraded == {"alembic_version"}
    assert tables(empty) == upgraded


def test_dropped_tables_that_reference_each_other(empty: str, tmp_path: Path) -> None:
    # Alembic lists dropped tables in a random order. With six tables, it is hardly the right one.
    migrations.upgrade(empty)
    chain = [f"chain_{number}" for number in range(6)]

    def create(connection: Connection) -> None:
        for name, referenced in zip(chain, [chain[0], *chain], strict=False):
            connection.exec_driver_sql(
                f"CREATE TABLE {name} (id uuid PRIMARY KEY REFERENCES {referenced} (id))"
            )

    migrations.on_connection(empty, create)
    shutil.copytree(Path(str(migrations.__file__)).parent / "versions", tmp_path / "versions")
    config = migrations.config(empty, tmp_path / "versions")

    command.revision(config, "drop the chain", autogenerate=True)
    command.upgrade(config, "head")
    without = tables(empty)
    command.downgrade(config, "-1")

    assert not without & set(chain)
    assert tables(empty) == without | set(chain)


def test_without_pyproject(
    empty: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # An image contains only the installed package.
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))

    migrations.upgrade(empty)

    assert tables(empty) == {"alembic_version", *Base.metadata.tables}
