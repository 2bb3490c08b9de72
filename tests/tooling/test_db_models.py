"""The models of all domains, in processes that use none or only some of them."""

import subprocess
import sys

import pytest

ALL = """
from app.database import Base, create_session_factory
assert "items" not in Base.metadata.tables
create_session_factory(None)
assert "items" in Base.metadata.tables
"""
BROKEN = """
import asyncio
from sqlalchemy.orm import Mapped, mapped_column, relationship
from app.config import Settings
from app.database import Entity

class Note(Entity):
    __tablename__ = "notes"
    lines: Mapped["Line"] = relationship()

async def start(process):
    async with process:
        print("started")
"""
PROCESSES = {
    "worker": "from app.worker import running; process = running(Settings.load())",
    "serve": "from app.main import create_app; app = create_app(); process = app.router.lifespan_context(app)",
}


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_all_models_are_loaded() -> None:
    done = python(ALL)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("process", PROCESSES)
def test_invalid_relationship_stops_the_start(
    process: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_ENVIRONMENT", "development")
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/app")

    done = python(f"{BROKEN}\n{PROCESSES[process]}\nasyncio.run(start(process))")

    assert done.returncode == 1
    assert "expression 'Line' failed to locate a name" in done.stderr
    assert "started" not in done.stdout
