"""The background jobs: each module has one or several. `jobs new NAME` adds one."""

import pkgutil
from importlib import import_module
from typing import Any

from app.kit.jobs import Job


def find_jobs() -> list[Job[Any]]:
    """Return the jobs of all modules in this folder."""
    found: list[Job[Any]] = []
    for entry in pkgutil.iter_modules(__path__, f"{__name__}."):
        module = import_module(entry.name)
        defined = [value for value in vars(module).values() if isinstance(value, Job)]
        found += [job for job in defined if job.function.__module__ == entry.name]
    return found
