import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import doctor
from app.cli.console import PlainError
from app.cli.doctor import Finding
from app.cli.main import app

runner = CliRunner()


def broken() -> str:
    raise PlainError("It is broken:\n  mend it")


@pytest.mark.parametrize(
    ("finding", "code", "lines"),
    [
        (lambda: "all is well", 0, ["ok    all is well"]),
        (
            lambda: Finding("it is slow", "wait", needed=False),
            0,
            ["note  it is slow", "      -> wait"],
        ),
        (lambda: Finding("it is gone", "get it"), 1, ["FAIL  it is gone", "      -> get it"]),
        (broken, 1, ["FAIL  It is broken", "      -> mend it"]),
    ],
    ids=["ok", "note", "fault", "error"],
)
def test_each_line_has_its_fix(
    monkeypatch: pytest.MonkeyPatch, finding: object, code: int, lines: list[str]
) -> None:
    monkeypatch.setattr(doctor, "checks", [finding])

    result = runner.invoke(app, ["doctor"])

    assert result.exit_code == code
    assert result.stdout.splitlines()[-len(lines) :] == lines


def test_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.chdir(tmp_path)

    assert doctor.check_uv().needed
    assert doctor.check_lock().fix == "uv lock"
    assert not doctor.check_docker().needed
    assert not doctor.check_git().needed


def test_python_that_is_too_old(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pyproject.toml").write_text('[project]\nrequires-python = ">=9.1"\n')

    assert doctor.check_python().fix == "uv sync"


def test_port_that_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def taken(*_: object) -> None:
        raise OSError

    monkeypatch.setattr("app.cli.dev.try_port", taken)
    monkeypatch.chdir(tmp_path)
    assert "--port 8001" in doctor.check_port().fix
    Path(".dev").mkdir()
    Path(".dev/dev.txt").write_text(" (process 1, http://127.0.0.1:8000)")
    assert doctor.check_port().fix == ""


def test_env_file_that_others_can_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert doctor.check_env_file().needed
    Path(".env").touch(0o644)
    assert doctor.check_env_file().fix == "chmod 600 .env"
    Path(".env").chmod(0o600)
    assert doctor.check_env_file().fix == ""
