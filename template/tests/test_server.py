import os
import sys

import pytest

from app import server


@pytest.mark.parametrize(("given", "used"), [("", "131072"), ("65536", "65536")])
def test_start(monkeypatch: pytest.MonkeyPatch, given: str, used: str) -> None:
    monkeypatch.setenv("APP_HOST", "::1")
    monkeypatch.setenv("APP_PORT", "8000")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", given)
    if not given:
        del os.environ["MALLOC_TRIM_THRESHOLD_"]
    monkeypatch.setattr(sys, "platform", "linux")
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _path, command: started.append(command))

    server.override(host=None, port=8001)
    server.start("app.main:create_app")

    assert started == [[sys.executable, "-P", "-m", "app.server", "app.main:create_app"]]
    assert os.environ["APP_HOST"] == "::1"
    assert os.environ["APP_PORT"] == "8001"
    assert os.environ["MALLOC_TRIM_THRESHOLD_"] == used
