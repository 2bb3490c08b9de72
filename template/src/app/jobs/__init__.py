"""The background jobs: each module has one or several. `jobs new NAME` adds one."""

import pkgutil
from collections import Counter
from importlib import import_module
from typing import Any

from app.kit.jobs import Job


def find_jobs() -> list[Job[Any]]:
    """Return the jobs of all modules in this folder.

    Raises:
        ValueError: Two have the same name.
    """
    found: list[Job[Any]] = []
    for entry in pkgutil.iter_modules(__path__, f"{__name__}."):
        module = import_module(entry.name)
        defined = [value for value in vars(module).values() if isinstance(value, Job)]
        found += [job for job in defined if job.function.__module__ == entry.name]
    if double := [name for name, count in Counter(job.name for job in found).items() if count > 1]:
        raise ValueError(f"There are several jobs with the name {double[0]}. Rename one function.")
    return found
