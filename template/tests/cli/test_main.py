import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import uvicorn
import watchfiles
from typer.testing import CliRunner

from app.cli import checks, serve
from app.cli.main import app
from app.config import SLUG, VERSION

runner = CliRunner()


def test_version() -> None:
    assert runner.invoke(app, ["--version"]).stdout.strip() == VERSION


def commands(group: Any, *path: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *path, name)
        else:
            yield (*path, name)


@pytest.mark.parametrize("path", list(commands(typer.main.get_command(app))), ids=" ".join)
def test_help_has_an_example(path: tuple[str, ...]) -> None:
    result = runner.invoke(app, [*path, "--help"])

    assert result.exit_code == 0
    assert f"Example: {' '.join(path)}" in " ".join(result.stdout.split())


def test_completion() -> None:
    variable = f"_{SLUG.replace('-', '_').upper()}_COMPLETE"
    script = f"from app.cli.main import app; app(prog_name={SLUG!r})"
    environment = {variable: "complete_bash", "COMP_WORDS": f"{SLUG} fea", "COMP_CWORD": "1"}

    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )

    assert done.stdout.split() == ["feature"]


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys, app.cli.main;"
        "print(sorted({'fastapi', 'pydantic', 'uvicorn', 'pytest'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


def test_serve_without_settings_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENVIRONMENT", "production")
    monkeypatch.setenv("APP_DEBUG", "true")

    result = runner.invoke(app, ["serve"])

    assert result.exit_code == 1
    assert "APP_DEBUG" in result.stderr
    assert "Traceback" not in result.output


def test_serve_takes_the_port_that_a_host_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, object] = {}
    monkeypatch.setattr(uvicorn, "run", lambda _app, **given: options.update(given))
    monkeypatch.setattr(serve, "preflight", [])
    monkeypatch.setenv("APP_ENVIRONMENT", "development")
    monkeypatch.setenv("PORT", "9123")
    monkeypatch.setenv("APP_WORKERS", "1")

    result = runner.invoke(app, ["serve", "--workers", "2"])

    assert result.exit_code == 0, result.output
    assert (options["port"], options["workers"]) == (9123, 2)


class TestChecks:
    @pytest.fixture
    def commands(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
        seen: list[tuple[str, ...]] = []

        def run(*command: str) -> int:
            seen.append(command)
            return int(command[0] == "mypy")

        monkeypatch.setattr(checks, "run", run)
        return seen

    def test_all_tests_are_held_to_the_coverage(self, commands: list[tuple[str, ...]]) -> None:
        runner.invoke(app, ["test"])

        assert commands == [("pytest", "--cov", *checks.ON_ALL_CORES)]

    def test_some_tests(self, commands: list[tuple[str, ...]]) -> None:
        runner.invoke(app, ["test", "-k", "items", "-x"])

        assert commands == [("pytest", "-k", "items", "-x")]

    def test_lint_runs_all_and_fails_if_one_does(self, commands: list[tuple[str, ...]]) -> None:
        result = runner.invoke(app, ["lint"])

        assert [command[0] for command in commands] == ["ruff", "ruff", "mypy"]
        assert result.exit_code == 1

    def test_lock_makes_both_files(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = []

        def run(command: list[str], *, check: bool) -> subprocess.CompletedProcess[str]:
            seen.append(command[:2])
            return subprocess.CompletedProcess(command, 0)

        monkeypatch.setattr(subprocess, "run", run)

        assert runner.invoke(app, ["lock"]).exit_code == 0
        assert seen == [["uv", "lock"], ["uv", "export"]]

    def test_lock_that_is_not_in_step(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
            assert "--locked" in command
            return subprocess.CompletedProcess(command, 0, "fastapi==1\n")

        monkeypatch.setattr(subprocess, "run", run)
        monkeypatch.setattr(checks, "REQUIREMENTS", tmp_path / "requirements.txt")

        missing = runner.invoke(app, ["lock", "--check"])
        checks.REQUIREMENTS.write_text("fastapi==1\n")
        current = runner.invoke(app, ["lock", "--check"])

        assert (missing.exit_code, current.exit_code) == (1, 0)
        assert "not in step" in missing.stderr

    @pytest.mark.parametrize(
        ("given", "passed_on"),
        [
            (["--failed"], ["--last-failed"]),
            (["--failed", "-x"], ["-x", "--last-failed"]),
            (
                ["--coverage"],
                ["--cov", "--cov-report=term-missing:skip-covered", "--cov-report=html"],
            ),
        ],
    )
    def test_options(
        self, commands: list[tuple[str, ...]], given: list[str], passed_on: list[str]
    ) -> None:
        runner.invoke(app, ["test", *given])

        assert commands == [("pytest", *passed_on)]

    def test_watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        watched = []
        monkeypatch.setattr(
            watchfiles,
            "run_process",
            lambda *paths, target, **_: watched.append((paths, target.split(" -m ")[1])),
        )

        runner.invoke(app, ["test", "--watch", "-k", "items"])

        assert watched == [(("src", "tests"), "pytest --failed-first -k items")]

    def test_lint_fix(self, commands: list[tuple[str, ...]]) -> None:
        runner.invoke(app, ["lint", "--fix"])

        assert commands[:2] == [("ruff", "format", "."), ("ruff", "check", "--fix", ".")]
