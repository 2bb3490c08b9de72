import json
import logging
import os

import pytest
import structlog
from opentelemetry import trace

from app.config import SLUG, Settings
from app.kit import logs
from app.kit.telemetry import ENDPOINT, hide_query, telemetry_config

CONTEXT = trace.SpanContext(0xABC, 0xDEF, is_remote=True)


def test_off_without_an_endpoint() -> None:
    assert set(telemetry_config().values()) == {False}


def test_on_with_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {ENDPOINT: "http://127.0.0.1:4318"})

    assert set(telemetry_config().values()) == {True}
    assert os.environ["OTEL_SERVICE_NAME"] == SLUG


def test_query_without_values() -> None:
    class Span(trace.NonRecordingSpan):
        def set_attribute(self, key: str, value: object) -> None:
            found[key] = value

    found: dict[str, object] = {}
    with trace.use_span(Span(CONTEXT)):
        hide_query(b"key=secret&email=ada%40example.com&flag")

    assert found == {"url.query": "key=&email=&flag"}


def test_trace_ids_in_the_log(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:4318")
    log = settings.log.model_copy(update={"format": "json"})
    logs.configure_logging(settings.model_copy(update={"log": log}))

    with trace.use_span(trace.NonRecordingSpan(CONTEXT)):
        structlog.stdlib.get_logger("ours").info("hello")
        logging.getLogger("theirs").info("hello")

    logs.configure_logging(settings)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["trace_id"] for line in lines] == [f"{0xABC:032x}"] * 2
    assert [line["span_id"] for line in lines] == [f"{0xDEF:016x}"] * 2
