import shutil
import time
from pathlib import Path

import pytest
from fastship_tooling.git import is_committed, wait_for_checkout

from app.cli.console import CLIError
from tests.tooling.conftest import Git


@pytest.fixture(autouse=True)
def files(folder: Path) -> None:
    (folder / "src").mkdir()
    for path in (Path("main.py"), Path("src/models.py")):
        path.touch()


@pytest.fixture
def repository(git: Git) -> None:
    """Create a repository in which `main.py` is not committed."""
    git("init")
    git("add", "src")
    git("commit", "-m", "feat: add models")


def test_missing_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    assert is_committed(Path("main.py"))


@pytest.mark.usefixtures("git")
def test_no_repository() -> None:
    assert not is_committed(Path("main.py"))


def test_no_commit(git: Git) -> None:
    git("init")
    git("add", "main.py")

    assert not is_committed(Path("main.py"))


@pytest.mark.usefixtures("repository")
class TestRepository:
    @pytest.mark.parametrize("path", ["src", "src/models.py"])
    def test_committed(self, path: str) -> None:
        assert is_committed(Path(path))
        assert is_committed(Path(path).resolve())

    def test_not_committed(self, git: Git) -> None:
        git("add", "main.py")

        assert not is_committed(Path("main.py"))
        assert not is_committed(Path("missing.py"))

    def test_subfolder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir("src")

        assert is_committed(Path("models.py"))
        assert not is_committed(Path("../main.py"))

    def test_dubious_ownership(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")

        with pytest.raises(CLIError, match=r"Git cannot read this repository: .*dubious ownership"):
            is_committed(Path("main.py"))

    def test_damaged_repository(self, folder: Path) -> None:
        for entry in (folder / ".git/objects").iterdir():
            shutil.rmtree(entry)

        with pytest.raises(CLIError, match="Git cannot read the current commit"):
            is_committed(Path("main.py"))


@pytest.mark.usefixtures("repository")
class TestWaitForCheckout:
    LOCK = Path(".git/index.lock")

    def wait(self, monkeypatch: pytest.MonkeyPatch, *, unlock_after: int) -> list[float]:
        """Wait for git, which finishes after some of the pauses, and return the pauses."""
        pauses: list[float] = []

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == unlock_after:
                self.LOCK.unlink()

        monkeypatch.setattr(time, "sleep", sleep)
        wait_for_checkout()
        return pauses

    def test_idle(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.wait(monkeypatch, unlock_after=0) == []

    def test_running(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.LOCK.touch()

        assert len(self.wait(monkeypatch, unlock_after=3)) == 3

    def test_crashed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.LOCK.touch()

        assert 1 < sum(self.wait(monkeypatch, unlock_after=0)) < 20


@pytest.mark.usefixtures("git")
def test_no_checkout() -> None:
    wait_for_checkout()
