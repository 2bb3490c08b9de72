"""Time limits of requests."""

import asyncio
from typing import Self


class TimeLimit:
    """A time limit for the current task, which does what `asyncio.timeout` does. See `TimeLimits`.

    Args:
        running: Limits that are running; without them, it has no end.

    Raises:
        TimeoutError: The time was over.
    """

    __slots__ = ("_cancelling", "_running", "_task", "end", "expired")

    def __init__(self, running: set[Self] | None = None) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self._task = task
        self._cancelling = task.cancelling()
        self._running = running
        self.end = 0.0
        self.expired = False

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
        if self._running is not None:
            self._running.discard(self)

    def expire(self) -> None:
        """Cancel the task."""
        self.stop()
        self.expired = True
        self._task.cancel()


class TimeLimits:
    """Time limits of the same duration. They share a timer, which costs a request less than its own.

    Args:
        seconds: Duration.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.running: set[TimeLimit] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> TimeLimit:
        """Start a limit for the current task."""
        loop = asyncio.get_running_loop()
        # The timer that is set is earlier: it is never more than a duration away.
        if self._loop is not loop:
            self._loop = loop
            self.running = set()  # others are of a loop that was closed
            loop.call_later(self.seconds, self._check, loop)
        limit = TimeLimit(self.running)
        limit.end = loop.time() + self.seconds
        self.running.add(limit)
        return limit

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for limit in [each for each in self.running if each.end <= now]:
            limit.expire()
        if self.running:
            end = min(limit.end for limit in self.running)  # extended ones end later than new ones
            loop.call_at(min(end, now + self.seconds), self._check, loop)
        else:
            self._loop = None
