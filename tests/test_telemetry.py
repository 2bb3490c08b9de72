"""OpenTelemetry, with a collector that listens on this machine."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.project import Project
from tests.running import dev
from tests.variants import BARE

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SECONDS = 60


@contextmanager
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Return the URL of a collector, and the paths and bodies that it receives."""
    received: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append((self.path, body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()


@pytest.mark.parametrize("variant", [BARE], ids=str)
def test_traces_are_exported(fresh: Project) -> None:
    fresh.run("uv", "add", "--quiet", "fastapi[opentelemetry]")
    with collector() as (url, received):
        with dev(
            fresh,
            LOG_FORMAT="json",
            OTEL_BSP_SCHEDULE_DELAY="100",
            OTEL_EXPORTER_OTLP_ENDPOINT=url,
        ) as app:
            context = {"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"}
            app.client().get("/api/v1/items", headers=context).raise_for_status()
            deadline = time.monotonic() + SECONDS
            while time.monotonic() < deadline and not any(
                path == "/v1/traces" and bytes.fromhex(TRACE_ID) in body for path, body in received
            ):
                time.sleep(0.1)
        traces = [body for path, body in received if path == "/v1/traces"]

    [body] = [body for body in traces if bytes.fromhex(TRACE_ID) in body]
    assert b"/api/v1/items" in body
    assert f'"trace_id":"{TRACE_ID}"' in app.output
