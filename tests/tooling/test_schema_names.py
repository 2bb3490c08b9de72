"""The names of constraints and indexes, in the models and in PostgreSQL."""

# ruff: noqa: F811
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastship_tooling.schema_sync.names import check_names, name_of
from fastship_tooling.schema_sync.sync import sync

from app import migrations
from app.cli.console import CLIError
from app.database import NAMING_CONVENTION, Base
from tests.tooling.schema import url, versions  # noqa: F401

LONG = "a_table_whose_name_is_rather_long_as_such_names_may_be"
NAMES = [f"number_{number}_of_the_columns" for number in range(5)]


@pytest.fixture
def metadata() -> sa.MetaData:
    return sa.MetaData(naming_convention=NAMING_CONVENTION)


def table(metadata: sa.MetaData, name: str, *items: sa.schema.SchemaItem) -> sa.Table:
    key: sa.Column[int] = sa.Column("id", sa.Integer, primary_key=True)
    return sa.Table(name, metadata, key, sa.Column("a", sa.Text), sa.Column("b", sa.Text), *items)


@pytest.fixture
def long_table() -> Iterator[sa.Table]:
    """Declare a table with names that PostgreSQL would cut off at the same place."""
    columns = [sa.Column(name, sa.Integer, index=True) for name in NAMES]
    constraints = [sa.UniqueConstraint(*NAMES[:4]), sa.UniqueConstraint(*NAMES)]
    key: sa.Column[int] = sa.Column("id", sa.Integer, primary_key=True)
    yield sa.Table(LONG, Base.metadata, key, *columns, *constraints)
    Base.metadata.remove(Base.metadata.tables[LONG])


class TestCheckNames:
    def test_all_columns(self, metadata: sa.MetaData) -> None:
        things = table(metadata, "things", sa.UniqueConstraint("a"), sa.UniqueConstraint("a", "b"))

        check_names(metadata)

        names = {name_of(item) for item in things.constraints}
        assert names == {"things_pkey", "things_a_key", "things_a_b_key"}

    @pytest.mark.parametrize(
        ("items", "message"),
        [
            (
                [sa.Index(None, "a"), sa.Index(None, sa.func.lower(sa.column("a")), "a")],
                "Index(a) of things and Index(a) of things have the same name: things_a_idx.",
            ),
            (
                [sa.UniqueConstraint("a"), sa.UniqueConstraint("b", name="things_a_key")],
                "of things have the same name: things_a_key.",
            ),
            ([sa.Index("x" * 64, "a")], f"a name of more than 63 bytes: {'x' * 64}."),
            ([sa.Index("ü" * 40, "a")], f"a name of more than 63 bytes: {'ü' * 40}."),
        ],
        ids=["indexes", "explicit", "too long", "too many bytes"],
    )
    def test_rejected(
        self, metadata: sa.MetaData, items: list[sa.schema.SchemaItem], message: str
    ) -> None:
        table(metadata, "things", *items)

        with pytest.raises(CLIError) as caught:
            check_names(metadata)

        assert message in str(caught.value)
        assert "with name=..." in str(caught.value)

    def test_two_tables(self, metadata: sa.MetaData) -> None:
        table(metadata, "things", sa.UniqueConstraint("a", "b"))
        table(metadata, "things_a", sa.UniqueConstraint("b"))

        with pytest.raises(CLIError, match=r"of things and .* of things_a .*: things_a_b_key"):
            check_names(metadata)


def test_long_names(url: str, versions: Path, long_table: sa.Table) -> None:
    sync(url)
    created = {path.name: path.read_text() for path in versions.glob("*.py")}

    # They are shortened the same way in the models, the migration and the database.
    def read(connection: sa.Connection) -> set[str | None]:
        found = sa.inspect(connection)
        unique = {entry["name"] for entry in found.get_unique_constraints(LONG)}
        return unique | {entry["name"] for entry in found.get_indexes(LONG)}

    items: list[sa.Constraint | sa.Index] = [*long_table.constraints, *long_table.indexes]
    expected = {name_of(item) for item in items if not isinstance(item, sa.PrimaryKeyConstraint)}
    assert migrations.on_connection(url, read) == expected
    assert len(expected) == 7
    for _ in range(3):
        sync(url)
        assert {path.name: path.read_text() for path in versions.glob("*.py")} == created
