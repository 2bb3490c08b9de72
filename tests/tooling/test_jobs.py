import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastship_tooling.project import HAS_DATABASE
from typer.testing import CliRunner

from app.cli.main import app

if not HAS_DATABASE:
    pytest.skip("there are no jobs", allow_module_level=True)

runner = CliRunner()


@pytest.fixture
def clean() -> Iterator[None]:
    yield
    for path in (Path("src/app/jobs/send_report.py"), Path("tests/jobs/test_send_report.py")):
        path.unlink(missing_ok=True)


def new(name: str, code: int = 0) -> str:
    result = runner.invoke(app, ["jobs", "new", name])
    assert result.exit_code == code, result.output
    return result.output


@pytest.mark.usefixtures("clean")
def test_new() -> None:
    printed = new("send_report")

    assert "src/app/jobs/send_report.py" in printed
    assert "await send_report.enqueue(session)" in printed
    tests = [sys.executable, "-m", "pytest", "-q", "tests/jobs/test_send_report.py"]
    lint = ["ruff", "check", "src/app/jobs", "tests/jobs"]
    types = [sys.executable, "-m", "mypy", "src/app/jobs/send_report.py"]
    for command in (tests, lint, ["ruff", "format", "--check", *lint[2:]], types):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
    assert "There is a job send_report already" in new("send_report", code=1)


@pytest.mark.parametrize("name", ["Report", "send-report", "import", "../x"])
def test_invalid_name(name: str) -> None:
    assert "not the name of a function" in new(name, code=1)


def test_existing_job() -> None:
    assert "There is a job delete_expired already" in new("delete_expired", code=1)
