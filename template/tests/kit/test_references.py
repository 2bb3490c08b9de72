from typing import Any

import pytest
from sqlalchemy import Column, ForeignKeyConstraint, MetaData, Table, UniqueConstraint, Uuid
from sqlalchemy.orm import MappedColumn

from app.kit.references import add_constraints, reference


def constraints(*columns: Column[Any]) -> set[tuple[str, ...]]:
    table = Table("lines", MetaData(), Column("id", Uuid, primary_key=True), *columns)
    add_constraints(table)
    found = set()
    for constraint in table.constraints:
        if isinstance(constraint, ForeignKeyConstraint):
            targets = [element.target_fullname for element in constraint.elements]
            found.add((*constraint.column_keys, *targets))
        elif isinstance(constraint, UniqueConstraint):
            found.add(tuple(column.name for column in constraint.columns))
    return found


@pytest.fixture
def order_id() -> Column[Any]:
    mapped: MappedColumn[Any] = reference("orders")
    mapped.column.name = mapped.column.key = "order_id"
    mapped.column.type = Uuid()
    return mapped.column


def test_rows_of_one_user(order_id: Column[Any]) -> None:
    assert constraints(Column("owner_id", Uuid), order_id) == {
        ("id", "owner_id"),
        ("order_id", "owner_id", "orders.id", "orders.owner_id"),
    }


def test_reference_that_becomes_null(order_id: Column[Any]) -> None:
    order_id.info["references"] = ("orders", "SET NULL")
    table = Table("lines", MetaData(), Column("owner_id", Uuid), order_id)
    add_constraints(table)

    assert [key.ondelete for key in table.foreign_key_constraints] == ["SET NULL (order_id)"]


def test_rows_of_no_user(order_id: Column[Any]) -> None:
    assert constraints(order_id) == {("order_id", "orders.id")}


def test_no_references() -> None:
    assert constraints(Column("size", Uuid)) == set()


def test_association(order_id: Column[Any]) -> None:
    table = Table("labels_of_orders", MetaData(), Column("owner_id", Uuid), order_id)
    add_constraints(table)

    # Errors name the field of the request, which is a list.
    assert "labels_of_orders_order_ids_fkey" in {c.name for c in table.constraints}
