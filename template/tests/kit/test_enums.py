from enum import StrEnum

import pytest
from sqlalchemy import CheckConstraint, Column, Enum, MetaData, Table, Text, create_mock_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import CreateTable

from app.database import NAMING_CONVENTION
from app.kit.enums import TEXT_ENUM, add_checks, literals


class Status(StrEnum):
    """Values that differ from their names."""

    DRAFT = "draft"
    ON_HOLD = "on-hold"


def test_text_with_a_check_constraint() -> None:
    class Base(DeclarativeBase):
        metadata = MetaData(naming_convention=NAMING_CONVENTION)
        type_annotation_map = {Status: TEXT_ENUM}  # noqa: RUF012  SQLAlchemy's API

    class Order(Base):
        __tablename__ = "orders"
        id: Mapped[int] = mapped_column(primary_key=True)
        status: Mapped[Status]

    table = Order.metadata.tables["orders"]
    add_checks(table)

    created = str(
        CreateTable(table).compile(
            dialect=create_mock_engine("postgresql+asyncpg://", print).dialect
        )
    )
    assert "status TEXT NOT NULL" in created
    assert "CONSTRAINT orders_status_check CHECK (status IN ('draft', 'on-hold'))" in created


def test_no_enums() -> None:
    table = Table("orders", MetaData(), Column("status", Text))
    add_checks(table)

    assert not [c for c in table.constraints if isinstance(c, CheckConstraint)]


def test_enum_type_of_postgresql() -> None:
    table = Table("orders", MetaData(), Column("status", Enum(Status)))

    with pytest.raises(TypeError, match=r"orders\.status is a PostgreSQL enum"):
        add_checks(table)


def test_default_that_is_not_in_the_enum() -> None:
    kind = Enum("draft", native_enum=False)
    table = Table("orders", MetaData(), Column("status", kind, server_default="drafft"))

    with pytest.raises(ValueError, match=r"server_default 'drafft' of orders\.status"):
        add_checks(table)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("status = ANY (ARRAY['draft'::text, 'it''s'::text])", {"draft", "it's"}),
        ("status = ''::text", {""}),
        ("total > 0", set()),
    ],
)
def test_literals(expression: str, expected: set[str]) -> None:
    assert literals(expression) == expected
