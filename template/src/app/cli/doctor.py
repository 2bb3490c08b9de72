"""`doctor`: what this machine and this project lack, each with the way to mend it."""

import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import typer

from app.cli.console import PlainError, console, load_settings
from app.cli.env_file import ENV_FILE, ensure_env_file


class Finding(NamedTuple):
    """What a check has found.

    Args:
        what: In a few words.
        fix: What to do about it; empty where all is well.
        needed: Whether nothing works without it.
    """

    what: str
    fix: str = ""
    needed: bool = True


def doctor() -> None:
    """Look for what is missing or wrong, and say how to mend it. Fails if something is needed.

    Example: doctor
    """
    ensure_env_file()
    faults = 0
    for check in checks:
        finding = tried(check)
        state, style = "ok  ", "green"
        if finding.fix:
            state, style = ("FAIL", "red") if finding.needed else ("note", "yellow")
        faults += state == "FAIL"
        console.print(f"[{style}]{state}[/]  {finding.what}", soft_wrap=True)
        if finding.fix:
            console.print(f"      -> {finding.fix}", markup=False, soft_wrap=True)
    if faults:
        raise typer.Exit(1)


def said(*command: str) -> str | None:
    """Give what a program prints first; None if there is no such program, or it fails."""
    program = shutil.which(command[0])
    if program is None:
        return None
    done = subprocess.run([program, *command[1:]], check=False, capture_output=True, text=True)
    return (done.stdout.splitlines() or [""])[0] if done.returncode == 0 else None


def check_uv() -> Finding:
    """Is uv there?"""
    version = said("uv", "--version")
    if version is None:
        return Finding("uv is not installed", "https://docs.astral.sh/uv/")
    return Finding(version)


def check_python() -> Finding:
    """Is this a Python that the project runs on?"""
    import tomllib  # noqa: PLC0415

    running = ".".join(map(str, sys.version_info[:3]))
    wanted = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]["requires-python"]
    least = tuple(int(part) for part in wanted.removeprefix(">=").split("."))
    if sys.version_info[: len(least)] < least:
        return Finding(f"Python {running}, but {wanted} is needed", "uv sync")
    return Finding(f"Python {running}")


def check_lock() -> Finding:
    """Is the lock file there, and in step?"""
    if not Path("uv.lock").exists():
        return Finding("uv.lock is missing", "uv lock")
    if said("uv", "lock", "--check") is None:
        return Finding(
            "uv.lock is not in step with pyproject.toml", "uv run python -m app.cli lock"
        )
    return Finding("uv.lock is in step with pyproject.toml")


def check_git() -> Finding:
    """Is the project under git?"""
    if said("git", "rev-parse", "--is-inside-work-tree") is None:
        return Finding("not under git", "git init, for updates and for versions", needed=False)
    return Finding("under git")


def check_docker() -> Finding:
    """Is there Docker, and does it run?"""
    if shutil.which("docker") is None:
        fix = "https://docs.docker.com/get-docker/, when you want images; nothing else needs it"
        return Finding("Docker is not installed", fix, needed=False)
    version = said("docker", "version", "--format", "{{.Server.Version}}")
    if version is None:
        fix = "start it, when you want images; nothing else needs it"
        return Finding("Docker does not run", fix, needed=False)
    return Finding(f"Docker {version}")


def check_port() -> Finding:
    """Is the usual port free?"""
    from app.cli.dev import STATE, try_port  # noqa: PLC0415

    port = 8000
    try:
        try_port("127.0.0.1", port)
    except OSError:
        where = STATE / "dev.txt"
        if where.exists() and f":{port}" in where.read_text():
            return Finding(f"port {port} is taken by this project's `dev`")
        fix = f"free it, or take another: dev --port {port + 1}"
        return Finding(f"port {port} is taken", fix, needed=False)
    return Finding(f"port {port} is free")


def check_env_file() -> Finding:
    """Is `.env` only yours to read?"""
    if not ENV_FILE.exists():
        return Finding(
            f"{ENV_FILE} is missing, and so is .env.example", "git checkout .env.example"
        )
    if sys.platform != "win32" and ENV_FILE.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        return Finding(f"{ENV_FILE} can be read by others", f"chmod 600 {ENV_FILE}", needed=False)
    return Finding(f"{ENV_FILE} is there")


def check_settings() -> str:
    """Read the settings."""
    load_settings()
    return "the settings are usable"


def tried(check: Callable[[], Finding | str]) -> Finding:
    """Make a check; what it raises in words is a fault.

    Args:
        check: Gives what it found, or what to say when all is well.
    """
    try:
        found = check()
    except PlainError as error:
        what, _, fix = str(error).partition("\n")
        return Finding(what.removesuffix(":"), fix.strip() or "see above")
    return found if isinstance(found, Finding) else Finding(found)


checks: list[Callable[[], Finding | str]] = [
    check_uv,
    check_python,
    check_lock,
    check_git,
    check_docker,
    check_port,
    check_env_file,
    check_settings,
]
"""What is looked at, in this order."""
