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
from tests.databases import temporary_database


@pytest.fixture
def empty() -> Iterator[str]:
    """A database without tables."""
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


def test_models_and_migrations_agree(database_url: str) -> None:
    # Raises when a model has what no migration makes, or the other way round.
    command.check(migrations.config(database_url))


def test_up_down_up(empty: str) -> None:
    migrations.upgrade(empty)
    full = tables(empty)
    command.downgrade(migrations.config(empty), "base")
    bare = tables(empty)
    migrations.upgrade(empty)

    assert "items" in full
    assert bare == {"alembic_version"}
    assert tables(empty) == full


def test_tables_that_depend_on_each_other(empty: str, tmp_path: Path) -> None:
    # Six in a row: Alembic lists what was dropped by chance, and would hardly hit the one order.
    migrations.upgrade(empty)
    chain = [f"chain_{number}" for number in range(6)]

    def make(connection: Connection) -> None:
        for name, before in zip(chain, ["items", *chain], strict=False):
            connection.exec_driver_sql(
                f"CREATE TABLE {name} (id uuid PRIMARY KEY REFERENCES {before} (id))"
            )

    migrations.on_connection(empty, make)
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
    # As in an image, where the installed package is alone.
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))

    migrations.upgrade(empty)

    assert "items" in tables(empty)
