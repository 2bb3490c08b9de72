"""The time limit of a request."""

import asyncio
from typing import Self


class TimeLimit:
    """A time limit for the current task. It does what `asyncio.timeout` does, in half of the time.

    Args:
        seconds: Duration, or None for no limit.

    Raises:
        TimeoutError: The time was over.
    """

    __slots__ = ("_cancelling", "_task", "_timer", "expired")

    def __init__(self, seconds: float | None) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self._task = task
        self._cancelling = task.cancelling()
        self._timer: asyncio.TimerHandle | None = None
        self.expired = False
        if seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)

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
        if self._timer:
            end = self._timer.when() + seconds
            self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_at(end, self._expire)

    def stop(self) -> None:
        """Remove the limit."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self.expired, self._timer = True, None
        self._task.cancel()
