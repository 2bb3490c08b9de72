import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from fastship_tooling.docs import commands
from fastship_tooling.project import DOCS_URL
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


def test_url_of_the_site(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: str) -> int:
        assert DOCS_URL.read_text() == "http://127.0.0.1:9001"
        return 0

    monkeypatch.setattr(commands, "run_python", run)

    assert runner.invoke(app, ["docs", "serve", "--port", "9001"]).exit_code == 0
    assert not (folder / DOCS_URL).exists()


@pytest.mark.parametrize(
    ("arguments", "program"),
    [
        (["build"], ("-m", commands.BUILD)),
        (["serve", "--port", "9001"], ("-m", commands.BUILD, "serve", "127.0.0.1:9001")),
        (["export", "--pdf"], ("-m", commands.BUILD)),
    ],
    ids=lambda value: value[0],
)
def test_build(
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
        """Create a repository with a remote. Instead of building, write one page."""
        git("init", "--bare", "remote")
        git("init")
        git("remote", "add", "origin", "remote")
        (folder / ".gitignore").write_text("site/\n")

        def build(*_: str) -> int:
            (folder / "site").mkdir(exist_ok=True)
            (folder / "site/index.html").write_text("page")
            return 0

        monkeypatch.setattr(commands, "run_python", build)

    @pytest.fixture
    def show(self, folder: Path) -> Callable[[str], str]:
        """Return a function that reads a file of the published site."""

        def show(path: str) -> str:
            command = ["git", "-C", "remote", "show", f"gh-pages:{path}"]
            return subprocess.run(
                command, cwd=folder, check=False, capture_output=True, text=True
            ).stdout

        return show

    def test_versions(self, folder: Path, show: Callable[[str], str]) -> None:
        for version in ("1.9", "1.10", "1.9"):
            result = runner.invoke(app, ["docs", "deploy", version])
            assert result.exit_code == 0, result.output

        assert f"Published {version} to origin/gh-pages." in result.stdout
        assert show("1.9/index.html") == show("1.10/index.html") == "page"
        assert 'url=latest/"' in show("index.html")
        # The newest version is the latest one, even if an older one is published again.
        assert show("latest") == "1.10"
        assert json.loads(show("versions.json")) == [
            {"version": "1.10", "title": "1.10", "aliases": ["latest"]},
            {"version": "1.9", "title": "1.9", "aliases": []},
        ]

    def test_removed_page(self, folder: Path, show: Callable[[str], str]) -> None:
        (folder / "site").mkdir()
        (folder / "site/old.html").write_text("old")
        runner.invoke(app, ["docs", "deploy", "1.2"])
        assert show("1.2/old.html") == "old"
        (folder / "site/old.html").unlink()

        runner.invoke(app, ["docs", "deploy", "1.2"])

        assert show("1.2/old.html") == ""
        assert show("1.2/index.html") == "page"

    def test_default_version(self, show: Callable[[str], str]) -> None:
        runner.invoke(app, ["docs", "deploy"])

        assert show("latest") == ".".join(current_version().split(".")[:2])

    def test_unknown_remote(self, git: Git) -> None:
        git("remote", "set-url", "origin", "no-such-remote")

        result = runner.invoke(app, ["docs", "deploy", "1.2"])

        assert result.exit_code == 1
        assert "Cannot read the remote origin" in result.stderr
        assert "git remote --verbose" in result.stderr

    def test_missing_remote(self, git: Git) -> None:
        git("remote", "remove", "origin")

        result = runner.invoke(app, ["docs", "deploy", "1.2"])

        assert result.exit_code == 1
        assert "There is no remote origin. Add it: git remote add origin URL" in result.stderr

    def test_rejected_push(self, folder: Path) -> None:
        hook = folder / "remote/hooks/pre-receive"
        hook.write_text("#!/bin/sh\necho no such luck >&2; exit 1\n")
        hook.chmod(0o755)

        result = runner.invoke(app, ["docs", "deploy", "1.2"])

        assert result.exit_code == 1
        assert "git push failed" in result.stderr
        assert "Published" not in result.stdout

    def test_dry_run(self, show: Callable[[str], str]) -> None:
        result = runner.invoke(app, ["docs", "deploy", "1.2", "--dry-run"])

        assert result.exit_code == 0, result.output
        assert "1.2/index.html" in result.stdout
        assert "Dry run: 1.2 was not pushed to origin/gh-pages." in result.stdout
        assert show("versions.json") == ""

    def test_failed_build(
        self, show: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(commands, "run_python", lambda *_: 1)

        result = runner.invoke(app, ["docs", "deploy", "1.2"])

        assert result.exit_code == 1
        assert "Published" not in result.stdout
        assert show("versions.json") == ""
