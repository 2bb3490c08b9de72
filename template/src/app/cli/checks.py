"""`test`, `lint` and `lock`."""

import subprocess
from typing import Annotated

import typer

from app.cli.console import console, run

PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


def test(context: typer.Context) -> None:
    """Run the tests, and check their coverage. Arguments go to pytest: `test -k items -x`."""
    # A part of the tests covers a part of the code: the gate holds for all of them.
    raise typer.Exit(run("pytest", *(context.args or ["--cov"])))


def lint(
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended.")] = False,
) -> None:
    """Check format, lint and types."""
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


def lock() -> None:
    """Bring uv.lock in step with pyproject.toml, and requirements.txt with uv.lock."""
    export = ["export", "--quiet", "--no-default-groups", "--no-emit-project", "--no-header"]
    for command in (["lock"], [*export, "--output-file", "requirements.txt"]):
        if code := subprocess.run(["uv", *command], check=False).returncode:  # noqa: S607
            raise typer.Exit(code)
