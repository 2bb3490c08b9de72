"""`copier update`: what a user wrote stays, what the template improved arrives."""

import shutil
import subprocess
from pathlib import Path

import pytest
from copier import run_copy, run_update

from tests.conftest import ANSWERS, ROOT


def git(folder: Path, *arguments: str) -> str:
    identity = [
        "-c",
        "user.name=Ada",
        "-c",
        "user.email=ada@example.com",
        "-c",
        "commit.gpgsign=false",
    ]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def commit(folder: Path, message: str, tag: str | None = None) -> None:
    if not (folder / ".git").exists():
        git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    if tag:
        git(folder, "tag", tag)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """This repository as it lies here, with a release of its own."""
    copy = tmp_path / "template"
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    commit(copy, "first", "v9000.0.0")
    return copy


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    """What a user has rendered from the release, and keeps in git."""
    folder = tmp_path / "project"
    # Without `unsafe`, here and below: it would fail if a person needed --trust.
    run_copy(str(template), folder, data=ANSWERS | {"redis": False}, defaults=True, quiet=True)
    commit(folder, "rendered")
    return folder


def update(project: Path, **answers: object) -> None:
    run_update(project, data=answers, defaults=True, overwrite=True, quiet=True)
    status = git(project, "status", "--porcelain").splitlines()
    assert [line for line in status if line.startswith("UU") or line.endswith(".rej")] == []


def test_edits_are_kept_and_improvements_arrive(template: Path, project: Path) -> None:
    router = project / "src/app/items/router.py"
    router.write_text(router.read_text().replace("Read an item.", "Read one of the items."))
    (project / "src/app/mine.py").write_text("MINE = True\n")
    (project / "README.md").write_text("# Mine\n")
    commit(project, "edited")
    logs = template / "template/src/app/kit/logs.py"
    logs.write_text(logs.read_text().replace("SAMPLE_STEPS = 10_000", "SAMPLE_STEPS = 1_000"))
    (template / "template/src/app/kit/added.py").write_text("ADDED = True\n")
    commit(template, "second", "v9001.0.0")

    update(project)

    assert "Read one of the items." in router.read_text()
    assert (project / "src/app/mine.py").exists()
    assert (project / "README.md").read_text() == "# Mine\n"
    assert "SAMPLE_STEPS = 1_000" in (project / "src/app/kit/logs.py").read_text()
    assert (project / "src/app/kit/added.py").exists()


def test_update_without_news_changes_nothing(template: Path, project: Path) -> None:
    # What is random or depends on the day would show up here.
    commit(template, "nothing new", "v9001.0.0")

    update(project)

    assert git(project, "diff", "--name-only").split() == [".copier-answers.yml"]


def test_feature_is_switched_on_and_off(project: Path) -> None:
    update(project, redis=True)
    assert (project / "src/app/kit/redis.py").exists()
    assert "cashews" in (project / "pyproject.toml").read_text()
    commit(project, "with redis")

    update(project, redis=False)
    assert not (project / "src/app/kit/redis.py").exists()
    assert "cashews" not in (project / "pyproject.toml").read_text()


def test_migrations_are_history(template: Path, project: Path) -> None:
    (project / "src/app/migrations/versions/0001_initial.py").unlink()
    (project / "src/app/migrations/versions/0002_mine.py").write_text("MINE = True\n")
    commit(project, "squashed")
    commit(template, "second", "v9001.0.0")

    update(project)

    versions = project / "src/app/migrations/versions"
    assert [path.name for path in versions.iterdir()] == ["0002_mine.py"]
