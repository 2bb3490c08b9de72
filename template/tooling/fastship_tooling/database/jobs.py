"""The command `jobs new`."""

import re
from keyword import iskeyword
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import CLIError, console
from app.cli.jobs import app
from fastship_tooling.settings import default_to_development

SOURCE = Path("src/app/jobs")
TESTS = Path("tests/jobs")
JOB = '''\
from app.kit.jobs import JobContext, job


@job()
async def {name}(context: JobContext) -> None:
    """Describe what the job does. Add its arguments after the context."""
'''
TEST = """\
from sqlalchemy.ext.asyncio import AsyncSession

from app.jobs.{name} import {name}
from tests.jobs.fixtures import RunJobs


async def test_{name}(session: AsyncSession, run_jobs: RunJobs) -> None:
    await {name}.enqueue(session)
    await session.commit()

    assert await run_jobs() == ["{name}"]
"""


def add_commands() -> None:
    """Add the command to `jobs`."""
    app.callback()(default_to_development)
    app.command()(new)


def new(name: Annotated[str, typer.Argument(help="Name of the function: send_report.")]) -> None:
    """Create a job and its test.

    Example: jobs new send_report
    """
    from app.jobs import find_jobs

    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or iskeyword(name):
        raise CLIError(f"{name} is not the name of a function. Use one such as send_report.")
    files = {SOURCE / f"{name}.py": JOB, TESTS / f"test_{name}.py": TEST}
    existing = [path.as_posix() for path in files if path.exists()]
    if existing or name in {job.name for job in find_jobs()}:
        found = f": {existing[0]}" if existing else ""
        raise CLIError(f"There is a job {name} already{found}. Choose another name.")
    for path, text in files.items():
        path.write_text(text.format(name=name), "utf-8", newline="\n")
        console.print(f"  {path.as_posix()}", markup=False)
    console.print(
        f"Created the job {name}. Enqueue it in a request: await {name}.enqueue(session)",
        markup=False,
    )
