from pathlib import Path

import pytest
from fastship_tooling.schema_sync.state import Created, State, digest

from app.cli.console import CLIError
from tests.tooling.conftest import Git


@pytest.fixture
def state(folder: Path, git: Git) -> State:
    """Return a state with the migration `0002.py`."""
    migration = folder / "0002.py"
    migration.write_text("revision = '0002'\n")
    state = State(folder / "migrations.json")
    state["0002"] = Created(digest(migration.read_bytes()), ["drops things.size"])
    state.save()
    return state


def test_missing_file(folder: Path) -> None:
    assert State(folder / "migrations.json") == {}


@pytest.mark.parametrize("content", ["", "[1", "[]", "1", '{"0002": {"color": "red"}}'])
def test_damaged_file(folder: Path, content: str) -> None:
    file = folder / "migrations.json"
    file.write_text(content)

    assert State(file) == {}


def test_saved_file(state: State) -> None:
    assert State(state.file) == state


def test_unconfirmed(state: State) -> None:
    assert state.unconfirmed("0002") == ["drops things.size"]
    assert state.unconfirmed("0001") == []
    assert state.unconfirmed(None) == []


class TestRewritable:
    PATH = Path("0002.py")

    def test_new_migration(self, state: State) -> None:
        assert state.is_rewritable("0002", self.PATH)

    def test_unknown_migration(self, state: State) -> None:
        assert not state.is_rewritable("0001", self.PATH)

    def test_edited_migration(self, state: State) -> None:
        self.PATH.write_text("revision = '0002'  # edited\n")

        assert not state.is_rewritable("0002", self.PATH)

    def test_committed_migration(self, state: State, git: Git) -> None:
        git("init")
        git("add", "0002.py")
        git("commit", "--message", "feat: add things")

        assert not state.is_rewritable("0002", self.PATH)

    def test_unreadable_repository(
        self, state: State, git: Git, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        git("init")
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")

        with pytest.raises(CLIError, match="dubious ownership"):
            state.is_rewritable("0002", self.PATH)
