"""What `dev` does with a changed model: it is changed in this process, and that is taken back."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import migrations
from app.cli.auto_migrate import follow
from app.database import Base
from tests.databases import temporary_database

Tables = Callable[..., None]


@pytest.fixture
def url() -> Iterator[str]:
    with temporary_database() as made:
        yield made


@pytest.fixture(autouse=True)
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the migrations, which may be written to."""
    root = Path.cwd()
    folder = tmp_path / "src/app/migrations/versions"
    shutil.copytree(root / "src/app/migrations/versions", folder)
    shutil.copy(root / "pyproject.toml", tmp_path)
    original = migrations.config
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        migrations, "config", lambda url, versions=None: original(url, versions or folder)
    )
    return folder


@pytest.fixture
def tables() -> Iterator[Tables]:
    """Declare the table `things` anew, with these columns; with none, it goes away."""

    def declare(*columns: sa.Column[int]) -> None:
        if "things" in Base.metadata.tables:
            Base.metadata.remove(Base.metadata.tables["things"])
        if columns:
            sa.Table(
                "things", Base.metadata, sa.Column("id", sa.Integer, primary_key=True), *columns
            )

    yield declare
    declare()


def column(name: str, **options: bool) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, **options)  # type: ignore[arg-type]


def written(versions: Path) -> list[str]:
    original = Path(str(migrations.__file__)).parent / "versions"
    new = {path.name for path in versions.glob("*.py")} - {p.name for p in original.glob("*.py")}
    return sorted(name[16:] for name in new)


def columns_of(url: str) -> list[str]:
    def read(connection: sa.Connection) -> list[str]:
        return [entry["name"] for entry in sa.inspect(connection).get_columns("things")]

    return migrations.on_connection(url, read)


def test_life_of_a_model(
    url: str, versions: Path, tables: Tables, capsys: pytest.CaptureFixture[str]
) -> None:
    before = migrations.current(url)
    tables(column("size"))
    follow.follow(url)
    assert written(versions) == ["create_things.py"]

    # A further change is the same revision, as long as it is not committed.
    tables(column("size"), column("weight"))
    follow.follow(url)
    assert written(versions) == ["create_things.py"]
    assert columns_of(url) == ["id", "size", "weight"]

    # What is lost waits to be agreed to.
    tables(column("weight"))
    follow.follow(url)
    assert written(versions) == ["create_things.py", "drop_size_from_things.py"]
    assert columns_of(url) == ["id", "size", "weight"]
    assert "It drops things.size." in capsys.readouterr().out

    tables()
    follow.follow(url, agreed=["drops the table things"])
    assert written(versions) == []
    assert migrations.current(url) == before
