from pathlib import Path

import pytest
from fastship_tooling import changelog
from typer.testing import CliRunner

from app.cli.main import app
from tests.tooling.conftest import Git

runner = CliRunner()

PYPROJECT = Path("pyproject.toml").resolve()


@pytest.fixture
def repository(folder: Path, git: Git) -> Path:
    """Create a repository with two releases and an unreleased commit."""
    (folder / "pyproject.toml").write_bytes(PYPROJECT.read_bytes())
    git("init")
    for message in (
        *("feat: add invoices", "v1.0.0"),
        *("fix!: count the last page", "docs: explain pages", "v1.1.0"),
        "Rename a module",
    ):
        if message.startswith("v"):
            git("tag", message)
        else:
            git("commit", "--allow-empty", "-m", message)
    return folder


def test_all_releases(repository: Path) -> None:
    lines = [line for line in changelog.render().splitlines() if line]

    assert [line.partition(" (")[0] for line in lines] == [
        "# Changelog",
        "## Unreleased",
        "### Other",
        "- Rename a module",
        "## 1.1.0",
        "### Fixed",
        "- **Breaking:** Count the last page",
        "## 1.0.0",
        "### New",
        "- Add invoices",
    ]


def test_latest_release(repository: Path) -> None:
    result = runner.invoke(app, ["changelog", "--latest"])

    assert result.exit_code == 0, result.output
    assert "Count the last page" in result.stdout
    assert "Add invoices" not in result.stdout


def test_write(repository: Path) -> None:
    result = runner.invoke(app, ["changelog", "--write"])

    assert result.exit_code == 0, result.output
    assert (repository / "CHANGELOG.md").read_text() == changelog.render()


def test_no_repository(folder: Path, git: Git) -> None:
    result = runner.invoke(app, ["changelog", "--write"])

    assert result.exit_code == 1
    assert "There are no commits yet. Run: git init" in result.stderr
    assert list(folder.iterdir()) == []


def test_missing_git_cliff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)

    assert changelog.render() == ""
