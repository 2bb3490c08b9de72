import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from asgi_correlation_id import correlation_id

from app.config import LogSettings, Settings
from app.kit import logs

LINES = 2000


@pytest.fixture(autouse=True)
def restored(settings: Settings) -> Iterator[None]:
    yield
    logs.configure(settings)


def configure(settings: Settings, **changes: object) -> None:
    logs.configure(settings.model_copy(update={"log": settings.log.model_copy(update=changes)}))


def test_libraries_come_out_like_us(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings, format="json")

    structlog.stdlib.get_logger("ours").info("hello", answer=42)
    logging.getLogger("theirs").warning("hello %s", "you")

    ours, theirs = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (
        ours.items() >= {"event": "hello", "answer": 42, "level": "info", "logger": "ours"}.items()
    )
    assert theirs.items() >= {"event": "hello you", "level": "warning", "logger": "theirs"}.items()


def test_pretty_is_no_json(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings, format="pretty")

    structlog.stdlib.get_logger("ours").info("hello", answer=42)

    out = capsys.readouterr().out
    assert "hello" in out
    assert not out.startswith("{")


def test_level(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings, level="WARNING")

    structlog.stdlib.get_logger("ours").info("hello")

    assert capsys.readouterr().out == ""


class TestSampling:
    def test_keeps_all_or_nothing_of_a_request(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure(settings, sample_rate=0.25)
        log = structlog.stdlib.get_logger("ours")

        for number in range(LINES):
            previous = correlation_id.set(f"request-{number}")
            log.info("one")
            log.info("two")
            correlation_id.reset(previous)

        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        ones = [line["request_id"] for line in lines if line["event"] == "one"]
        twos = [line["request_id"] for line in lines if line["event"] == "two"]
        assert ones == twos
        assert 0.2 < len(ones) / LINES < 0.3

    def test_keeps_warnings(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        configure(settings, sample_rate=0.0)
        previous = correlation_id.set("request-1")

        structlog.stdlib.get_logger("ours").info("dropped")
        structlog.stdlib.get_logger("ours").warning("kept")

        correlation_id.reset(previous)
        assert [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()] == [
            "kept"
        ]


def test_level_in_small_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "debug")

    assert LogSettings().level == "DEBUG"
