"""Changes of several files: all of them, or none."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from fastship_tooling.project import CHANGES_LOCK, STATE


@contextmanager
def all_or_nothing(paths: list[Path]) -> Iterator[Callable[[Path, str | None], None]]:
    """Return a function that writes or deletes files. An error restores them. Meanwhile, `dev` waits.

    Args:
        paths: Files that may change.
    """
    STATE.mkdir(exist_ok=True)
    with FileLock(CHANGES_LOCK):
        yield from _all_or_nothing(paths)


def _all_or_nothing(paths: list[Path]) -> Iterator[Callable[[Path, str | None], None]]:
    before = {path: path.read_bytes() if path.exists() else None for path in paths}

    def write(path: Path, text: str | None) -> None:
        if text is None:
            path.unlink()
            _remove_empty(path.parent)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")

    try:
        yield write
    except BaseException:
        for path, content in before.items():
            if content is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            elif path.exists():
                write(path, None)
        raise


def _remove_empty(folder: Path) -> None:
    while True:
        for cache in folder.glob("__pycache__"):
            for compiled in cache.iterdir():
                compiled.unlink()
            cache.rmdir()
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
