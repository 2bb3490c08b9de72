import re
from pathlib import Path

import pytest
from fastship_tooling import openapi
from fastship_tooling.feature import create
from fastship_tooling.feature.files import all_or_nothing
from fastship_tooling.feature.names import Names
from fastship_tooling.feature.project import FeatureError
from fastship_tooling.project import HAS_DATABASE
from typer.testing import CliRunner

from app.cli.main import app
from tests.tooling.conftest import read_files

runner = CliRunner()

ITEMS = Names("items", "item")
PARCELS = Names("parcels", "parcel")


def new(name: str, *fields: str) -> list[Path]:
    return create.create(name, list(fields), pattern=None, singular=None)


class TestAllOrNothing:
    def test_success(self, folder: Path) -> None:
        old, new = folder / "old/old.py", folder / "domain/new.py"
        old.parent.mkdir()
        old.touch()

        with all_or_nothing([old, new]) as write:
            write(old, None)
            write(new, "after")

        assert not old.parent.exists()
        assert new.read_text() == "after"

    @pytest.mark.parametrize("error", [FeatureError("no"), KeyboardInterrupt()])
    def test_error(self, folder: Path, error: BaseException) -> None:
        changed, deleted, new = (
            folder / "changed.py",
            folder / "old/old.py",
            folder / "domain/new.py",
        )
        deleted.parent.mkdir()
        for path in (changed, deleted):
            path.write_text("before")

        def work() -> None:
            with all_or_nothing([changed, deleted, new]) as write:
                write(changed, "after")
                write(deleted, None)
                write(new, "after")
                raise error

        with pytest.raises(type(error)):
            work()

        assert changed.read_text() == deleted.read_text() == "before"
        assert not new.parent.exists()


class TestRemove:
    def test_new_domain(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        confirmed: list[list[str]] = []
        monkeypatch.setattr(create, "sync_schema", confirmed.append)
        before = read_files(project)
        new("parcels", "item:ref[items]", *(["items:many[items]"] if HAS_DATABASE else []))

        create.remove(PARCELS)

        assert read_files(project) == before
        tables = ["parcel_items", "parcels"] if HAS_DATABASE else []
        assert confirmed == [[], [f"drops the table {table}" for table in tables]]

    def test_example_domain(self, project: Path) -> None:
        create.remove(ITEMS)

        code = read_files(project)
        assert not [path for path in code if re.search(r"(^|/)items(/|\.md)", path)]
        assert "items_router" not in code["src/app/domains.py"]
        assert '"name": "items"' not in code["src/app/domains.py"]
        assert "items" not in code.get("tests/seeds.py", "")

    def test_dependent_domain(self, project: Path) -> None:
        new("parcels", "item:ref[items]")
        before = read_files(project)

        with pytest.raises(FeatureError, match="Other code uses items") as caught:
            create.remove(ITEMS)

        assert str(Path("tests/parcels/factories.py")) in str(caught.value)
        result = runner.invoke(app, ["feature", "remove", "items"], input="y\n")
        assert "Delete these files" not in result.output
        assert read_files(project) == before

    def test_broken_application(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        new("parcels")
        before = read_files(project)

        def fail() -> None:
            raise FeatureError("The application cannot be created")

        monkeypatch.setattr(create, "check_application", fail)
        with pytest.raises(FeatureError, match="cannot be created"):
            create.remove(PARCELS)

        assert read_files(project) == before

    def test_command(self, project: Path) -> None:
        new("parcels")
        (project / "README.md").write_text("# Shop\n\nIt has parcels.\n")

        declined = runner.invoke(app, ["feature", "remove", "parcels"], input="n\n")
        kept = (project / "src/app/parcels").exists()
        confirmed = runner.invoke(app, ["feature", "remove", "parcels", "--yes"])

        assert (declined.exit_code, kept) == (1, True)
        assert "  src/app/parcels/router.py" in declined.stdout
        assert "Delete these files and all stored parcels?" in declined.stdout
        assert confirmed.exit_code == 0, confirmed.output
        assert "Removed the domain parcels." in confirmed.stdout
        assert (
            "contain the name parcels. Remove what describes the domain:\n  README.md\n"
            in confirmed.stdout
        )
        assert "migration" not in confirmed.stdout
        assert not (project / "src/app/parcels").exists()

    def test_committed_domain(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        new("parcels")
        versions = project / "src/app/migrations/versions"
        versions.mkdir(parents=True, exist_ok=True)
        migration = """
def upgrade() -> None:
    op.{}("parcels")


def downgrade() -> None:
    op.{}("parcels")
"""
        create_table, drop_table = "create_table", "drop_table"
        (versions / "created.py").write_text(migration.format(create_table, drop_table))

        def write(_: list[str]) -> None:
            (versions / "dropped.py").write_text(migration.format(drop_table, create_table))

        monkeypatch.setattr(create, "sync_schema", write)

        result = runner.invoke(app, ["feature", "remove", "parcels", "--yes"])

        advice = (
            "Commit the new migration with the code. In production, it deletes all stored parcels."
        )
        assert (advice in result.stdout) is HAS_DATABASE

    def test_unknown_domain(self, project: Path) -> None:
        result = runner.invoke(app, ["feature", "remove", "parcels", "--yes"])

        assert result.exit_code == 1
        assert "There is no domain parcels in src/app. Domains: items." in result.stderr


class TestCheckApplication:
    @pytest.fixture(autouse=True)
    def file(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(openapi, "render", lambda: "{}\n")
        monkeypatch.setattr(openapi, "application", lambda: None)

    def test_schema(self, folder: Path) -> None:
        create.check_application()
        missing = (folder / "openapi.json").exists()
        (folder / "openapi.json").write_text("outdated")
        create.check_application()

        assert not missing
        assert (folder / "openapi.json").read_text() == "{}\n"

    @pytest.mark.parametrize("function", ["render", "application"])
    def test_error(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        function: str,
    ) -> None:
        def fail() -> str:
            raise ImportError("no module named parcels")

        # Without the file, the schema is not needed.
        if function == "render":
            (folder / "openapi.json").touch()
        monkeypatch.setattr(openapi, function, fail)

        with pytest.raises(FeatureError, match="All files were restored"):
            create.check_application()

        assert "ImportError: no module named parcels" in capsys.readouterr().err
