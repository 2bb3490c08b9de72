"""A docker CLI for tests."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat

from fastship_tooling.deploy.server import COLORS
from fastship_tooling.docker import Docker

STATES = {"up": "running", "start": "running", "stop": "exited"}


@dataclass(frozen=True)
class FakeDocker(Docker):
    """A docker CLI that records the commands instead of running them.

    It simulates one container for each color. A command is identified by how it starts: `service ps`.

    Args:
        containers: State of the containers, by color: running or exited.
        tags: Tags of the images.
        commands: The commands, in order.
        inputs: Standard input of the latest command, by its first word.
        outputs: Standard output of commands.
        warnings: Standard error of commands.
        failures: Errors of the next runs of commands.
    """

    containers: dict[str, str] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    commands: list[tuple[str, ...]] = field(default_factory=list)
    inputs: dict[str, bytes] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)
    failures: dict[str, Iterator[str]] = field(default_factory=dict)

    def serve(self, color: str, previous: str | None = None) -> None:
        """Set the state after successful deployments.

        Args:
            color: Color that is serving.
            previous: Color of the version before, if any.
        """
        self.containers[color] = "running"
        self.tags.add(f"{color}-live")
        if previous:
            self.containers[previous] = "exited"
            self.tags.add(f"{previous}-previous")

    def fail(self, command: str, error: str, times: int = 1_000) -> None:
        """Fail the next runs of a command.

        Args:
            command: How the command starts.
            error: Standard error.
            times: Number of runs.
        """
        self.failures[command] = repeat(error, times)

    def _run(
        self,
        arguments: tuple[str, ...],
        *,
        stdout: int | None = subprocess.PIPE,
        stderr: int | None = subprocess.PIPE,
        stdin: bytes = b"",
    ) -> subprocess.CompletedProcess[bytes]:
        self.commands.append(arguments)
        self.inputs[arguments[0]] = stdin
        failures = _find(self.failures, arguments)
        failure = next(failures, None) if failures else None
        output, error = "", failure or _find(self.warnings, arguments) or ""
        if failure is None:
            self._change(arguments)
            output = _find(self.outputs, arguments) or self._output(arguments)
        if stderr == subprocess.STDOUT:
            output, error = f"{error}{output}", ""
        return subprocess.CompletedProcess(
            arguments, int(failure is not None), output.encode(), error.encode()
        )

    def _change(self, arguments: tuple[str, ...]) -> None:
        command, color = arguments[0], arguments[-1]
        if command in STATES and color in COLORS:
            self.containers[color] = STATES[command]
        elif command == "tag":
            self.tags.add(color.rpartition(":")[2])
        elif arguments[:2] == ("image", "rm"):
            self.tags.discard(color.rpartition(":")[2])
        elif command == "rm":
            self.containers.pop(color, None)

    def _output(self, arguments: tuple[str, ...]) -> str:
        name = arguments[-1]
        if arguments[0] == "ps":
            state = self.containers.get(name)
            return f"id-of-{name}" if state and (state == "running" or "--all" in arguments) else ""
        if arguments[:2] == ("image", "ls"):
            return "\n".join(self.tags)
        return "true 0" if "{{.State.Running}} {{.RestartCount}}" in arguments else ""


def _find[T](values: dict[str, T], arguments: tuple[str, ...]) -> T | None:
    command = " ".join(arguments)
    return next((value for start, value in values.items() if command.startswith(start)), None)
