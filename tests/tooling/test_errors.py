import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastship_tooling import errors, openapi
from typer.testing import CliRunner

from app.cli.main import app

runner = CliRunner()


def test_frames_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "src/app"
    monkeypatch.setattr(errors, "PACKAGE", package)
    names: dict[str, Any] = {}
    hidden: dict[str, Any] = {"__tracebackhide__": True}
    for path, code, scope in (
        ("models.py", "def model(call): call()", names),
        ("cli/main.py", "def command(): library()", names),
        ("migrations/__init__.py", "def library(): raise ValueError('no such column')", hidden),
    ):
        exec(compile(code, package / path, "exec"), scope)  # noqa: S102
    names["library"] = hidden["library"]

    try:
        names["model"](names["command"])
    except ValueError as error:
        errors.print_error(error)

    err = capsys.readouterr().err
    assert "models.py" in err
    assert "main.py" not in err
    assert "__init__.py" not in err
    assert "test_errors.py" not in err
    assert err.rstrip().endswith("ValueError: no such column")


class TestCommand:
    @pytest.fixture(autouse=True)
    def package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Return the folder of the code of the project."""
        monkeypatch.setattr(errors, "PACKAGE", tmp_path)
        return tmp_path

    @pytest.fixture
    def fail_with(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
        """Return a function that runs a command which calls a function, and returns the error output."""

        def run(function: Callable[[], object]) -> str:
            monkeypatch.setattr(openapi, "application", function)
            result = runner.invoke(app, ["routes"])
            assert result.exit_code == 1
            return result.stderr

        return run

    def test_error_of_the_project(self, package: Path, fail_with: Callable[..., str]) -> None:
        names: dict[str, Any] = {}
        code = "def create_app(): raise ValueError('my own')"
        exec(compile(code, package / "main.py", "exec"), names)  # noqa: S102

        lines = fail_with(names["create_app"]).splitlines()

        assert lines[0] == "Traceback (most recent call last):"
        assert "main.py" in lines[1]
        assert lines[-2:] == [
            "ValueError: my own",
            "The code of the project has an error. Correct it and try again.",
        ]

    def test_syntax_error(self, package: Path, fail_with: Callable[..., str]) -> None:
        lines = fail_with(lambda: compile("def broken(:", package / "main.py", "exec")).splitlines()

        assert "main.py" in lines[0]
        assert lines[-1] == "The code of the project has an error. Correct it and try again."

    def test_error_of_the_template(self, fail_with: Callable[..., str]) -> None:
        output = fail_with(lambda: {}["name"])

        assert "KeyError: 'name'\nThis is probably an error of the template." in output
        assert "site-packages" not in output

    def test_missing_program(self, fail_with: Callable[..., str]) -> None:
        output = fail_with(lambda: subprocess.run(["missing-program"], check=False))  # noqa: S607

        assert output == (
            "missing-program is not installed, or not on the PATH. Install it and try again.\n"
        )

    def test_missing_file(self, folder: Path, fail_with: Callable[..., str]) -> None:
        output = fail_with(Path("settings.toml").read_text)

        assert output == "settings.toml: No such file or directory. Correct that and try again.\n"

    def test_interrupt(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupt() -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(openapi, "application", interrupt)

        result = runner.invoke(app, ["routes"])

        assert result.exit_code == 130
        assert result.output == ""


def test_interrupt_of_a_module() -> None:
    with pytest.raises(SystemExit) as caught, errors.reported():
        raise KeyboardInterrupt

    assert caught.value.code == 130


def test_broken_file(folder: Path) -> None:
    source = folder / "src/app/main.py"
    source.parent.mkdir(parents=True)
    source.write_text("\ndef broken(:\n")

    for command in (["feature", "new", "cars"], ["feature", "remove", "items", "--yes"]):
        result = runner.invoke(app, command)

        assert result.exit_code == 1
        assert result.stderr == ("src/app/main.py:2: invalid syntax.\nCorrect it and try again.\n")
