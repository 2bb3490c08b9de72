import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from app.cli import reload

Change = tuple[int, str]
CHANGED: set[Change] = {(1, "src/app/main.py")}
NOTHING: set[Change] = set()


class Fake:
    """An application that does as the test says."""

    made: ClassVar[list["Fake"]] = []

    def __init__(self) -> None:
        self.alive = True
        self.left = self.ended = False
        self.ready = self
        self.is_ready = False
        self.process = self
        self.exitcode = 1
        Fake.made.append(self)

    def is_set(self) -> bool:
        return self.is_ready

    def leave(self) -> None:
        self.left = True
        self.alive = False

    def end(self) -> None:
        self.ended = True


@pytest.fixture
def made() -> list[Fake]:
    Fake.made.clear()
    return Fake.made


def supervise(monkeypatch: pytest.MonkeyPatch, steps: Iterator[set[Change]]) -> None:
    def watch(*_: object, **__: object) -> Iterator[set[Change]]:
        yield from steps
        raise KeyboardInterrupt

    monkeypatch.setattr(reload, "watch", watch)
    start: Any = Fake
    with pytest.raises(KeyboardInterrupt):
        reload._supervise(start)


def test_old_one_goes_when_the_new_one_is_ready(
    monkeypatch: pytest.MonkeyPatch, made: list[Fake]
) -> None:
    def steps() -> Iterator[set[Change]]:
        made[0].is_ready = True
        yield NOTHING
        yield CHANGED
        assert not made[0].left, "nobody serves"
        made[1].is_ready = True
        yield NOTHING
        assert (made[0].left, made[1].left) == (True, False)

    supervise(monkeypatch, steps())

    assert made[1].left
    assert made[1].ended


def test_new_one_that_fails_leaves_the_old_one(
    monkeypatch: pytest.MonkeyPatch, made: list[Fake], capsys: pytest.CaptureFixture[str]
) -> None:
    def steps() -> Iterator[set[Change]]:
        made[0].is_ready = True
        yield NOTHING
        yield CHANGED
        made[1].alive = False
        yield NOTHING
        assert not made[0].left

    supervise(monkeypatch, steps())

    assert "The old code goes on until the next change." in capsys.readouterr().err


def test_change_while_one_is_coming(monkeypatch: pytest.MonkeyPatch, made: list[Fake]) -> None:
    def steps() -> Iterator[set[Change]]:
        yield CHANGED
        assert made[0].left
        made[1].is_ready = True
        yield NOTHING
        assert not made[1].left

    supervise(monkeypatch, steps())


def test_one_that_is_ready_serves_when_the_next_one_comes(
    monkeypatch: pytest.MonkeyPatch, made: list[Fake]
) -> None:
    def steps() -> Iterator[set[Change]]:
        made[0].is_ready = True
        yield CHANGED
        assert not made[0].left
        made[1].alive = False
        yield NOTHING
        assert not made[0].left

    supervise(monkeypatch, steps())


def test_application_that_ends(
    monkeypatch: pytest.MonkeyPatch, made: list[Fake], capsys: pytest.CaptureFixture[str]
) -> None:
    def steps() -> Iterator[set[Change]]:
        made[0].alive = False
        yield NOTHING
        yield CHANGED
        made[1].is_ready = True
        yield NOTHING
        made[1].alive = False
        yield NOTHING

    supervise(monkeypatch, steps())

    err = capsys.readouterr().err
    assert "Nothing is served until the next change." in err
    assert "The application has ended (1)." in err


def test_error_shows_the_projects_own_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "src/app"
    (package / "cli").mkdir(parents=True)
    monkeypatch.setattr(reload, "PACKAGE", package)
    mine = compile("def f(call): call()", package / "models.py", "exec")
    machinery = compile("def g(): raise ValueError('no such column')", package / "cli/x.py", "exec")
    names: dict[str, Any] = {}
    exec(mine, names)  # noqa: S102
    exec(machinery, names)  # noqa: S102
    try:
        names["f"](names["g"])
    except ValueError as error:
        reload.show(error)

    err = capsys.readouterr().err
    assert "models.py" in err
    assert "cli/x.py" not in err
    assert err.rstrip().endswith("ValueError: no such column")


def test_listens_before_anything_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = []

    class Listening:
        def __init__(self, listener: socket.socket, _prepare: object) -> None:
            bound.append(listener.getsockname())

    monkeypatch.setattr(reload, "Application", Listening)
    monkeypatch.setattr(reload, "_supervise", lambda start: start())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    reload.serve("127.0.0.1", port, [])

    assert bound == [("127.0.0.1", port)]
