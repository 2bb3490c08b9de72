import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import watchfiles
from fastship_tooling import checks
from fastship_tooling.project import HAS_AUTH, HAS_DATABASE, HAS_DOCS
from typer.testing import CliRunner

from app.cli.main import app
from app.config import SLUG

runner = CliRunner()


def commands(group: Any, *path: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of each command of a group."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *path, name)
        else:
            yield (*path, name)


COMMANDS = list(commands(typer.main.get_command(app)))


def test_names() -> None:
    names = {path[0] for path in COMMANDS}

    assert names == {
        *("serve", "dev", "test", "lint", "lock", "doctor", "routes", "up", "down", "logs"),
        *("deploy", "openapi", "changelog", "client", "feature"),
        *(["db", "jobs", "worker"] if HAS_DATABASE else []),
        *(["users"] if HAS_AUTH else []),
        *(["docs"] if HAS_DOCS else []),
    }


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help(path: tuple[str, ...]) -> None:
    result = runner.invoke(app, [*path, "--help"])

    assert result.exit_code == 0
    assert f"Example: {' '.join(path)}" in " ".join(result.stdout.split())


@pytest.mark.parametrize("path", [(), *COMMANDS], ids=" ".join)
def test_flags_in_help(path: tuple[str, ...]) -> None:
    result = runner.invoke(app, [*path, "--help"])

    assert "--help" in result.stdout
    assert "<bool>" not in result.stdout


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


def test_imports_of_help() -> None:
    heavy = {
        "alembic",
        "asyncio",
        "fastapi",
        "jinja2",
        "pydantic",
        "pytest",
        "sqlalchemy",
        "uvicorn",
    }
    script = f"import sys, app.cli.main; print(sorted({heavy} & set(sys.modules)))"

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Record the modules that are run, with their arguments. Only mypy fails."""
    modules: list[tuple[str, ...]] = []

    def run_module(*command: str) -> int:
        modules.append(command)
        return int(command[0] == "mypy")

    monkeypatch.setattr(checks, "run_module", run_module)
    return modules


class TestTest:
    def test_all_tests(self, modules: list[tuple[str, ...]]) -> None:
        result = runner.invoke(app, ["test"])

        assert result.exit_code == 0
        assert modules == [("pytest", "--cov", *checks.ON_ALL_CORES)]

    @pytest.mark.parametrize(
        ("options", "arguments"),
        [
            (["-k", "items", "-x"], ["-k", "items", "-x"]),
            (["--failed"], ["--last-failed"]),
            (["--failed", "-x"], ["-x", "--last-failed"]),
            (
                ["--coverage"],
                ["--cov", "--cov-report=term-missing:skip-covered", "--cov-report=html"],
            ),
            (
                ["--coverage", "tests/items"],
                [
                    *("tests/items", "--cov-fail-under=0", "--cov"),
                    *("--cov-report=term-missing:skip-covered", "--cov-report=html"),
                ],
            ),
        ],
        ids=" ".join,
    )
    def test_options(
        self, modules: list[tuple[str, ...]], options: list[str], arguments: list[str]
    ) -> None:
        runner.invoke(app, ["test", *options])

        assert modules == [("pytest", *arguments)]

    def test_watch(self, monkeypatch: pytest.MonkeyPatch, modules: list[tuple[str, ...]]) -> None:
        change = {(watchfiles.Change.modified, "src/app/main.py")}
        results: list[set[Any]] = [set(), set(), change, set()]
        monkeypatch.setattr(watchfiles, "watch", lambda *_, **__: iter(results))

        result = runner.invoke(app, ["test", "--watch", "-k", "items"])

        assert result.exit_code == 0, result.output
        assert modules == [("pytest", "--failed-first", "-k", "items")] * 2

    def test_watch_after_usage_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # Pytest returns the same code if conftest.py cannot be imported.
        codes = iter([1, checks.USAGE_ERROR, 0])
        change = {(watchfiles.Change.modified, "tests/conftest.py")}
        results = iter([set(), change, change])
        monkeypatch.setattr(watchfiles, "watch", lambda *_, **__: results)
        monkeypatch.setattr(checks, "run_module", lambda *_: next(codes))

        assert runner.invoke(app, ["test", "--watch"]).exit_code == 0
        assert list(codes) == []

    @pytest.mark.parametrize("argument", ["--nope", "tests/nothing"])
    def test_watch_with_invalid_argument(self, argument: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", "test", "--watch", argument],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

        assert done.returncode == checks.USAGE_ERROR
        assert argument in done.stderr

    def test_exit_code(self) -> None:
        assert checks.run_module("pytest", "--version") == 0
        assert checks.run_module("no_such_module") == 1


class TestLint:
    def test_one_check_fails(self, modules: list[tuple[str, ...]]) -> None:
        result = runner.invoke(app, ["lint"])

        assert modules == [
            ("ruff", "format", "--check", "."),
            ("ruff", "check", "."),
            ("mypy",),
            *([("app.cli", "db", "check")] if HAS_DATABASE else []),
        ]
        assert result.exit_code == 1

    def test_fix(self, modules: list[tuple[str, ...]]) -> None:
        runner.invoke(app, ["lint", "--fix"])

        assert modules[:2] == [("ruff", "format", "."), ("ruff", "check", "--fix", ".")]


class TestLock:
    def test_update(self, monkeypatch: pytest.MonkeyPatch) -> None:
        programs = []

        def run(command: list[str], *, check: bool) -> subprocess.CompletedProcess[str]:
            programs.append(command[:2])
            return subprocess.CompletedProcess(command, 0)

        monkeypatch.setattr(subprocess, "run", run)

        assert runner.invoke(app, ["lock"]).exit_code == 0
        assert programs == [["uv", "lock"], ["uv", "export"]]

    def test_failed_update(self, monkeypatch: pytest.MonkeyPatch) -> None:
        programs = []

        def run(command: list[str], *, check: bool) -> subprocess.CompletedProcess[str]:
            programs.append(command[:2])
            return subprocess.CompletedProcess(command, 2)

        monkeypatch.setattr(subprocess, "run", run)

        assert runner.invoke(app, ["lock"]).exit_code == 2
        assert programs == [["uv", "lock"]]

    def test_check(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
            assert "--locked" in command
            return subprocess.CompletedProcess(command, 0, "fastapi==1\n")

        monkeypatch.setattr(subprocess, "run", run)
        monkeypatch.setattr(checks, "REQUIREMENTS", tmp_path / "requirements.txt")

        missing = runner.invoke(app, ["lock", "--check"])
        checks.REQUIREMENTS.write_text("fastapi==1\n")
        current = runner.invoke(app, ["lock", "--check"])
        checks.REQUIREMENTS.write_text("fastapi==0\n")
        outdated = runner.invoke(app, ["lock", "--check"])

        assert (missing.exit_code, current.exit_code, outdated.exit_code) == (0, 0, 1)
        assert "is outdated. Update it: uv run acme-orders lock" in " ".join(
            outdated.stderr.split()
        )

    def test_check_without_lock_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
            return subprocess.CompletedProcess(command, 2, "", "error: Unable to find lockfile")

        monkeypatch.setattr(subprocess, "run", run)

        result = runner.invoke(app, ["lock", "--check"])

        assert result.exit_code == 1
        assert "uv.lock is missing or outdated." in result.stderr
