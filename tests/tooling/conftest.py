import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastship_tooling.deploy import server
from fastship_tooling.dev.pages.middleware import DevelopmentPages
from fastship_tooling.feature import create
from fastship_tooling.project import HAS_AUTH, HAS_DATABASE, HAS_DOCS
from httpx2 import AsyncClient

from app.cli.console import ROOT
from app.config import Settings
from tests.conftest import client_of, create_test_app
from tests.tooling.fake_docker import FakeDocker

DATABASE_TESTS = [
    "test_backup.py",
    "test_db*.py",
    "test_dev_jobs.py",
    "test_postgres.py",
    "test_psql.py",
    "test_schema_*",
]
DOCS_TESTS = ["test_docs.py", "test_site.py"]

collect_ignore_glob = [
    *([] if HAS_DATABASE else DATABASE_TESTS),
    *([] if HAS_DOCS else DOCS_TESTS),
    *([] if HAS_AUTH else ["test_dev_mails.py"]),
]

Git = Callable[..., None]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run the commands in an empty folder instead of the project."""
    monkeypatch.setattr("app.cli.main.ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pages(settings: Settings, folder: Path) -> FastAPI:
    """Return an application with the pages, in an empty folder."""
    app = create_test_app(settings)
    app.add_middleware(DevelopmentPages)
    return app


@pytest.fixture
async def browser(pages: FastAPI) -> AsyncIterator[AsyncClient]:
    """Return a client that sends the headers of a browser."""
    async with client_of(
        pages, raise_app_exceptions=False, accept="text/html,*/*;q=0.8", host="127.0.0.1:8000"
    ) as client:
        yield client


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """Return a function that runs git, without the configuration of this machine."""
    environment = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CEILING_DIRECTORIES": str(tmp_path.parent),
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.com",
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.com",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> None:
        subprocess.run(["git", *arguments], check=True, capture_output=True)  # noqa: S607

    return run


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    """Return a server without containers, and deploy to it without delays and migrations."""
    monkeypatch.setattr(server, "NOTICE_SECONDS", 0)
    monkeypatch.setattr(server, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(server, "HAS_DATABASE", False)
    return FakeDocker()


@pytest.fixture
def project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run the commands in a copy of the project, without importing its code and without a database."""
    ignored = shutil.ignore_patterns("__pycache__", "tooling")
    for name in ("src", "tests", "docs"):
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, folder)
    monkeypatch.setattr(create, "check_application", lambda: None)
    monkeypatch.setattr(create, "sync_schema", lambda _confirmed: None)
    return folder


def read_files(folder: Path) -> dict[str, str]:
    """Return the content of each file of a project, except for caches."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in paths
        if not {".dev", ".git", "__pycache__", ".ruff_cache"} & set(path.parts)
    }
