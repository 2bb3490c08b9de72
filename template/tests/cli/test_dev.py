import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer

from app.cli import dev, reload

URL = "http://127.0.0.1:8000"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_second_one_is_told_of_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    with dev.only_one(URL), pytest.raises(typer.Exit), dev.only_one("http://127.0.0.1:9000"):
        pass

    message = capsys.readouterr().err
    assert "already runs in this folder" in message
    assert URL in message


def test_next_one_may(folder: Path) -> None:
    for _ in range(2):
        with dev.only_one(URL):
            pass

    assert not (folder / ".dev" / "dev.txt").exists()


def test_taken_port(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(typer.Exit) as caught:
            dev.require_free_port("127.0.0.1", port)

    assert caught.value.exit_code == 1
    message = capsys.readouterr().err
    assert f"127.0.0.1:{port}" in message
    assert f"--port {port + 1}" in message


def test_services_run_around_the_application(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    happened = []

    @contextmanager
    def service() -> Iterator[str]:
        happened.append("service starts")
        yield "Mail   in a folder"
        happened.append("service stops")

    def run(host: str, port: int, prepare: list[object]) -> None:
        happened.append(f"serves {host}:{port} after {prepare}")
        raise KeyboardInterrupt

    monkeypatch.setattr(dev, "services", [service])
    monkeypatch.setattr(dev, "signal", SimpleNamespace(signal=lambda *_: None))
    monkeypatch.setattr(reload, "serve", run)
    monkeypatch.setattr(dev, "before_start", ["this"])
    monkeypatch.setenv("APP_ENVIRONMENT", "test")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    dev.dev(port=port)

    assert happened == [
        "service starts",
        f"serves 127.0.0.1:{port} after ['this']",
        "service stops",
    ]
    out = capsys.readouterr().out
    assert "Mail   in a folder" in out
    assert f"http://127.0.0.1:{port}/docs" in out
