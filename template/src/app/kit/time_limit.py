"""Time limits of requests."""

import asyncio
from typing import Self


class TimeLimits:
    """Time limits of tasks, which do what `asyncio.timeout` does.

    All of them share a timer, which costs a request much less than a timer of its own.

    Args:
        seconds: Duration of each limit.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.running: set[TimeLimit] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, limit: "TimeLimit") -> None:
        """Start a limit for the current task."""
        loop = asyncio.get_running_loop()
        limit.end = loop.time() + self.seconds
        self.running.add(limit)
        # The timer that is set is for an earlier limit: all have the same duration.
        if self._loop is not loop:
            self._loop = loop
            loop.call_at(limit.end, self._check, loop)

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for limit in [each for each in self.running if each.end <= now]:
            limit.expire()
        if self.running:
            loop.call_at(min(limit.end for limit in self.running), self._check, loop)
        else:
            self._loop = None


class TimeLimit:
    """The time limit of the current task.

    Args:
        limits: Limits that share a timer, or None for no limit.

    Raises:
        TimeoutError: The time was over.
    """

    __slots__ = ("_cancelling", "_limits", "_task", "end", "expired")

    def __init__(self, limits: TimeLimits | None) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self._task = task
        self._cancelling = task.cancelling()
        self._limits = limits
        self.end = 0.0
        self.expired = False
        if limits:
            limits.start(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop()
        if self.expired:
            # Others may have cancelled the task, too.
            alone = self._task.uncancel() <= self._cancelling
            if alone and kind is asyncio.CancelledError:
                raise TimeoutError

    def extend(self, seconds: float) -> None:
        """Add to the duration, if it is not over."""
        self.end += seconds

    def stop(self) -> None:
        """Remove the limit."""
        if self._limits:
            self._limits.running.discard(self)

    def expire(self) -> None:
        """Cancel the task."""
        self.stop()
        self.expired = True
        self._task.cancel()
