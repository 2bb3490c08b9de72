"""Changes of constraints, indexes and defaults, and whether `dev` sees them."""

# ruff: noqa: F811
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from fastship_tooling.schema_sync.sync import sync

from app import migrations
from tests.tooling.conftest import Git
from tests.tooling.schema import (
    Declare,
    column,
    commit_all,
    created,
    declare,  # noqa: F401
    url,  # noqa: F401
    versions,  # noqa: F401
)

Items = list[sa.schema.SchemaItem]


def check(condition: str) -> Items:
    return [column("size"), sa.CheckConstraint(condition, "size")]


def text(**options: object) -> Items:
    return [sa.Column("name", sa.Text, **options)]  # type: ignore[arg-type]


def reference(**options: str) -> Items:
    return [sa.Column("parent", sa.ForeignKey("things.id", **options))]  # type: ignore[arg-type]


def index(**options: object) -> Items:
    return [column("size"), sa.Index("own", "size", **options)]  # type: ignore[arg-type]


SEEN: dict[str, tuple[Items, Items]] = {
    "check": (check("size > 0"), check("size > 1")),
    "check of a new column": (
        check("size > 0"),
        [column("size"), column("weight"), sa.CheckConstraint("size > weight", "size")],
    ),
    "check of a pattern": (
        [*text(), sa.CheckConstraint("name LIKE 'a%'", "name")],
        [*text(), sa.CheckConstraint("name LIKE 'b%'", "name")],
    ),
    "default": (text(server_default="a"), text(server_default="b")),
    "default added": (text(), text(server_default="a")),
    "default removed": (text(server_default="a"), text()),
    "function as default": (
        [sa.Column("at", sa.DateTime(True), server_default=sa.func.now())],
        [sa.Column("at", sa.DateTime(True), server_default=sa.func.clock_timestamp())],
    ),
    "index condition": (
        index(postgresql_where=sa.text("size > 0")),
        index(postgresql_where=sa.text("size > 1")),
    ),
    "foreign key action": (reference(ondelete="CASCADE"), reference(ondelete="SET NULL")),
    "nulls not distinct": (
        [column("size"), sa.UniqueConstraint("size")],
        [column("size"), sa.UniqueConstraint("size", postgresql_nulls_not_distinct=True)],
    ),
}


@pytest.mark.parametrize("name", SEEN)
def test_change(name: str, url: str, versions: Path, declare: Declare, git: Git) -> None:
    before, after = SEEN[name]
    declare(*before)
    sync(url)
    commit_all(git)
    sync(url)
    assert created(versions) == ["create_things.py"]
    declare(*after)

    sync(url)

    assert len(created(versions)) == 2
    migrations.upgrade(url)
    command.check(migrations.config(url))
    command.downgrade(migrations.config(url), "-1")
    migrations.upgrade(url)
    command.check(migrations.config(url))
