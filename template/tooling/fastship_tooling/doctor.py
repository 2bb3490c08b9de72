"""`doctor`: check the development environment and suggest fixes."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import typer

from app.cli.console import CLIError, console
from fastship_tooling.dev.env_file import ENV_FILE
from fastship_tooling.project import HAS_DATABASE, HAS_REDIS, RUNNING, command_line
from fastship_tooling.settings import load_settings


class Finding(NamedTuple):
    """The result of a check.

    Args:
        summary: What was found.
        fix: How to fix it; empty if there is no problem.
        required: Whether development is impossible without the fix.
    """

    summary: str
    fix: str = ""
    required: bool = True


def doctor() -> None:
    """Check the development environment and suggest fixes. Fails if a required part is missing.

    Example: doctor
    """
    failures = 0
    for check in checks():
        finding = run_check(check)
        state, style = "ok  ", "green"
        if finding.fix:
            state, style = ("FAIL", "red") if finding.required else ("note", "yellow")
        failures += state == "FAIL"
        console.print(f"[{style}]{state}[/]  {finding.summary}", soft_wrap=True)
        if finding.fix:
            fix = finding.fix.replace("\n", "\n         ")
            console.print(f"      -> {fix}", markup=False, soft_wrap=True)
    if failures:
        raise typer.Exit(1)


def checks() -> Iterator[Callable[[], Finding]]:
    """Yield the checks, in the order in which they run."""
    yield from (check_uv, check_python, check_lock, check_git, check_code, check_docker)
    yield check_env_file
    # Without an environment, the rules of production apply, which a new checkout cannot meet.
    if not ENV_FILE.exists() and "APP_ENVIRONMENT" not in os.environ:
        return
    yield check_settings
    try:
        load_settings()
    except CLIError:
        return  # the other checks need valid settings
    yield check_port
    if HAS_DATABASE:
        from fastship_tooling.database.connection import check_database

        yield lambda: Finding(check_database())
    if HAS_REDIS:
        yield check_redis


def run_check(check: Callable[[], Finding]) -> Finding:
    """Run a check. A `CLIError` becomes a failure.

    Args:
        check: The check.
    """
    try:
        return check()
    except CLIError as error:
        summary, _, fix = str(error).partition("\n")
        return Finding(summary.removesuffix(":"), fix.strip() or "see above")


def first_line(*command: str) -> str | None:
    """Return the first line that a program prints, or None if it is missing or fails."""
    program = shutil.which(command[0])
    if program is None:
        return None
    done = subprocess.run(
        [program, *command[1:]],
        check=False,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    return (done.stdout.splitlines() or [""])[0] if done.returncode == 0 else None


def check_uv() -> Finding:
    """Check that uv is installed."""
    version = first_line("uv", "--version")
    if version is None:
        return Finding("uv is not installed", "https://docs.astral.sh/uv/")
    return Finding(version)


def check_python() -> Finding:
    """Check the version of Python."""
    import tomllib

    running = ".".join(map(str, sys.version_info[:3]))
    project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
    required = project["requires-python"]
    minimum = tuple(int(part) for part in required.removeprefix(">=").split("."))
    if sys.version_info[: len(minimum)] < minimum:
        return Finding(f"Python {running} is too old: the project requires {required}", "uv sync")
    return Finding(f"Python {running}")


def check_lock() -> Finding:
    """Check that uv.lock exists and is up to date."""
    if not Path("uv.lock").exists():
        return Finding("uv.lock is missing", "uv lock")
    if first_line("uv", "lock", "--check") is None:
        return Finding("uv.lock is outdated", command_line("lock"))
    return Finding("uv.lock is up to date")


def check_git() -> Finding:
    """Check that the project is in a git repository."""
    if first_line("git", "rev-parse", "--is-inside-work-tree") is None:
        fix = "git init -b main; updates and versions need it"
        return Finding("no git repository", fix, required=False)
    return Finding("git repository")


def check_code() -> Finding:
    """Check that the code uses no part of the project that an update has removed."""
    from fastship_tooling.errors import require_valid_syntax
    from fastship_tooling.leftovers import describe_leftovers

    # A conflict is invalid syntax, too.
    leftovers = describe_leftovers()
    if leftovers:
        return Finding(leftovers.problem, leftovers.advice)
    require_valid_syntax()
    migrations = Path("src/app/migrations")
    if not HAS_DATABASE and any(migrations.glob("*/*.py")):
        summary = f"{migrations} belongs to the database, which is switched off"
        return Finding(summary, "delete the folder", required=False)
    return Finding("all modules that the code imports exist")


def check_docker() -> Finding:
    """Check that Docker is installed and running."""
    if shutil.which("docker") is None:
        fix = "https://docs.docker.com/get-docker/; needed only for images"
        return Finding("Docker is not installed", fix, required=False)
    version = first_line("docker", "version", "--format", "{{.Server.Version}}")
    if version is None:
        return Finding("Docker is not running", "start it; needed only for images", required=False)
    return Finding(f"Docker {version}")


def check_port() -> Finding:
    """Check that the port of `dev` is free."""
    from fastship_tooling.ports import check_port_is_free

    port = load_settings().app.port
    try:
        check_port_is_free("127.0.0.1", port)
    except OSError:
        if RUNNING.exists() and RUNNING.read_text().endswith(f":{port}"):
            return Finding(f"port {port} is used by `dev` of this project")
        fix = f"stop the other process, or use another port: dev --port {port + 1}"
        return Finding(f"port {port} is already in use", fix, required=False)
    return Finding(f"port {port} is free")


def check_env_file() -> Finding:
    """Check that `.env` exists and that other users cannot read it."""
    if not ENV_FILE.exists():
        return Finding(f"{ENV_FILE} is missing", command_line("dev"), required=False)
    if sys.platform != "win32" and ENV_FILE.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        return Finding(f"other users can read {ENV_FILE}", f"chmod 600 {ENV_FILE}", required=False)
    return Finding(f"{ENV_FILE} exists")


def check_settings() -> Finding:
    """Check that the settings are valid."""
    load_settings()
    return Finding("the settings are valid")


def check_redis() -> Finding:
    """Check that Redis is available.

    Raises:
        CLIError: It is not.
    """
    import asyncio

    from redis.exceptions import RedisError

    from app.kit.redis import create_client

    settings = load_settings().redis
    if settings.url is None:
        return Finding("Redis: `dev` uses an in-memory server, because REDIS_URL is not set")

    async def ping() -> None:
        async with create_client(settings) as client:
            await client.ping()

    try:
        asyncio.run(ping())
    except (RedisError, OSError) as error:
        raise CLIError(
            f"Redis is unavailable: {error}\nStart it, or remove REDIS_URL from .env."
        ) from error
    return Finding("Redis is available")
