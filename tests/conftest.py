"""Rendered projects: each variant once a worker."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from pytest_copie.plugin import Copie
from xdist.scheduler import LoadScopeScheduling

from tests.project import PYTHON, Project
from tests.report import COLUMN, Report
from tests.variants import VARIANTS, Variant

ROOT = Path(__file__).parents[1]
TOGETHER = {"tests/test_deploy.py"}
"""Modules whose tests run one after another, on one worker."""

# Long enough to make lines too long, if a line depended on them.
ANSWERS = {
    "project_name": "Acme Orders & Returns",
    "project_slug": "acme-orders",
    "project_description": "Takes orders, and takes them back: the whole life of a parcel, in one API.",
    "author_name": "Ada Lovelace",
    "author_email": "ada@example.com",
    "github_owner": "acme",
    "python_version": PYTHON,
}

Render = Callable[[Variant], Project]


@pytest.fixture(scope="session")
def questions() -> dict[str, dict[str, object]]:
    """The questions of copier.yml, by name."""
    content = yaml.safe_load((ROOT / "copier.yml").read_text())
    return {name: value for name, value in content.items() if not name.startswith("_")}


@pytest.fixture(scope="session")
def render(
    copie_session: Copie,
    questions: dict[str, object],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Render]:
    """Render a variant, or give what has been rendered before.

    All share a virtual environment, which `uv sync` makes exact for each: a dependency that is
    missing is missed all the same.
    """
    shared = tmp_path_factory.mktemp("shared")
    environment = {
        "UV_PROJECT_ENVIRONMENT": str(shared / "venv"),
        "MYPY_CACHE_DIR": str(shared / "mypy"),
    }
    rendered: dict[Variant, Project] = {}

    def once(variant: Variant) -> Project:
        if variant not in rendered:
            answers = ANSWERS | variant.answers
            assert set(answers) <= set(questions), "copie ignores a misspelt answer"
            result = copie_session.copy(answers)
            if result.project_dir is None:
                raise result.exception or AssertionError("nothing was rendered")
            assert result.answers.items() >= answers.items()
            rendered[variant] = Project(result.project_dir, environment)
        return rendered[variant]

    yield once
    for project in rendered.values():
        shutil.rmtree(project.path, ignore_errors=True)


Note = Callable[[str, object], None]


@pytest.fixture
def note(record_property: Note, variant: Variant) -> Note:
    """Note something of the variant at hand for the report: a column, and what stands in it."""
    return lambda column, value: record_property(f"{COLUMN}{variant} {column}", value)


def pytest_configure(config: pytest.Config) -> None:
    """Have the run leave a report; workers hand their notes on."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Report())


class Schedule(LoadScopeScheduling):  # type: ignore[misc]
    """Tests go to whichever worker is free, but those that share what is made once for them.

    (xdist's own `loadgroup` sees no groups under pytest 9.2.)
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return module if module in TOGETHER else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Schedule:
    """Have tests scheduled by `Schedule`."""
    return Schedule(config, log)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `variant` for each."""
    if "variant" in metafunc.fixturenames and not any(
        mark.name == "parametrize" and "variant" in mark.args[0]
        for mark in metafunc.definition.iter_markers("parametrize")
    ):
        metafunc.parametrize("variant", VARIANTS, ids=str)


@pytest.fixture
def project(render: Render, variant: Variant) -> Project:
    """The variant at hand, rendered."""
    return render(variant)


@pytest.fixture
def fresh(render: Render, variant: Variant, tmp_path: Path) -> Iterator[Project]:
    """The variant as it comes from the template, with nothing installed or made yet."""
    rendered = render(variant)
    made = {".venv", ".env", ".dev", ".git", "dist", "site", "uv.lock", "requirements.txt"}
    shutil.copytree(
        rendered.path,
        tmp_path / "acme-orders",
        ignore=lambda _, names: {n for n in names if n in made or n.endswith(("cache", "cache__"))},
    )
    project = Project(tmp_path / "acme-orders", rendered.environment)
    yield project
    if (project.path / ".dev").exists():
        project.remove_database()
