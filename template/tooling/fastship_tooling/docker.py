"""Thin wrapper around the docker CLI."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.cli.console import CLIError, console
from fastship_tooling.project import NEW_GROUP

LAST_LINES = 12


class DockerError(CLIError):
    """Docker is missing, or a command failed."""


@dataclass(frozen=True)
class Docker:
    """The docker CLI with fixed options.

    Args:
        options: Options before each command, such as `compose --file NAME`.
        environment: Environment variables in addition to those of this process.
        dry_run: Print the commands that would change something, and do not run them.
    """

    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False

    def command(self, *arguments: str) -> list[str]:
        """Return the complete command line.

        Raises:
            DockerError: Docker is not installed.
        """
        program = shutil.which("docker")
        if program is None:
            raise DockerError(
                "Docker is not installed. Install it: https://docs.docker.com/get-docker/"
            )
        return [program, *self.options, *arguments]

    def try_run(self, *arguments: str) -> tuple[bool, str]:
        """Run a command whose failure is a valid answer, also in a dry run.

        Returns:
            Whether it succeeded, and its output including errors.
        """
        done = self._run(arguments, stderr=subprocess.STDOUT)
        return done.returncode == 0, done.stdout.decode(errors="replace").strip()

    def output(self, *arguments: str) -> str:
        """Return the standard output of a command that changes nothing, also in a dry run.

        Raises:
            DockerError: It failed.
        """
        done = self._run(arguments)
        if done.returncode:
            raise self._failure(arguments, done.stderr)
        return done.stdout.decode(errors="replace").strip()

    def stream(self, *arguments: str) -> None:
        """Run a command and show its output.

        Raises:
            DockerError: It failed.
        """
        if self._printed(arguments):
            return
        if self._run(arguments, stdout=None, stderr=None).returncode:
            raise DockerError(f"`{self._name(arguments)}` failed. See its output above.")

    def run(self, *arguments: str, stdin: bytes = b"") -> None:
        """Run a command without showing its output.

        Args:
            arguments: The command.
            stdin: Standard input.

        Raises:
            DockerError: It failed. The message has the last lines of its output.
        """
        if self._printed(arguments):
            return
        done = self._run(arguments, stderr=subprocess.STDOUT, stdin=stdin)
        if done.returncode:
            raise self._failure(arguments, done.stdout)

    def _name(self, arguments: tuple[str, ...]) -> str:
        """Return a command without options: `docker compose logs`."""
        parts = ("docker", *self.options[:1], *arguments[:2])
        return " ".join(part for part in parts if not part.startswith("-"))

    def _failure(self, arguments: tuple[str, ...], output: bytes) -> DockerError:
        lines = output.decode(errors="replace").strip().splitlines()[-LAST_LINES:]
        return DockerError("\n".join([f"`{self._name(arguments)}` failed:", *lines]))

    def _printed(self, arguments: tuple[str, ...]) -> bool:
        if self.dry_run:
            command = " ".join(["docker", *self.options, *arguments])
            console.print(f"$ {command}", style="dim", markup=False, soft_wrap=True)
        return self.dry_run

    def _run(
        self,
        arguments: tuple[str, ...],
        *,
        stdout: int | None = subprocess.PIPE,
        stderr: int | None = subprocess.PIPE,
        stdin: bytes = b"",
    ) -> subprocess.CompletedProcess[bytes]:
        # Docker Compose would handle the Ctrl-C that this process ignores.
        is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        return subprocess.run(
            self.command(*arguments),
            check=False,
            env={**os.environ, **self.environment},
            input=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=is_ignored,
            creationflags=NEW_GROUP if is_ignored else 0,
        )


def require_engine(docker: Docker, minimum: int = 0) -> None:
    """Check that the Docker engine is running: that of DOCKER_HOST, or the one of this machine.

    Args:
        docker: The docker CLI.
        minimum: Major version that is required.

    Raises:
        DockerError: It does not answer, or it is too old.
    """
    host = os.environ.get("DOCKER_HOST", "")
    name = host or "Docker"
    running, output = docker.try_run("version", "--format", "{{.Server.Version}}")
    if not running:
        # Docker puts its whole command line before the error of ssh.
        reason = (output.splitlines() or ["no output"])[-1].rpartition("stderr=")[2]
        raise DockerError(f"{name} does not answer: {reason}\n{_advice(host)}")
    version = re.search(r"^(\d+)\.\S+$", output, re.MULTILINE)
    if version and int(version[1]) < minimum:
        raise DockerError(
            f"{name} has version {version[0]} of the Docker engine, but {minimum} or newer is "
            "required. Upgrade it: https://docs.docker.com/engine/install/"
        )


def _advice(host: str) -> str:
    """Return what to do if an engine does not answer.

    Args:
        host: DOCKER_HOST, or empty.
    """
    scheme, _, address = host.partition("://")
    if not host:
        return "Start Docker and try again."
    if scheme != "ssh":
        return (
            "Check the address, such as ssh://root@example.com, and that Docker is running there."
        )
    target, _, port = address.rpartition(":") if ":" in address else (address, "", "22")
    return (
        "Check the address. Docker must be installed there, and ssh must need no password and no "
        f"confirmation: ssh -p {port} {target} docker version"
    )
