import os
import sys

import pytest

from app import server


def test_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_HOST", "::1")
    monkeypatch.setenv("APP_PORT", "8000")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")
    monkeypatch.setattr(sys, "platform", "linux")
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _path, command: started.append(command))

    server.override(host=None, port=8001)
    server.start("app.main:create_app")

    assert started == [[sys.executable, "-P", "-m", "app.server", "app.main:create_app"]]
    assert os.environ["APP_HOST"] == "::1"
    assert os.environ["APP_PORT"] == "8001"
    assert os.environ["MALLOC_TRIM_THRESHOLD_"] == "65536"
