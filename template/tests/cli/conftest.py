import pytest

from app.cli.deploy import server
from tests.cli.pretended import Pretended


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> Pretended:
    monkeypatch.setattr(Pretended, "asked", [])
    monkeypatch.setattr(Pretended, "running", set())
    monkeypatch.setattr(Pretended, "answers", {})
    monkeypatch.setattr(server, "NOTICE_SECONDS", 0)
    monkeypatch.setattr(server, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(server, "before_start", [])
    return Pretended()
