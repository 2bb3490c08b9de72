import socket
import subprocess
from pathlib import Path

import pytest
from fastship_tooling.docs import commands
from fastship_tooling.version import current_version
from typer.testing import CliRunner

from app.cli.main import app
from tests.tooling.conftest import Git

runner = CliRunner()


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Record the arguments of Python instead of running it. The exit code is 3."""
    programs: list[tuple[str, ...]] = []

    def run_python(*arguments: str) -> int:
        programs.append(arguments)
        return 3

    monkeypatch.setattr(commands, "run_python", run_python)
    return programs


def test_port_in_use(programs: list[tuple[str, ...]]) -> None:
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        port = used.getsockname()[1]
        result = runner.invoke(app, ["docs", "serve", "--port", str(port)])

    assert result.exit_code == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in " ".join(result.stderr.split())
    assert programs == []


@pytest.mark.parametrize(
    ("arguments", "program"),
    [
        (["build"], ("-m", "mkdocs", "build", "--strict")),
        (
            ["serve", "--port", "9001"],
            ("-m", "mkdocs", "serve", "--dev-addr", "127.0.0.1:9001"),
        ),
        (["export", "--pdf"], ("-m", "mkdocs", "build", "--strict", "--quiet")),
    ],
    ids=lambda value: value[0],
)
def test_mkdocs(
    programs: list[tuple[str, ...]], arguments: list[str], program: tuple[str, ...]
) -> None:
    result = runner.invoke(app, ["docs", *arguments])

    assert programs == [program]
    assert result.exit_code == 3


@pytest.mark.parametrize(
    ("options", "kinds"),
    [([], ["pdf", "epub"]), (["--pdf"], ["pdf"]), (["--epub", "--pdf"], ["pdf", "epub"])],
    ids=" ".join,
)
def test_export(monkeypatch: pytest.MonkeyPatch, options: list[str], kinds: list[str]) -> None:
    converters = []

    def run(command: list[str], *, check: bool) -> subprocess.CompletedProcess[str]:
        converters.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(commands, "run_python", lambda *_: 0)
    monkeypatch.setattr(subprocess, "run", run)

    result = runner.invoke(app, ["docs", "export", *options])

    assert result.exit_code == 0, result.output
    [command] = converters
    module = command.index("fastship_tooling.docs.export")
    assert command[module + 1 :] == ["site", *kinds]


class TestDeploy:
    @pytest.fixture(autouse=True)
    def repository(self, folder: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
        """Create a repository with a remote. Instead of building, mike commits a file."""
        git("init", "--bare", "remote")
        git("init")
        git("remote", "add", "origin", "remote")

        def mike(*arguments: str) -> int:
            if arguments[len(commands.MIKE)] == "deploy":
                git("checkout", "--orphan", "gh-pages")
                (folder / "index.html").write_text(arguments[-2])
                git("add", "index.html")
                git("commit", "--message", "Deploy the site")
            return 0

        monkeypatch.setattr(commands, "run_python", mike)

    def branch(self, folder: Path) -> str:
        file = folder / "refs/heads/gh-pages"
        return file.read_text().strip() if file.exists() else ""

    def test_success(self, folder: Path) -> None:
        result = runner.invoke(app, ["docs", "deploy"])

        assert result.exit_code == 0, result.output
        version = ".".join(current_version().split(".")[:2])
        assert f"Published {version} to origin/gh-pages." in result.stdout
        assert (folder / "index.html").read_text() == version
        assert self.branch(folder / "remote") == self.branch(folder / ".git")

    def test_failed_push(self, folder: Path, git: Git) -> None:
        git("remote", "set-url", "origin", "no-such-remote")

        result = runner.invoke(app, ["docs", "deploy", "1.2"])

        assert result.exit_code == 1
        assert "1.2 is in your local branch gh-pages" in result.stderr
        assert self.branch(folder / ".git")

    def test_dry_run(self, folder: Path) -> None:
        result = runner.invoke(app, ["docs", "deploy", "1.2", "--dry-run"])

        assert result.exit_code == 0, result.output
        assert "index.html" in result.stdout
        assert "Dry run: 1.2 was not pushed to origin/gh-pages." in result.stdout
        assert self.branch(folder / "remote") == ""
        assert self.branch(folder / ".git") == ""

    def test_failed_build(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(commands, "run_python", lambda *_: 1)

        result = runner.invoke(app, ["docs", "deploy", "1.2"])

        assert result.exit_code == 1
        assert "Published" not in result.stdout
        assert self.branch(folder / "remote") == ""
