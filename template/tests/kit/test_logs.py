import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from app.config import Settings
from app.kit import logs

REQUESTS = 2000


@pytest.fixture(autouse=True)
def restored_logging(settings: Settings) -> Iterator[None]:
    yield
    logs.configure_logging(settings)


def configure(settings: Settings, **changes: object) -> None:
    logs.configure_logging(
        settings.model_copy(update={"log": settings.log.model_copy(update=changes)})
    )


def test_json(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings, format="json")

    structlog.stdlib.get_logger("ours").info("hello", answer=42, data=b"\xff", kind=int)
    logging.getLogger("theirs").warning("hello %s", "you")

    ours, theirs = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    expected = {"event": "hello", "answer": 42, "level": "info", "logger": "ours"}
    assert ours.items() >= expected.items()
    assert theirs.items() >= {"event": "hello you", "level": "warning", "logger": "theirs"}.items()


def test_websocket_without_query_string(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(settings, level="DEBUG")

    uvicorn = logging.getLogger("uvicorn.error")
    uvicorn.debug("< %s: %s", "Authorization", "secret")
    uvicorn.info('%s - "WebSocket %s" 403', "127.0.0.1:1", "/live?key=secret")
    uvicorn.info("Started server process [%d]", 1)

    assert "secret" not in (printed := capsys.readouterr().out)
    assert "Started" in printed


def test_exception_without_local_variables(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(settings, format="json")
    secret = "a local variable"

    try:
        raise RuntimeError("the message" + secret[:0])
    except RuntimeError:
        structlog.stdlib.get_logger("ours").exception("failed")

    printed = capsys.readouterr().out
    assert "the message" in str(json.loads(printed)["exception"])
    assert secret not in printed


def test_logger_that_was_used_before(settings: Settings) -> None:
    log = structlog.stdlib.get_logger("ours").bind()
    log.info("once")
    configure(settings, format="json")

    with structlog.testing.capture_logs() as captured:
        log.info("again")

    assert [line["event"] for line in captured] == ["again"]


@pytest.mark.parametrize("kind", ["pretty", "auto"])
def test_pretty(
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    app = settings.app.model_copy(update={"environment": "development"})
    configure(settings.model_copy(update={"app": app}), format=kind)

    structlog.stdlib.get_logger("ours").info("hello", answer=42)

    out = capsys.readouterr().out
    assert "hello" in out
    assert not out.startswith("{")
    assert ("\033" in out) is (kind == "pretty")  # the output is not a terminal


def test_level(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings, level="WARNING")

    structlog.stdlib.get_logger("ours").info("hello")

    assert capsys.readouterr().out == ""


def test_line_that_cannot_be_written(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(settings, format="json")
    log = structlog.stdlib.get_logger("ours")
    circle: list[object] = []
    circle.append(circle)

    log.info("a structure that contains itself", data=circle)
    printed = capsys.readouterr().out
    closed = io.StringIO()
    closed.close()
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", closed)
        log.info("a closed file")

    assert json.loads(printed)["data"] == "[[...]]"


class TestSampling:
    def test_all_lines_of_a_request_or_none(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure(settings, sample_rate=0.25)
        log = structlog.stdlib.get_logger("ours")

        for number in range(REQUESTS):
            previous = logs.request_id_var.set(f"request-{number}")
            sample = logs.sample_var.set(number / REQUESTS)
            log.info("one")
            log.info("two")
            logs.request_id_var.reset(previous)
            logs.sample_var.reset(sample)

        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        ones = [line["request_id"] for line in lines if line["event"] == "one"]
        twos = [line["request_id"] for line in lines if line["event"] == "two"]
        assert ones == twos
        assert 0.2 < len(ones) / REQUESTS < 0.3

    def test_warnings(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        configure(settings, sample_rate=0.0)
        previous = logs.request_id_var.set("request-1")

        structlog.stdlib.get_logger("ours").info("dropped")
        structlog.stdlib.get_logger("ours").warning("kept")

        logs.request_id_var.reset(previous)
        [line] = capsys.readouterr().out.splitlines()
        assert json.loads(line)["event"] == "kept"
