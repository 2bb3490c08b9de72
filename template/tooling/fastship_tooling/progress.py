"""Progress of what takes long."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from app.cli.console import errors

SHOWN_SECONDS = 0.05
"""What is faster, such as a step of a dry run, needs no duration."""


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print what is being done, and afterwards how long it took.

    A terminal shows a spinner meanwhile. The output of a command stays readable for programs, because all of
    this is written to the standard error.

    Args:
        name: What is being done, such as `Building 1.2`.
    """
    start = time.monotonic()
    if not errors.is_terminal:
        errors.print(f"{name} ...", markup=False, soft_wrap=True)
    with errors.status(f"{name} ..."):
        yield
    seconds = time.monotonic() - start
    if seconds > SHOWN_SECONDS:
        errors.print(f"{name}: done in {seconds:.1f} s", markup=False, soft_wrap=True)
