"""Log lines for people: short ones for requests, and tracebacks without the frames of libraries."""

import os
import traceback
from pathlib import Path
from textwrap import indent
from typing import Any, TextIO

import structlog
from structlog.types import EventDict, ExcInfo, WrappedLogger

MAX_PATH = 60
STYLES = {2: "\033[32m", 3: "\033[36m", 4: "\033[33m", 5: "\033[31m"}
"""Colors of the status codes, by their first digit."""


class ConsoleLog:
    """The last processor of structlog, which returns the text of an event.

    Args:
        colors: Whether to use colors, unless `NO_COLOR` is set.
    """

    def __init__(self, *, colors: bool = True) -> None:
        self.colors = colors and "NO_COLOR" not in os.environ
        self.render = structlog.dev.ConsoleRenderer(
            colors=self.colors, exception_formatter=_write_below
        )

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        """Return one or several lines."""
        if event["event"] == "request" and "status" in event:
            return self._request_line(event)
        text = event.pop("text", None)
        event["event"] = str(event["event"]).rstrip()  # uvicorn's ends with a line break
        line = str(self.render(logger, method, event)).rstrip("\n")
        # Links can only be clicked if they are on a line of their own.
        return f"{line}\n{indent(text.strip(), '  ')}" if text else line

    def _request_line(self, event: EventDict) -> str:
        # A path can contain line breaks and codes for the terminal.
        path = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(event["path"]))
        code = str(event["status"])
        if len(path) > MAX_PATH:
            path = f"{path[: MAX_PATH - 1]}…"
        if self.colors and (style := STYLES.get(event["status"] // 100)):
            code = f"{style}{code}\033[0m"
        return (
            f"{event['timestamp']}  {event['method']:<6}  {path}  {code}  "
            f"{event['duration_ms']:.0f} ms  {str(event.get('request_id', ''))[:8]}"
        )


def _write_below(file: TextIO, exc_info: ExcInfo) -> None:
    file.write("\n")
    write_traceback(file, exc_info)


def write_traceback(file: TextIO, exc_info: ExcInfo) -> None:
    """Write a traceback with the frames of the project and the one that raised the error.

    Args:
        file: Receives the text.
        exc_info: As `sys.exc_info` returns it.
    """
    found = traceback.TracebackException(*exc_info)
    pending: list[Any] = [found]
    while pending:
        error = pending.pop()
        *frames, last = error.stack or [None]
        error.stack[:] = [frame for frame in frames if _is_own(frame)] + [last] * bool(last)
        causes = (error.__cause__, error.__context__, *(error.exceptions or ()))
        pending += [cause for cause in causes if cause]
    file.write("".join(found.format()).rstrip() + "\n")


def _is_own(frame: traceback.FrameSummary) -> bool:
    path = Path(frame.filename)
    return path.is_relative_to(Path.cwd()) and "site-packages" not in path.parts
