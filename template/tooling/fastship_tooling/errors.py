"""Errors of commands: a sentence for what the user can fix, and the frames of the project for its code."""

import ast
import errno
import io
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from app.cli.console import ROOT, CLIError, CommandGroup, errors
from fastship_tooling.leftovers import SOURCE, TESTS, describe_leftovers

PACKAGE = ROOT / "src/app"
ADVICE = {
    errno.ENOSPC: "Free some space.",
    errno.EACCES: "Change its permissions, or use another folder.",
    errno.EROFS: "Use another folder.",
}


class DevelopmentGroup(CommandGroup):
    """A group of commands that prints no traceback of its own."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Parse the arguments and run a command."""
        with reported():
            return super().main(*arguments, **options)


@contextmanager
def reported() -> Iterator[None]:
    """Print an error that would be a traceback, and exit with code 1."""
    try:
        yield
    except (typer.Exit, typer.Abort, typer.TyperException):
        raise  # Typer prints them
    except CLIError as error:
        message = str(error)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if isinstance(error, BrokenPipeError):  # a reader such as `head` has seen enough
            raise
        message = describe(error)
    else:
        return
    errors.print(message, style="red", markup=False, soft_wrap=True)
    sys.exit(1)


def describe(error: Exception) -> str:
    """Return what happened, and what to do. Print the frames of the project if its code failed."""
    frames = own_frames(error)
    if isinstance(error, OSError) and not frames:
        name = str(error.filename or "")
        # A program that `subprocess` does not find has neither a folder nor a suffix.
        if isinstance(error, FileNotFoundError) and name == Path(name).stem:
            return f"{name} is not installed, or not on the PATH. Install it and try again."
        where = f"{name}: " if name else ""
        advice = ADVICE.get(error.errno or 0, "Correct that and try again.")
        return f"{where}{error.strerror or error}. {advice}"
    if frames or isinstance(error, SyntaxError):
        print_error(error)
        return "The code of the project has an error. Correct it and try again."
    from app.kit.console_log import write_traceback

    text = io.StringIO()
    write_traceback(text, (type(error), error, error.__traceback__))
    return (
        f"{text.getvalue()}This is probably an error of the template. Update it: uvx copier update\n"
        "If that does not help, report the lines above."
    )


def own_frames(error: BaseException) -> traceback.StackSummary:
    """Return the frames of the traceback of an error that belong to the code of the project."""
    return traceback.StackSummary.extract(
        (frame, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if (file := Path(frame.f_code.co_filename)).is_relative_to(PACKAGE)
        and not file.is_relative_to(PACKAGE / "cli")
        and "__tracebackhide__" not in frame.f_globals
    )


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
    report.stack = own_frames(error)
    report.__cause__ = report.__context__ = None
    errors.print("".join(report.format()).rstrip(), style="red", markup=False, soft_wrap=True)


def require_valid_syntax() -> None:
    """Parse the code and its tests.

    Raises:
        CLIError: A file is not valid Python.
    """
    for path in sorted([*SOURCE.rglob("*.py"), *TESTS.rglob("*.py")]):
        try:
            ast.parse(path.read_text(encoding="utf-8"))
        except SyntaxError as error:
            raise CLIError(
                f"{path.as_posix()}:{error.lineno}: {error.msg}.\nCorrect it and try again."
            ) from error
