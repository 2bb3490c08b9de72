"""`test`, `lint` and `lock`."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import console, fail
from fastship_tooling.project import HAS_DATABASE, command_line

REQUIREMENTS = Path("requirements.txt")
# Each worker has its own database.
ON_ALL_CORES = ("-n", "auto", "--dist", "worksteal")
USAGE_ERROR = 4
"""Exit code of pytest, for example after an unknown option or a path that does not exist."""
POLL_MILLISECONDS = 100
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


def run_module(*command: str) -> int:
    """Run a module of the environment, such as pytest, and return its exit code."""
    return subprocess.run([sys.executable, "-m", *command], check=False).returncode


def run_tests(
    context: typer.Context,
    watch: Annotated[
        bool, typer.Option("--watch", help="Run again on each change, failed tests first.")
    ] = False,
    failed: Annotated[
        bool, typer.Option("--failed", help="Run only the tests that failed last time.")
    ] = False,
    coverage: Annotated[
        bool,
        typer.Option("--coverage", help="Show the lines that no test executes; see also htmlcov/."),
    ] = False,
) -> None:
    """Run the tests on all cores and check the coverage. Further arguments are passed to pytest.

    Example: test -k items -x
    """
    options = list(context.args)
    if failed:
        options.append("--last-failed")
    if coverage:
        # The threshold applies to the whole suite only.
        options += ["--cov-fail-under=0"] if options else []
        options += ["--cov", "--cov-report=term-missing:skip-covered", "--cov-report=html"]
    if watch:
        watch_tests(["--failed-first", *options])
        return
    raise typer.Exit(run_module("pytest", *(options or ["--cov", *ON_ALL_CORES])))


def watch_tests(options: list[str]) -> None:
    """Run the tests now and on each change of the code, until interrupted.

    Args:
        options: Arguments for pytest.

    Raises:
        Exit: The first run was not possible. Pytest has printed the reason.
    """
    from watchfiles import PythonFilter, watch

    started = False
    # The first result is empty. Changes during a run are in the next result.
    for changes in watch(
        *("src", "tests"),
        watch_filter=PythonFilter(),
        rust_timeout=POLL_MILLISECONDS,
        yield_on_timeout=True,
    ):
        if changes or not started:
            code = run_module("pytest", *options)
            if code == USAGE_ERROR and not started:
                raise typer.Exit(code)
            started = True


def lint(
    fix: Annotated[bool, typer.Option("--fix", help="Correct what ruff can correct.")] = False,
) -> None:
    """Check formatting, lint rules, types and, with a database, migrations.

    Example: lint --fix
    """
    checks = [
        ["ruff", "format", *([] if fix else ["--check"]), "."],
        ["ruff", "check", *(["--fix"] if fix else []), "."],
        ["mypy"],
        *([["app.cli", "db", "check"]] if HAS_DATABASE else []),
    ]
    failed = []
    for check in checks:
        shown = command_line(" ".join(check[1:])) if check[0] == "app.cli" else " ".join(check)
        console.print(f"$ {shown}", style="bold")
        if run_module(*check):
            failed.append(check[0])
    if failed:
        raise typer.Exit(1)


def lock(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail if a file is outdated.")
    ] = False,
) -> None:
    """Update uv.lock from pyproject.toml, and requirements.txt from uv.lock.

    With --check, requirements.txt may be missing.

    Example: lock --check
    """
    export = ["uv", "export", "--quiet", "--no-default-groups", "--no-emit-project", "--no-header"]
    if check:
        export += ["--locked"]
        done = subprocess.run(
            export, check=False, capture_output=True, encoding="utf-8", errors="replace"
        )
        if done.returncode:
            fail(f"uv.lock is missing or outdated. Update it: {command_line('lock')}")
        if REQUIREMENTS.exists() and REQUIREMENTS.read_text(encoding="utf-8") != done.stdout:
            fail(f"{REQUIREMENTS} is outdated. Update it: {command_line('lock')}")
        return
    for command in (["uv", "lock"], [*export, "--output-file", str(REQUIREMENTS)]):
        if code := subprocess.run(command, check=False).returncode:
            raise typer.Exit(code)
