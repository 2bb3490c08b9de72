import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import changelog
from app.cli.main import app

runner = CliRunner()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A history of two releases, and something since."""
    root = Path.cwd()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_bytes((root / "pyproject.toml").read_bytes())

    def git(*command: str) -> None:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        subprocess.run(["git", *identity, *command], check=True, capture_output=True)  # noqa: S607

    git("init")
    for message in ("feat: add invoices", "v1.0.0", "fix!: count the last page", "docs: say so",
                    "v1.1.0", "Tidy up"):  # fmt: skip
        if message.startswith("v"):
            git("tag", message)
        else:
            git("commit", "--allow-empty", "-m", message)
    return tmp_path


def test_release_by_release(repository: Path) -> None:
    lines = [line for line in changelog.render().splitlines() if line]

    assert [line.partition(" (")[0] for line in lines] == [
        "# Changelog",
        "## Unreleased",
        "### Other",
        "- Tidy up",
        "## 1.1.0",
        "### Fixed",
        "- **Breaking:** Count the last page",
        "## 1.0.0",
        "### New",
        "- Add invoices",
    ]


def test_notes_of_a_release(repository: Path) -> None:
    shown = changelog.render("--latest", "--strip", "all")

    assert "Count the last page" in shown
    assert "Add invoices" not in shown


def test_file(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = changelog.render()
    monkeypatch.setattr(changelog, "render", lambda *_: text)
    monkeypatch.setattr(changelog, "FILE", repository / "CHANGELOG.md")

    runner.invoke(app, ["changelog", "--write"])

    assert (repository / "CHANGELOG.md").read_text() == text


def test_where_nothing_is_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert changelog.render() == ""
