import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest
import watchfiles
from fastship_tooling.dev import processes, reload
from fastship_tooling.dev.pages.middleware import DevelopmentPages
from fastship_tooling.feature.files import all_or_nothing
from fastship_tooling.project import HAS_DATABASE, HAS_REDIS

from app.cli.console import CLIError

Change = tuple[int, str]
CHANGED: set[Change] = {(1, "src/app/main.py")}
UNCHANGED: set[Change] = set()


class FakeApplication:
    """An application whose state the test sets."""

    started: ClassVar[list["FakeApplication"]] = []

    def __init__(self) -> None:
        self.alive = True
        self.stopped = self.waited = False
        self.ready = self
        self.is_ready = False
        self.since = 0.0
        self.process = self
        self.exitcode = 1
        FakeApplication.started.append(self)

    def is_set(self) -> bool:
        return self.is_ready

    def stop(self) -> None:
        self.stopped = True
        self.alive = False

    def wait(self) -> None:
        self.waited = True


class FakeSignals:
    SIGINT = SIGTERM = SIG_IGN = SIG_DFL = 0

    def signal(self, *_: object) -> None: ...


@pytest.fixture
def started() -> list[FakeApplication]:
    FakeApplication.started.clear()
    return FakeApplication.started


def supervise(monkeypatch: pytest.MonkeyPatch, changes: Iterator[set[Change]]) -> dict[str, Any]:
    """Supervise applications until the changes end, and return the options of `watch`."""
    options: dict[str, Any] = {}

    def watch(*_: object, **given: object) -> Iterator[set[Change]]:
        options.update(given)
        yield from changes
        raise KeyboardInterrupt

    monkeypatch.setattr(reload, "watch", watch)
    start: Any = FakeApplication
    with pytest.raises(KeyboardInterrupt):
        reload._supervise(start, lambda: False)
    return options


def test_new_application_is_ready(
    monkeypatch: pytest.MonkeyPatch,
    started: list[FakeApplication],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def changes() -> Iterator[set[Change]]:
        started[0].is_ready = True
        yield UNCHANGED
        yield CHANGED
        assert not started[0].stopped, "no application is serving"
        started[1].is_ready = True
        yield UNCHANGED
        assert (started[0].stopped, started[1].stopped) == (True, False)

    supervise(monkeypatch, changes())

    assert started[1].stopped
    assert started[1].waited
    assert capsys.readouterr().out.count("Ready in ") == 2


def test_new_application_fails(
    monkeypatch: pytest.MonkeyPatch,
    started: list[FakeApplication],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def changes() -> Iterator[set[Change]]:
        started[0].is_ready = True
        yield UNCHANGED
        yield CHANGED
        started[1].alive = False
        yield UNCHANGED
        assert not started[0].stopped

    supervise(monkeypatch, changes())

    assert "The previous code keeps running until the next change." in capsys.readouterr().err


def test_interrupt_in_a_finalizer(
    monkeypatch: pytest.MonkeyPatch, started: list[FakeApplication]
) -> None:
    monkeypatch.setattr(reload, "watch", lambda *_, **__: iter([UNCHANGED]))
    start: Any = FakeApplication

    with pytest.raises(KeyboardInterrupt):
        reload._supervise(start, lambda: True)

    assert started[0].waited


def test_change_during_start(
    monkeypatch: pytest.MonkeyPatch, started: list[FakeApplication]
) -> None:
    def changes() -> Iterator[set[Change]]:
        yield CHANGED
        assert started[0].stopped
        started[1].is_ready = True
        yield UNCHANGED
        assert not started[1].stopped

    supervise(monkeypatch, changes())


def test_ready_and_changed_at_once(
    monkeypatch: pytest.MonkeyPatch, started: list[FakeApplication]
) -> None:
    def changes() -> Iterator[set[Change]]:
        started[0].is_ready = True
        yield CHANGED
        assert not started[0].stopped
        started[1].alive = False
        yield UNCHANGED
        assert not started[0].stopped

    supervise(monkeypatch, changes())


def test_application_exits(
    monkeypatch: pytest.MonkeyPatch,
    started: list[FakeApplication],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def changes() -> Iterator[set[Change]]:
        started[0].alive = False
        yield UNCHANGED
        yield CHANGED
        started[1].is_ready = True
        yield UNCHANGED
        started[1].alive = False
        yield UNCHANGED

    supervise(monkeypatch, changes())

    err = capsys.readouterr().err
    assert "Nothing is running until the next change." in err
    assert "The application exited with code 1. Change a file to restart." in err


@pytest.mark.parametrize("failed", [True, False])
def test_migration_created_by_the_user(
    monkeypatch: pytest.MonkeyPatch,
    started: list[FakeApplication],
    tmp_path: Path,
    failed: bool,
) -> None:
    monkeypatch.setattr(reload, "VERSIONS", tmp_path)

    def changes() -> Iterator[set[Change]]:
        started[0].alive = not failed
        started[0].is_ready = not failed
        yield UNCHANGED
        (tmp_path / "0002_merge_branches.py").touch()
        yield UNCHANGED
        yield UNCHANGED

    supervise(monkeypatch, changes())

    # After an error, it may be the correction. Otherwise, `dev` has written it.
    assert len(started) == (2 if failed else 1)


@pytest.mark.parametrize(("line", "restart"), [("LOG_LEVEL=DEBUG", False), ("APP_PORT=8001", True)])
def test_changed_settings(
    monkeypatch: pytest.MonkeyPatch,
    started: list[FakeApplication],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    line: str,
    restart: bool,
) -> None:
    monkeypatch.chdir(tmp_path)

    def changes() -> Iterator[set[Change]]:
        yield UNCHANGED
        Path(".env").write_text(line)
        yield UNCHANGED
        yield UNCHANGED

    supervise(monkeypatch, changes())

    printed = capsys.readouterr()
    assert len(started) == 2
    assert printed.out.count("Changed: .env") == 1
    assert ("Restart dev to apply APP_PORT." in printed.err) is restart


@pytest.mark.parametrize(
    ("path", "watched"),
    [
        ("src/app/main.py", True),
        ("src/app/migrations/env.py", True),
        ("src/app/migrations/versions/0002_add_price.py", False),
        ("src/app/templates/mail.txt", False),
    ],
)
def test_watched_files(
    monkeypatch: pytest.MonkeyPatch, started: list[FakeApplication], path: str, watched: bool
) -> None:
    options = supervise(monkeypatch, iter([UNCHANGED]))

    accepts = options["watch_filter"]
    assert accepts(watchfiles.Change.modified, str(Path(path).resolve())) is watched


def test_bound_before_start(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = []

    def application(listener: socket.socket) -> None:
        bound.append(listener.getsockname())

    monkeypatch.setattr(reload, "Application", application)
    monkeypatch.setattr(reload, "_supervise", lambda start, _: start())

    reload.serve("127.0.0.1", 0, lambda: False)

    [(host, port)] = bound
    assert host == "127.0.0.1"
    assert port > 0


@pytest.mark.usefixtures("folder")
class TestCreateApp:
    @pytest.fixture(autouse=True)
    def synced(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Record the databases whose schema is updated."""
        synced: list[str] = []
        monkeypatch.setenv("APP_ENVIRONMENT", "development")
        if HAS_DATABASE:
            monkeypatch.setenv("DATABASE_URL", "postgresql://ada@127.0.0.1:1/app")
            monkeypatch.setattr("fastship_tooling.schema_sync.sync.sync", synced.append)
        return synced

    @pytest.mark.skipif(not HAS_DATABASE, reason="the project has no database")
    def test_schema(self, synced: list[str]) -> None:
        reload._create_app()

        assert synced == ["postgresql+asyncpg://ada@127.0.0.1:1/app"]

    @pytest.mark.skipif(not HAS_DATABASE, reason="the project has no database")
    def test_invalid_migration(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def sync(_url: str) -> None:
            raise CLIError("Two migrations are the latest.")

        monkeypatch.setattr("fastship_tooling.schema_sync.sync.sync", sync)
        monkeypatch.setattr(reload, "signal", FakeSignals())

        with socket.socket() as listener, pytest.raises(SystemExit):
            reload._serve(listener, processes.processes.Event(), {})

        assert capsys.readouterr().err == "Two migrations are the latest.\n"

    def test_waits_for_commands(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(reload, "SHORT_WAIT", 0.01)
        steps: list[str] = []

        def read() -> None:
            steps.append("read")
            raise CLIError("That is enough.")

        monkeypatch.setattr(reload, "load_settings", read)
        monkeypatch.setattr(reload, "wait_for_checkout", lambda: steps.append("start"))

        with ThreadPoolExecutor() as threads:
            with all_or_nothing([]):
                created = threads.submit(reload._create_app)
                while "Waiting for the command" not in capsys.readouterr().out:
                    assert not created.done()
                    time.sleep(0.01)
                steps.append("end of the command")
            created.exception(60)

        assert steps == ["start", "end of the command", "read"]

    @pytest.mark.skipif(not HAS_REDIS, reason="the project has no Redis")
    def test_fake_redis(self) -> None:
        assert type(reload._create_app().state.redis).__module__.startswith("fakeredis")

    def test_pages(self) -> None:
        outermost = reload._create_app().user_middleware[0]

        assert outermost.cls is DevelopmentPages

    def test_settings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("APP_NAME", "Shop")

        assert reload._create_app().title == "Shop"


PRINT_MODULES = """
import gc, signal, sys, threading
from fastship_tooling.dev import libraries
own = [name for name in sys.modules if name.partition(".")[0] == "app"]
ignored = signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
print(own, ignored, threading.active_count(), gc.get_freeze_count() > 10_000, gc.isenabled())
"""


def test_env_file_in_another_encoding(folder: Path) -> None:
    (folder / ".env").write_text("APP_NAME=Shop\n")
    file = reload.EnvFile()
    (folder / ".env").write_bytes(b"APP_NAME=Gr\xfcn\n")
    os.utime(folder / ".env", (1, 1))

    assert file.changes() == [".env"]


def test_libraries() -> None:
    # A module of the project would not change any more, and a thread is lost in a copied process.
    result = subprocess.run(
        [sys.executable, "-c", PRINT_MODULES], check=True, capture_output=True, text=True
    )

    assert result.stdout == "[] True 1 True True\n"
    assert result.stderr == ""


@pytest.mark.skipif(not processes.HAS_COPIES, reason="only on Linux")
def test_new_process_has_the_current_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    processes.preload()
    monkeypatch.setenv("APP_NAME", "Shop")
    monkeypatch.setattr(reload, "_serve", print_name)

    with socket.socket() as listener:
        application = reload.Application(listener)
        application.process.join(60)

    assert application.process.exitcode == 0


def print_name(_listener: socket.socket, _ready: object, environment: dict[str, str]) -> None:
    assert environment["APP_NAME"] == "Shop"
