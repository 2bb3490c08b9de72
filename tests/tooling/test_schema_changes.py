import pytest
import sqlalchemy as sa
from alembic.operations import ops
from fastship_tooling.schema_sync import changes
from sqlalchemy.dialects import postgresql


def column(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer)


@pytest.mark.parametrize(
    ("operations", "name"),
    [
        ([ops.CreateTableOp("things", [])], "create things"),
        ([ops.DropTableOp("things")], "drop things"),
        (
            [
                ops.AddColumnOp("things", column("size")),
                ops.AddColumnOp("things", column("weight")),
            ],
            "add size and weight to things",
        ),
        (
            [ops.AddColumnOp("things", column("size")), ops.DropColumnOp("things", "weight")],
            "add size to things, drop weight from things",
        ),
        ([ops.AlterColumnOp("things", "size", modify_nullable=True)], "change size of things"),
        ([ops.DropIndexOp("things_idx", "things")], "change indexes of things"),
        ([ops.DropConstraintOp("things_key", "things")], "change constraints of things"),
        (
            [ops.AddColumnOp("things", column(f"measure_{n}")) for n in range(9)],
            "add measure_0, measure_1, measure_2, measure_3 and more",
        ),
        (
            [ops.DropColumnOp("things", name) for name in ("description_of_it", "number_of_it")]
            + [ops.AddColumnOp("other_things", column("weight_in_grams"))],
            "drop description_of_it and number_of_it and more",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_name(operations: list[ops.MigrateOperation], name: str) -> None:
    assert changes.name(ops.UpgradeOps(operations)) == name


@pytest.mark.parametrize(
    ("old", "new", "widens"),
    [
        (sa.VARCHAR(10), sa.VARCHAR(20), True),
        (sa.VARCHAR(10), sa.Text(), True),
        (sa.VARCHAR(20), sa.VARCHAR(10), False),
        (sa.Text(), sa.VARCHAR(10), False),
        (sa.SMALLINT(), sa.Integer(), True),
        (sa.Integer(), sa.BigInteger(), True),
        (sa.BIGINT(), sa.Integer(), False),
        (sa.REAL(), postgresql.DOUBLE_PRECISION(), True),
        (sa.NUMERIC(10, 2), sa.Numeric(12, 2), True),
        (sa.NUMERIC(10, 2), sa.Numeric(), True),
        (sa.NUMERIC(10, 2), sa.Numeric(10, 3), False),
        (sa.NUMERIC(10, 2), sa.Numeric(12, 1), False),
        (sa.NUMERIC(), sa.Numeric(12, 1), False),
        (sa.Text(), sa.Integer(), False),
    ],
    ids=repr,
)
def test_changed_type(
    old: sa.types.TypeEngine[object], new: sa.types.TypeEngine[object], widens: bool
) -> None:
    assert changes.widens(old, new) is widens
