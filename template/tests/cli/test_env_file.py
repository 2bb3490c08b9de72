import stat
import sys
from pathlib import Path

import pytest

from app.cli.env_file import ensure_env_file

EXAMPLE = "# change-me stays here: it is no value\nA=change-me\nB=change-me\nC=1\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_is_made_with_fresh_secrets(folder: Path) -> None:
    (folder / ".env.example").write_text(EXAMPLE)

    ensure_env_file()

    comment, a, b, c = (folder / ".env").read_text().splitlines()
    assert comment == EXAMPLE.splitlines()[0]
    assert c == "C=1"
    secrets = {line.split("=", 1)[1] for line in (a, b)}
    assert len(secrets) == 2
    assert all(len(secret) >= 48 for secret in secrets)
    if sys.platform != "win32":
        assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600


def test_existing_one_is_left_alone(folder: Path) -> None:
    (folder / ".env.example").write_text(EXAMPLE)
    (folder / ".env").write_text("A=mine\n")

    ensure_env_file()

    assert (folder / ".env").read_text() == "A=mine\n"


def test_no_example(folder: Path) -> None:
    ensure_env_file()

    assert list(folder.iterdir()) == []
