import io
import json
import sys
from typing import Any

import pytest

from app.kit.console_log import ConsoleLog, write_traceback

REQUEST: dict[str, Any] = {
    "event": "request",
    "logger": "app.requests",
    "timestamp": "20:23:16",
    "method": "POST",
    "path": "/api/v1/items",
    "status": 201,
    "duration_ms": 16.2,
    "client": "127.0.0.1",
    "request_id": "a1b2c3d4e5f6",
}


def render(**event: Any) -> str:
    return ConsoleLog()(None, "info", event)


@pytest.fixture(autouse=True)
def no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


class TestRequest:
    def test_line(self) -> None:
        assert render(**REQUEST) == "20:23:16  POST    /api/v1/items  201  16 ms  a1b2c3d4"

    def test_long_path(self) -> None:
        assert len(render(**REQUEST | {"path": "/api/v1/" + "x" * 200})) <= 100

    def test_control_characters(self) -> None:
        assert "/a\\x1b[2J\\nüb  201" in render(**REQUEST | {"path": "/a\x1b[2J\nüb"})

    def test_color(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("NO_COLOR")

        assert "\033[31m500\033[0m" in render(**REQUEST | {"status": 500})


def test_text_with_a_link() -> None:
    text = "Confirm:\nhttp://127.0.0.1:8000/verify?code=abc\n"

    line = render(event="hello", timestamp="20:23:16", text=text)

    assert line.splitlines()[1:] == ["  Confirm:", "  http://127.0.0.1:8000/verify?code=abc"]


def test_other_events() -> None:
    assert "answer=42" in render(event="hello", timestamp="20:23:16", answer=42)


def test_error() -> None:
    error = ArithmeticError("wrong")

    lines = render(event="failed\n", timestamp="20:23:16", answer=42, exc_info=error).splitlines()

    assert "failed" in lines[0]
    assert "answer=42" in lines[0]
    assert lines[1:] == ["ArithmeticError: wrong"]


class TestTraceback:
    def test_frames_of_libraries(self) -> None:
        printed = self.printed(lambda: json.loads("{"))

        assert "in <lambda>" in printed
        assert "in loads" not in printed
        assert "in raw_decode" in printed  # where the error was raised
        assert printed.rstrip().endswith("line 1 column 2 (char 1)")

    def test_cause(self) -> None:
        def fail() -> None:
            try:
                json.loads("{")
            except ValueError as error:
                raise RuntimeError("second") from error

        printed = self.printed(fail)

        assert "JSONDecodeError" in printed
        assert "RuntimeError: second" in printed
        assert "in loads" not in printed

    @staticmethod
    def printed(fail: Any) -> str:
        file = io.StringIO()
        try:
            fail()
        except Exception:
            write_traceback(file, sys.exc_info())  # type: ignore[arg-type]
        return file.getvalue()
