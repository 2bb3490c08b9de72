"""`test`, `lint` and `lock`."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import console, fail, run

REQUIREMENTS = Path("requirements.txt")
# They keep out of each other's way, whatever they store.
ON_ALL_CORES = ("-n", "auto", "--dist", "worksteal")
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


def run_tests(
    context: typer.Context,
    watch: Annotated[
        bool, typer.Option("--watch", help="Run them again at each change, the failed ones first.")
    ] = False,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only those that failed the last time.")
    ] = False,
    coverage: Annotated[
        bool,
        typer.Option("--coverage", help="Show the lines that no test reaches; see htmlcov/ too."),
    ] = False,
) -> None:
    """Run the tests on all cores, and check their coverage. Other arguments go to pytest, in one process.

    Example: test -k items -x
    """
    options = list(context.args)
    if failed:
        options.append("--last-failed")
    if coverage:
        options += ["--cov", "--cov-report=term-missing:skip-covered", "--cov-report=html"]
    if watch:
        watch_tests(["--failed-first", *options])
        return
    # A part of the tests covers a part of the code: the gate holds for all of them.
    raise typer.Exit(run("pytest", *(options or ["--cov", *ON_ALL_CORES])))


def watch_tests(options: list[str]) -> None:
    """Run the tests at each change of the code, until interrupted.

    Args:
        options: For pytest.
    """
    import shlex  # noqa: PLC0415

    from watchfiles import PythonFilter, run_process  # noqa: PLC0415

    command = shlex.join([sys.executable, "-m", "pytest", *options])
    run_process("src", "tests", target=command, target_type="command", watch_filter=PythonFilter())


def lint(
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended.")] = False,
) -> None:
    """Check format, lint and types.

    Example: lint --fix
    """
    checks = [
        ["ruff", "format", *([] if fix else ["--check"]), "."],
        ["ruff", "check", *(["--fix"] if fix else []), "."],
        ["mypy"],
    ]
    failed = []
    for check in checks:
        console.print(f"$ {' '.join(check)}", style="bold")
        if run(*check):
            failed.append(check[0])
    if failed:
        raise typer.Exit(1)


def lock(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail if they are not in step.")
    ] = False,
) -> None:
    """Bring uv.lock in step with pyproject.toml, and requirements.txt with uv.lock.

    Example: lock --check
    """
    export = ["uv", "export", "--quiet", "--no-default-groups", "--no-emit-project", "--no-header"]
    if check:
        export += ["--locked"]
        done = subprocess.run(export, check=False, capture_output=True, text=True)
        current = REQUIREMENTS.read_text(encoding="utf-8") if REQUIREMENTS.exists() else None
        if done.returncode or current != done.stdout:
            fail(f"pyproject.toml, uv.lock and {REQUIREMENTS} are not in step. Mend it: lock")
        return
    for command in (["uv", "lock"], [*export, "--output-file", str(REQUIREMENTS)]):
        if code := subprocess.run(command, check=False).returncode:
            raise typer.Exit(code)
