import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from app.health import probe


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        good = self.path == "/health/live"
        self.send_response(200 if good else 503)
        self.end_headers()
        self.wfile.write(b"fine" if good else b"the server is down")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        monkeypatch.delenv("PORT", raising=False)
        monkeypatch.setenv("APP_PORT", str(server.server_port))
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def test_good_and_bad() -> None:
    assert probe.ask("live") == (True, "fine")
    assert probe.ask("ready") == (False, "the server is down")


def test_port_that_a_host_gives(answering: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", str(answering.server_port))
    monkeypatch.setenv("APP_PORT", "1")

    assert probe.ask("live") == (True, "fine")


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_PORT", "1")

    good, answer = probe.ask("live")

    assert not good
    assert "refused" in answer
