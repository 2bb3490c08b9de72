import stat
import sys
from pathlib import Path

import pytest
from fastship_tooling.dev.env_file import ensure_env_file

EXAMPLE = "# Each change-me is replaced.\nA=change-me\nB=change-me\nC=1\n"


@pytest.fixture(autouse=True)
def example(folder: Path) -> Path:
    path = folder / ".env.example"
    path.write_text(EXAMPLE)
    return path


def test_missing_file(folder: Path) -> None:
    assert ensure_env_file()

    comment, a, b, c = (folder / ".env").read_text().splitlines()
    assert comment == "# Each change-me is replaced."
    assert c == "C=1"
    secrets = {line.split("=", 1)[1] for line in (a, b)}
    assert len(secrets) == 2
    assert all(len(secret) >= 48 for secret in secrets)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")
def test_file_mode(folder: Path) -> None:
    ensure_env_file()

    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600


def test_existing_file(folder: Path) -> None:
    (folder / ".env").write_text("A=mine\n")

    assert not ensure_env_file()

    assert (folder / ".env").read_text() == "A=mine\n"


def test_missing_example(folder: Path, example: Path) -> None:
    example.unlink()

    assert not ensure_env_file()

    assert list(folder.iterdir()) == []
