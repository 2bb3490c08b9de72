"""Each variant's own checks, as its user would run them."""

import json
import re
import time
from zipfile import ZipFile

import pytest

from tests.conftest import Note
from tests.project import Project
from tests.variants import BARE, FULL, MIXED, Variant

IN_THREADS = """
import inspect
from fastapi.routing import iter_route_contexts
from app.cli.openapi import described_app

def below(dependant):
    for one in dependant.dependencies:
        yield one.call
        yield from below(one)

for route in iter_route_contexts(described_app().routes):
    for call in below(route.dependant) if hasattr(route, "dependant") else ():
        function = call if inspect.isroutine(call) or inspect.isclass(call) else call.__call__
        if not (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)):
            print(route.path, call)
"""
"""Prints the dependencies that FastAPI would call in a thread."""


@pytest.fixture
def installed(project: Project) -> Project:
    """The variant with its environment; what is not among its dependencies is not there."""
    project.run("uv", "sync", "--quiet")
    return project


def test_format_lint_and_types(installed: Project) -> None:
    output = installed.uv_run("acme-orders", "lint")

    for said in ("files already formatted", "All checks passed!", "Success: no issues found"):
        assert said in output
    assert "strict = true" in (installed.path / "pyproject.toml").read_text()


def test_tests(installed: Project, variant: Variant, note: Note) -> None:
    start = time.perf_counter()
    output = installed.uv_run("acme-orders", "test")
    note("seconds", round(time.perf_counter() - start, 1))
    installed.remove_database()

    assert re.search(r"Required test coverage of 80\.0% reached", output), output
    # One test may be missed out: where redis-server is not installed, and where nobody is root.
    skipped = re.search(r"(\d+) skipped", output)
    assert int(skipped[1]) <= 1 if skipped else True, output
    passed = re.search(r"(\d+) passed", output)
    coverage = re.search(r"Total coverage: ([\d.]+%)", output)
    assert passed, (variant, output)
    assert coverage
    locked = (installed.path / "uv.lock").read_text()
    note("tests", passed[1])
    note("coverage", coverage[1])
    made = {"uv.lock", ".coverage"}
    ours = (path.split("/") for path in installed.files())
    hidden = re.compile(r"\.(dev|env|venv|\w+_cache)|__pycache__|site")
    note(
        "files",
        sum(not any(hidden.fullmatch(part) or part in made for part in path) for path in ours),
    )
    note("dependencies", locked.count("[[package]]") - 1)


def test_no_dependency_needs_a_thread(installed: Project) -> None:
    assert installed.uv_run("python", "-c", IN_THREADS) == ""


@pytest.mark.parametrize("variant", [FULL, BARE, MIXED], ids=str)
def test_tests_in_parallel(installed: Project) -> None:
    output = installed.uv_run("acme-orders", "test", PYTEST_XDIST_AUTO_NUM_WORKERS="2")

    assert "2 workers" in output
    assert "Required test coverage of 80.0% reached" in output
    installed.remove_database()


def test_lock_files_are_in_step(installed: Project) -> None:
    installed.uv_run("acme-orders", "lock")

    installed.run("uv", "lock", "--check")
    assert "fastapi==" in (installed.path / "requirements.txt").read_text()
    (installed.path / "requirements.txt").unlink()


@pytest.mark.parametrize("variant", [FULL], ids=str)
def test_wheel_and_version(fresh: Project) -> None:
    def build() -> str:
        return fresh.run("uv", "build", "--wheel")

    # Without git, before the first tag, and after it.
    assert "acme_orders-0.0.0-" in build()
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    for command in ("init -q", "add -A", "commit -qm one", "tag v1.2.3"):
        fresh.run("git", *identity, *command.split())
    assert "acme_orders-1.2.3-" in build()
    wheel = next((fresh.path / "dist").glob("*-1.2.3-*.whl"))
    with ZipFile(wheel) as archive:
        assert "app/kit/mails/mail.html" in archive.namelist()


def test_site(installed: Project, variant: Variant) -> None:
    if not variant.docs:
        assert "No such command 'docs'" in installed.uv_run(
            "acme-orders", "docs", "build", check=False
        )
        return
    installed.uv_run("acme-orders", "docs", "build")

    index = json.loads((installed.path / "site/search/search_index.json").read_text())
    assert any("create_app" in page["location"] for page in index["docs"])
    # Nothing is loaded from another server.
    for page in (installed.path / "site").rglob("*.html"):
        assert not re.search(
            r'<(script|link)[^>]+(src|href)="https?://(?!github\.com)', page.read_text()
        )
