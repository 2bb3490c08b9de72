"""A release of the template contains the lock file that was tested."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from copier import run_copy, run_update

from tests.conftest import ANSWERS, ROOT
from tests.project import PYTHON, Project
from tests.test_update import commit, git, template  # noqa: F401  a fixture
from tests.test_workflows import run, steps, tools  # noqa: F401  a fixture
from tests.variants import FULL, VARIANTS

sys.path.append(str(ROOT / ".github/scripts"))
import make_lock


def packages(lock: str) -> list[str]:
    """Return the packages of a lock file in a fixed order, which otherwise depends on the project's name."""
    return sorted(part.strip() for part in lock.split("[[package]]\n"))


@pytest.fixture
def locks(tmp_path: Path) -> dict[make_lock.Answers, str]:
    """Return the lock file of each variant, and write the template that renders them."""
    # One Python version: uv requires an installation of each.
    return make_lock.main(tmp_path / "uv.lock.jinja", (PYTHON,))


@pytest.fixture
def release(
    locks: dict[make_lock.Answers, str],
    template: Path,  # noqa: F811
    tools: Path,  # noqa: F811
    tmp_path: Path,
) -> Path:
    """Return a remote with a release, created by the steps of the workflow."""
    assert len(locks) >= len(VARIANTS)
    (template / "template/uv.lock.jinja").write_bytes((tmp_path / "uv.lock.jinja").read_bytes())
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", remote], check=True)
    git(template, "remote", "add", "origin", str(remote))
    _, script = steps("template-release.yml", "release")
    run(script, template, tools, VERSION="9001.0.0")
    return remote


def test_notes(template: Path, tools: Path) -> None:  # noqa: F811
    remote = template.with_name("remote.git")
    subprocess.run(["git", "init", "-q", "--bare", remote], check=True)
    git(template, "remote", "add", "origin", str(remote))
    _, script = steps("template-release.yml", "release")
    for version, change in (("9001.0.0", "one"), ("9010.0.0", "two")):
        commit(template, change)
        (template / "template/uv.lock.jinja").write_text(version)
        run(script, template, tools, VERSION=version)
        git(template, "reset", "-q", "--hard", "HEAD~")  # the next run checks out main

        assert (tools.parent / "notes.md").read_text() == f"- {change}\n"


def test_release(release: Path, locks: dict[make_lock.Answers, str], tmp_path: Path) -> None:
    notes = (tmp_path / "notes.md").read_text()
    asked = (tmp_path / "gh.txt").read_text()
    assert "release create v9001.0.0" in asked
    assert notes == "" or notes.startswith("- ")

    for variant in VARIANTS:
        folder = tmp_path / str(variant)
        run_copy(str(release), folder, data=ANSWERS | variant.answers, defaults=True, quiet=True)
        project = Project(folder, {})
        released = (folder / "uv.lock").read_text()
        project.run("uv", "lock", "--check", "--quiet")
        features = tuple(getattr(variant, name) for name in make_lock.FEATURES)
        own = locks[*features, PYTHON].replace(make_lock.SLUG, ANSWERS["project_slug"])
        assert packages(released) == packages(own)
        assert not re.search(r"{[{%]", released)

    # The lock file works right after the copy. An update keeps that of the user.
    full = Project(tmp_path / str(FULL), {})
    full.run("uv", "sync", "--locked", "--quiet")
    commit(full.path, "rendered")
    (full.path / "uv.lock").write_text("edited\n")
    commit(full.path, "another lock")
    run_update(full.path, defaults=True, overwrite=True, quiet=True)
    assert (full.path / "uv.lock").read_text() == "edited\n"
