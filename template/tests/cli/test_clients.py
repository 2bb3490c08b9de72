import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from app.cli import clients, openapi
from app.cli.main import app

runner = CliRunner()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, with a generator that copies."""
    monkeypatch.setattr(clients, "CLIENTS", tmp_path / "clients")
    monkeypatch.setattr(clients, "STATE", tmp_path)
    monkeypatch.setattr(openapi, "FILE", tmp_path / "openapi.json")

    def copy(target: Path) -> None:
        target.mkdir()
        (target / "schema.py").write_text(openapi.FILE.read_text())

    monkeypatch.setattr(clients, "GENERATORS", {"python": copy, "typescript": fail})
    return tmp_path


def fail(_target: Path) -> None:
    raise clients.ClientError("There is no Node.")


def test_one_that_fails_does_not_keep_the_other(folder: Path) -> None:
    result = runner.invoke(app, ["client", "generate"])

    assert result.exit_code == 1
    assert "There is no Node." in result.stderr
    assert (folder / "clients/python/schema.py").exists()


def test_stale_client(folder: Path) -> None:
    made = runner.invoke(app, ["client", "generate", "python"])
    (folder / "clients/python/.venv").mkdir()
    (folder / "clients/python/.venv/mine").touch()  # what was built in it does not matter
    current = runner.invoke(app, ["client", "generate", "--check"])
    (folder / "clients/python/schema.py").write_text("old")
    stale = runner.invoke(app, ["client", "generate", "--check"])
    renewed = runner.invoke(app, ["client", "generate", "python"])

    codes = [result.exit_code for result in (made, current, stale, renewed)]
    assert codes == [0, 0, 1, 0]
    assert "is stale" in stale.stderr
    assert "is renewed" in renewed.stdout


def test_unknown_language() -> None:
    result = runner.invoke(app, ["client", "generate", "cobol"])

    assert result.exit_code == 1
    assert "cobol" in result.stderr


def test_generator_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(clients.ClientError, match="no such option"):
        clients.call("python", "sh", "-c", "echo no such option >&2; exit 2")


@pytest.mark.parametrize(
    ("version", "wheel", "command"),
    [
        ("v24.1.0", True, "/usr/bin/npx"),
        ("v22.17.0", True, "uv"),
        ("v18.0.0", True, "uv"),
        (None, True, "uv"),
        (None, False, None),
    ],
)
def test_which_node(
    monkeypatch: pytest.MonkeyPatch, version: str | None, wheel: bool, command: str | None
) -> None:
    def run(arguments: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        is_node = arguments[0].endswith("node")
        return subprocess.CompletedProcess(arguments, int(not (is_node or wheel)), version or "")

    monkeypatch.setattr(
        clients,
        "shutil",
        SimpleNamespace(which=lambda name: f"/usr/bin/{name}" if version else None),
    )
    monkeypatch.setattr(subprocess, "run", run)

    if command:
        assert clients.npx()[0] == command
    else:
        with pytest.raises(clients.ClientError, match=r"needs Node 22\.18"):
            clients.npx()
