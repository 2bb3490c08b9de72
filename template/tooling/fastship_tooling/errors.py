"""Tracebacks of the code of the project."""

import traceback
from pathlib import Path

from app.cli.console import ROOT, errors
from fastship_tooling.leftovers import SOURCE, describe_leftovers

PACKAGE = ROOT / "src/app"


def print_error(error: BaseException) -> None:
    """Print an error with only those frames of its traceback that belong to the project.

    If files import removed modules, print these files instead of a traceback.

    Args:
        error: The error.
    """
    if leftovers := describe_leftovers(SOURCE):
        errors.print(str(leftovers), style="red", markup=False, soft_wrap=True)
        return
    report = traceback.TracebackException.from_exception(error)
    report.stack = traceback.StackSummary.extract(
        (frame, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if (file := Path(frame.f_code.co_filename)).is_relative_to(PACKAGE)
        and not file.is_relative_to(PACKAGE / "cli")
        and "__tracebackhide__" not in frame.f_globals
    )
    report.__cause__ = report.__context__ = None
    errors.print("".join(report.format()).rstrip(), style="red", markup=False, soft_wrap=True)
