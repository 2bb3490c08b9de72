"""OpenTelemetry and Sentry, with a collector that listens on this machine."""

import gzip
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.project import Project
from tests.running import dev, redis_server
from tests.variants import BARE, FULL, Variant

FAILING = '''

@router.get("/fail")
async def fail() -> float:
    """Fail."""
    secret = "local " * 2
    return len(secret) / 0
'''
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SECONDS = 120


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


def in_trace(received: list[tuple[str, bytes]]) -> bytes:
    """Return the bodies with spans of the trace of the test."""
    return b"".join(
        body for path, body in received if path == "/v1/traces" and bytes.fromhex(TRACE_ID) in body
    )


def wait_for(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and not found():
        time.sleep(0.1)


@pytest.mark.parametrize("variant", [BARE, FULL], ids=str)
def test_traces_are_exported(fresh: Project, variant: Variant) -> None:
    packages = ["fastapi[opentelemetry]"]
    if variant.redis:
        packages.append("opentelemetry-instrumentation-redis")
    fresh.run("uv", "add", "--quiet", *packages)
    # In memory, Redis would not have spans.
    redis = redis_server(fresh.path) if variant.redis else nullcontext("")
    with (
        collector() as (url, received),
        redis as redis_url,
        dev(
            fresh,
            LOG_FORMAT="json",
            OTEL_BSP_SCHEDULE_DELAY="100",
            OTEL_EXPORTER_OTLP_ENDPOINT=url,
            REDIS_URL=redis_url,
        ) as app,
    ):
        client = app.signed_in("ada@example.com", register=True) if variant.auth else app.client()
        context = {"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"}
        client.get("/api/v1/items", headers=context).raise_for_status()
        if variant.auth:
            account = {"email": "grace@example.com", "password": "correct horse battery"}
            client.post("/api/v1/auth/register", json=account, headers=context)
            wait_for(lambda: b"process send_verification" in in_trace(received))
        wait_for(lambda: bool(in_trace(received)))
    # Stopping the server exports the rest.
    traces = [body for path, body in received if path == "/v1/traces"]
    metrics = b"".join(body for path, body in received if path == "/v1/metrics")
    exported = in_trace(received)
    assert b"/api/v1/items" in exported
    assert f'"trace_id":"{TRACE_ID}"' in app.output
    if variant.database:
        assert b"FROM items" in exported
        assert b"ada@example.com" not in b"".join(traces)
    if variant.auth:
        # The job of a request belongs to its trace, and so do the lines of its log.
        assert b"process send_verification" in exported
        lines = [line for line in app.output.splitlines() if TRACE_ID in line]
        assert any('"job":"send_verification"' in line for line in lines)
        assert b"messaging.process.duration" in metrics
        assert b"jobs.queue.size" in metrics
    if variant.redis:
        assert b"EVALSHA" in b"".join(traces)
    fresh.remove_database()


@pytest.mark.parametrize("variant", [BARE], ids=str)
def test_errors_are_reported(fresh: Project) -> None:
    router = fresh.path / "src/app/health/router.py"
    router.write_text(router.read_text() + FAILING)
    with collector() as (url, received):
        dsn = f"{url.replace('//', '//key@')}/1"
        refused = fresh.run("uv", "run", "acme-orders", "serve", check=False, SENTRY_DSN=dsn)
        assert "SENTRY_DSN: The package is missing. Run: uv add sentry-sdk" in refused
        fresh.run("uv", "add", "--quiet", "sentry-sdk")
        # Removes packages of other tests: with brotli, the report would not be gzipped.
        fresh.run("uv", "sync", "--quiet")

        with dev(fresh, SENTRY_DSN=dsn) as app:
            headers = {"x-request-id": "report-this-one", "authorization": "Bearer secret-token"}
            response = app.client().get("/health/fail?email=ada@example.com", headers=headers)
            assert response.status_code == 500
            wait_for(lambda: bool(received))

    [(path, body)] = received
    report = gzip.decompress(body).decode()
    assert path == "/api/1/envelope/"
    assert "ZeroDivisionError" in report
    assert '"request_id":"report-this-one"' in report
    assert "/health/fail" in report
    for private in ("ada@example.com", "secret-token", "local local"):
        assert private not in report
