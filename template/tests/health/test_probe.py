import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from app.health import probe


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        healthy = self.path == "/health/live"
        self.send_response(200 if healthy else 503)
        self.end_headers()
        self.wfile.write(b"fine" if healthy else b"unavailable")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def health_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        monkeypatch.delenv("PORT", raising=False)
        monkeypatch.setenv("APP_PORT", str(server.server_port))
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def test_healthy_and_unhealthy() -> None:
    assert probe.check("live") == (True, "fine")
    assert probe.check("ready") == (False, "unavailable")


def test_port_variable_of_hosting_providers(
    health_server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", str(health_server.server_port))
    monkeypatch.setenv("APP_PORT", "1")

    assert probe.check("live") == (True, "fine")


def test_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_PORT", "1")

    healthy, body = probe.check("live")

    assert not healthy
    assert "refused" in body
