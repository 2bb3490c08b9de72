"""Docker, as the commands use it: found, spoken to, and its failures in words."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.cli.console import PlainError, console

LAST_LINES = 12


class DockerError(PlainError):
    """Docker is missing, or refuses; says what to do."""


@dataclass(frozen=True)
class Docker:
    """An engine, and how to speak to it.

    Args:
        options: What comes before each command: `compose`, `--file` and so on.
        environment: Variables beside those of this process.
        dry_run: Print what would change something, and do not run it.
    """

    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False

    def command(self, *arguments: str) -> list[str]:
        """Give the whole command.

        Raises:
            DockerError: There is no Docker here.
        """
        program = shutil.which("docker")
        if program is None:
            raise DockerError(
                "Docker is not installed. Get it from https://docs.docker.com/get-docker/"
            )
        return [program, *self.options, *arguments]

    def tried(self, *arguments: str) -> tuple[bool, str]:
        """Run a command that may fail, in a dry run too: for what changes nothing.

        Returns:
            Whether it succeeded, and what it printed.
        """
        done = self._run(arguments)
        return done.returncode == 0, done.stdout.decode(errors="replace").strip()

    def ask(self, *arguments: str) -> str:
        """Give what a command prints, or nothing where it fails. For what changes nothing."""
        done = self._run(arguments, stderr=subprocess.DEVNULL)
        return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""

    def show(self, *arguments: str) -> None:
        """Run a command whose progress is to be seen.

        Raises:
            DockerError: It failed.
        """
        if not self._only_said(arguments) and self._run(arguments, None, None).returncode:
            raise DockerError(f"`docker {' '.join(arguments[:2])}` failed: see above.")

    def do(self, *arguments: str, given: bytes = b"") -> None:
        """Run a command, and show nothing of it unless it fails.

        Args:
            arguments: The command.
            given: Its standard input.

        Raises:
            DockerError: It failed; with the last lines of what it said.
        """
        if self._only_said(arguments):
            return
        done = self._run(arguments, given=given)
        if done.returncode:
            said = done.stdout.decode(errors="replace").strip().splitlines()[-LAST_LINES:]
            raise DockerError("\n".join([f"`docker {' '.join(arguments[:2])}` failed:", *said]))

    def _only_said(self, arguments: tuple[str, ...]) -> bool:
        if self.dry_run:
            words = " ".join(["docker", *self.options, *arguments])
            console.print(f"$ {words}", style="dim", markup=False, soft_wrap=True)
        return self.dry_run

    def _run(
        self,
        arguments: tuple[str, ...],
        stdout: int | None = subprocess.PIPE,
        stderr: int | None = subprocess.STDOUT,
        given: bytes = b"",
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self.command(*arguments),
            check=False,
            env={**os.environ, **self.environment},
            input=given,
            stdout=stdout,
            stderr=stderr,
        )


def require_engine(docker: Docker, where: str = "Docker") -> None:
    """See that the engine answers.

    Args:
        docker: How to speak to it.
        where: What to call it in the message.

    Raises:
        DockerError: It does not.
    """
    good, said = docker.tried("version", "--format", "{{.Server.Version}}")
    if not good:
        reason = (said.splitlines() or ["it says nothing"])[-1]
        raise DockerError(f"{where} does not answer: {reason}\nStart it, and try again.")
