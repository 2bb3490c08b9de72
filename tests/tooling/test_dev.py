import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from fastship_tooling.dev import command, reload
from fastship_tooling.ports import check_port_is_free, require_free_port
from fastship_tooling.project import HAS_DATABASE, HAS_REDIS

from app.cli.console import CLIError

URL = "http://127.0.0.1:8000"
DATABASE_URL = "postgresql+asyncpg://ada:secret-password@127.0.0.1:54321/app"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def used_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.usefixtures("folder")
class TestSingleInstance:
    def test_second_instance(self, capsys: pytest.CaptureFixture[str]) -> None:
        with (
            command.single_instance(URL),
            pytest.raises(typer.Exit),
            command.single_instance("http://127.0.0.1:9000"),
        ):
            pass

        message = capsys.readouterr().err
        assert f"dev is already running in this folder (process {os.getpid()}, {URL})." in message

    def test_next_instance(self, folder: Path) -> None:
        for _ in range(2):
            with command.single_instance(URL):
                pass

        assert not (folder / ".dev/dev.txt").exists()


class TestPort:
    def test_free_port(self) -> None:
        port = free_port()

        check_port_is_free("127.0.0.1", port)
        require_free_port("127.0.0.1", port)

    def test_used_port(self, used_port: int, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(typer.Exit) as caught:
            require_free_port("127.0.0.1", used_port)

        assert caught.value.exit_code == 1
        message = capsys.readouterr().err
        assert f"127.0.0.1:{used_port}" in message
        assert f"--port {used_port + 1}" in message

    def test_address_of_another_machine(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(typer.Exit):
            require_free_port("192.0.2.1", free_port())

        assert capsys.readouterr().err.endswith(
            "Use an address of this machine: --host 127.0.0.1\n"
        )


class TestDev:
    @pytest.fixture(autouse=True)
    def events(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Record what happens instead of starting the services and the application."""
        events: list[str] = []

        @contextmanager
        def database_url() -> Iterator[str]:
            events.append("start the database")
            yield DATABASE_URL
            events.append("stop the database")

        def serve(host: str, port: int, _: object) -> None:
            events.append(f"serve {host}:{port} in {os.environ['APP_ENVIRONMENT']}")
            raise KeyboardInterrupt

        if HAS_DATABASE:
            monkeypatch.setattr("app.cli.db.database_url", database_url)
        monkeypatch.setattr(reload, "serve", serve)
        monkeypatch.setattr("fastship_tooling.dev.processes.preload", lambda: None)
        monkeypatch.setattr(command, "signal", SimpleNamespace(signal=lambda *_: None))
        monkeypatch.setenv("APP_ENVIRONMENT", "test")
        return events

    def test_services(self, events: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        port = free_port()

        command.dev(port=port)

        served = f"serve 127.0.0.1:{port} in development"
        around = ("start the database", "stop the database") if HAS_DATABASE else ()
        assert events == [*around[:1], served, *around[1:]]
        out = capsys.readouterr().out
        assert f"Home   http://127.0.0.1:{port}\n" in out
        assert f"http://127.0.0.1:{port}/docs" in out
        assert ("127.0.0.1:54321/app" in out) is HAS_DATABASE
        assert "secret-password" not in out
        assert out.endswith("Stopped.\n")

    def test_all_addresses(self, events: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        port = free_port()

        command.dev(host="0.0.0.0", port=port)  # noqa: S104

        assert f"serve 0.0.0.0:{port} in development" in events
        assert f"Home   http://127.0.0.1:{port}\n" in capsys.readouterr().out
        assert command.name("::1") == "[::1]"

    def test_port_setting(self, events: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        port = free_port()
        monkeypatch.setenv("APP_PORT", str(port))

        command.dev()

        assert f"serve 127.0.0.1:{port} in development" in events

    def test_used_port(self, events: list[str], used_port: int) -> None:
        with pytest.raises(typer.Exit):
            command.dev(port=used_port)

        assert events == []

    @pytest.mark.skipif(not HAS_REDIS, reason="the project has no Redis")
    def test_unavailable_redis(self, events: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")

        with pytest.raises(CLIError, match=r"Start it, or remove REDIS_URL from \.env\."):
            command.dev(port=free_port())

        assert events == []

    def test_first_start(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        compiled = []
        process = SimpleNamespace(wait=lambda: compiled.append("app.main"))
        monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: process)
        (folder / ".env.example").write_text("SECRET_KEY=change-me\n")

        command.dev(port=free_port())

        assert "change-me" not in (folder / ".env").read_text()
        assert compiled == ["app.main"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_second_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: dict[int, object] = {}
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)

    with pytest.raises(KeyboardInterrupt):
        command._interrupt(signal.SIGINT, None)

    assert command.interrupted.is_set()
    command.interrupted.clear()
    assert handlers == dict.fromkeys(command.STOP_SIGNALS, signal.SIG_IGN)
