"""Rendered projects: each variant once per worker."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
import yaml
from pytest_copie.plugin import Copie
from xdist.scheduler import LoadScopeScheduling

from tests.project import PYTHON, Project
from tests.report import COLUMN, Report
from tests.variants import VARIANTS, Variant

ROOT = Path(__file__).parents[1]
# They run inside a rendered project.
collect_ignore = ["tooling"]
ONE_BY_ONE = {"tests/test_containers.py", "tests/test_deploy.py", "tests/test_swarm.py"}
"""Modules whose tests run one after another. (Leaving a swarm interrupts the network of other containers.)"""

# Long answers, to find lines that become too long.
ANSWERS = {
    "project_name": "Acme Orders & Returns",
    "project_slug": "acme-orders",
    "project_description": "Takes orders, and takes them back: the whole life of a parcel, in one API.",
    "author_name": "Ada Lovelace",
    "author_email": "ada@example.com",
    "github_owner": "acme",
}


class Render(Protocol):
    """Renders a variant, or returns it if it was rendered before."""

    def __call__(self, variant: Variant, *, python_version: str = PYTHON) -> Project: ...


@pytest.fixture(scope="session")
def questions() -> dict[str, dict[str, object]]:
    """Return the questions of copier.yml, by name."""
    content = yaml.safe_load((ROOT / "copier.yml").read_text())
    return {name: value for name, value in content.items() if not name.startswith("_")}


@pytest.fixture(scope="session")
def render(
    copie_session: Copie,
    questions: dict[str, object],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Render]:
    """Return a function that renders a variant, or returns it if it was rendered before.

    All variants share a virtual environment. `uv sync` installs exactly the dependencies of each.
    """
    shared = tmp_path_factory.mktemp("shared")
    environment = {
        "UV_PROJECT_ENVIRONMENT": str(shared / "venv"),
        "MYPY_CACHE_DIR": str(shared / "mypy"),
    }
    rendered: dict[tuple[Variant, str], Project] = {}

    def render_once(variant: Variant, *, python_version: str = PYTHON) -> Project:
        key = (variant, python_version)
        if key not in rendered:
            answers = ANSWERS | variant.answers | {"python_version": python_version}
            assert set(answers) <= set(questions), "copie ignores unknown answers"
            result = copie_session.copy(answers)
            if result.project_dir is None:
                raise result.exception or AssertionError("nothing was rendered")
            assert result.answers.items() >= answers.items()
            rendered[key] = Project(result.project_dir, environment)
        return rendered[key]

    yield render_once
    for project in rendered.values():
        shutil.rmtree(project.path, ignore_errors=True)


Note = Callable[[str, object], None]


@pytest.fixture
def note(record_property: Note, variant: Variant) -> Note:
    """Return a function that records a value for the report: a column of the row of this variant."""
    return lambda column, value: record_property(f"{COLUMN}{variant} {column}", value)


def pytest_configure(config: pytest.Config) -> None:
    """Register the report in the main process. Workers send their records to it."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Report())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Shorten the messages that the summary repeats: in CI, pytest does not."""
    if crash := getattr(report.longrepr, "reprcrash", None):
        crash.message = crash.message[:500]


class Schedule(LoadScopeScheduling):  # type: ignore[misc]
    """Runs tests on any free worker, except for those of ONE_BY_ONE.

    (The mode `loadgroup` of xdist does not see any groups under pytest 9.2.)
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return "containers" if module in ONE_BY_ONE else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Schedule:
    """Return the scheduler."""
    return Schedule(config, log)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with the argument `variant` for all variants, unless it selects some."""
    if "variant" in metafunc.fixturenames and not any(
        mark.name == "parametrize" and "variant" in mark.args[0]
        for mark in metafunc.definition.iter_markers("parametrize")
    ):
        metafunc.parametrize("variant", VARIANTS, ids=str)


@pytest.fixture
def project(render: Render, variant: Variant) -> Project:
    """Return the rendered variant."""
    return render(variant)


@pytest.fixture
def fresh(render: Render, variant: Variant, tmp_path: Path) -> Iterator[Project]:
    """Return a copy of the rendered variant, with nothing installed or generated yet."""
    rendered = render(variant)
    generated = {".venv", ".env", ".dev", ".git", "dist", "site", "uv.lock", "requirements.txt"}
    generated |= {"endpoints", "changelog.md", "configuration.md", ".zensical.yml"}  # of the site
    shutil.copytree(
        rendered.path,
        tmp_path / "acme-orders",
        ignore=lambda _, names: {
            name for name in names if name in generated or name.endswith(("cache", "cache__"))
        },
    )
    project = Project(tmp_path / "acme-orders", rendered.environment)
    yield project
    if (project.path / ".dev").exists():
        project.remove_database()
