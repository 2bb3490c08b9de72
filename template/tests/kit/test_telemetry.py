import json
import logging

import pytest
import structlog
from opentelemetry import trace

from app.config import Settings
from app.kit import logs
from app.kit.telemetry import ENDPOINT, telemetry_config

CONTEXT = trace.SpanContext(0xABC, 0xDEF, is_remote=True)


def test_off_without_an_endpoint() -> None:
    assert set(telemetry_config().values()) == {False}


def test_on_with_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:4318")

    assert set(telemetry_config().values()) == {True}


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
