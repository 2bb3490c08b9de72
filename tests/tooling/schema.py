"""Fixtures of the tests of migrations: a database, a folder of migrations, and a table to change."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app import migrations
from app.database import Base
from tests.databases import execute, temporary_database
from tests.tooling.conftest import Git

Declare = Callable[..., None]

VERSIONS = Path("src/app/migrations/versions").resolve()
PYPROJECT = Path("pyproject.toml").resolve()


@pytest.fixture
def url() -> Iterator[str]:
    with temporary_database() as url:
        yield url


@pytest.fixture(autouse=True)
def versions(folder: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the folder of the migrations."""
    versions = folder / "src/app/migrations/versions"
    shutil.copytree(VERSIONS, versions, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PYPROJECT, folder)
    original = migrations.config

    def config(url: str, given: Path | None = None) -> object:
        return original(url, given or versions)

    monkeypatch.setattr(migrations, "config", config)
    return versions


@pytest.fixture
def declare() -> Iterator[Declare]:
    """Return a function that declares the table `things`; without columns, it removes the table."""

    def declare_things(*columns: sa.schema.SchemaItem) -> None:
        if "things" in Base.metadata.tables:
            Base.metadata.remove(Base.metadata.tables["things"])
        if columns:
            key: sa.Column[int] = sa.Column("id", sa.Integer, primary_key=True)
            sa.Table("things", Base.metadata, key, *columns)

    yield declare_things
    declare_things()


def column(name: str, **options: Any) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, **options)


def created(versions: Path) -> list[str]:
    """Return the names of the new migrations, without their time and revision."""
    new = {path.name for path in versions.glob("*.py")} - {p.name for p in VERSIONS.glob("*.py")}
    return sorted(name[29:] for name in new)


def columns_of(url: str) -> list[str]:
    def read(connection: sa.Connection) -> list[str]:
        return [entry["name"] for entry in sa.inspect(connection).get_columns("things")]

    return migrations.on_connection(url, read)


def insert(url: str, values: str) -> None:
    asyncio.run(execute(url, f"INSERT INTO things VALUES ({values})"))  # noqa: S608


def add_revision(
    versions: Path, name: str, upgrade: str, *, below: str = "0001", comment: str = ""
) -> Path:
    """Write a migration by hand.

    Args:
        versions: Folder of the migrations.
        name: Its revision ID, and the name of its file.
        upgrade: Statements of its function `upgrade`.
        below: The revision before it.
        comment: Comment in its file.
    """
    path = versions / f"{name}.py"
    path.write_text(
        f'"""{name}."""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\n{comment}\n'
        f'revision = "{name}"\ndown_revision = "{below}"\nbranch_labels = None\ndepends_on = None\n\n\n'
        f"def upgrade() -> None:\n    {upgrade}\n\n\ndef downgrade() -> None:\n    pass\n"
    )
    return path


def commit_all(git: Git) -> None:
    git("init")
    git("add", "--all")
    git("commit", "--message", "feat: add things")
