"""`copier update` keeps the edits of the user and merges the changes of the template."""

import itertools
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from copier import run_copy, run_update

from tests.conftest import ANSWERS, ROOT
from tests.project import Project
from tests.running import dev, free_port


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


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the variables that make all projects of this module share a virtual environment."""
    shared = tmp_path_factory.mktemp("updates")
    return {
        "UV_PROJECT_ENVIRONMENT": str(shared / "venv"),
        "MYPY_CACHE_DIR": str(shared / "mypy"),
    }


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """Return a copy of the working tree of this repository, with a release."""
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
    """Return a project that was rendered from the release and committed."""
    folder = tmp_path / "project"
    # Without `unsafe`, rendering fails if the template requires --trust.
    run_copy(str(template), folder, data=ANSWERS | {"redis": False}, defaults=True, quiet=True)
    commit(folder, "rendered")
    return folder


def update(project: Path, **answers: object) -> None:
    run_update(project, data=answers, defaults=True, overwrite=True)
    status = git(project, "status", "--porcelain").splitlines()
    assert [line for line in status if line.startswith("UU") or line.endswith(".rej")] == []


def test_edits_and_changes(template: Path, project: Path) -> None:
    router = project / "src/app/items/router.py"
    router.write_text(router.read_text().replace("Return one item.", "Return one of the items."))
    (project / "src/app/mine.py").write_text("MINE = True\n")
    (project / "README.md").write_text("# Mine\n")
    commit(project, "edited")
    middleware = template / "template/src/app/kit/middleware.py"
    middleware.write_text(
        middleware.read_text().replace("YEAR_SECONDS = 31_536_000", "YEAR_SECONDS = 1_000")
    )
    (template / "template/src/app/kit/added.py").write_text("ADDED = True\n")
    commit(template, "second", "v9001.0.0")

    update(project)

    assert "Return one of the items." in router.read_text()
    assert (project / "src/app/mine.py").exists()
    assert (project / "README.md").read_text() == "# Mine\n"
    assert "YEAR_SECONDS = 1_000" in (project / "src/app/kit/middleware.py").read_text()
    assert (project / "src/app/kit/added.py").exists()


def test_no_changes(template: Path, project: Path) -> None:
    # Anything random, and anything that depends on the date, would show up here.
    commit(template, "empty", "v9001.0.0")

    update(project)

    assert git(project, "diff", "--name-only").split() == [".copier-answers.yml"]


def test_feature_on_and_off(project: Path) -> None:
    update(project, redis=True)
    assert (project / "src/app/kit/redis.py").exists()
    assert "redis>=" in (project / "pyproject.toml").read_text()
    commit(project, "with redis")

    update(project, redis=False)
    assert not (project / "src/app/kit/redis.py").exists()
    assert "redis>=" not in (project / "pyproject.toml").read_text()


def test_migrations(template: Path, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "src/app/migrations/versions/0001_initial.py").unlink()
    (project / "src/app/migrations/versions/0002_mine.py").write_text("MINE = True\n")
    commit(project, "squashed")
    commit(template, "second", "v9001.0.0")

    update(project)

    assert 'acme-orders db revision "update from the template"' in capsys.readouterr().err
    versions = project / "src/app/migrations/versions"
    assert [path.name for path in versions.iterdir()] == ["0002_mine.py"]


def test_lock_file(template: Path, tmp_path: Path) -> None:
    lock = template / "template/uv.lock.jinja"
    lock.write_text("released\n")
    git(template, "add", "--force", str(lock))
    commit(template, "release", "v9000.0.1")
    project = tmp_path / "project"
    run_copy(str(template), project, data=ANSWERS, defaults=True, quiet=True)
    assert (project / "uv.lock").read_text() == "released\n"
    (project / "uv.lock").write_text("mine\n")
    commit(project, "rendered")

    # The new version has a lock file, then none.
    for version, text in (("v9001.0.0", "newer\n"), ("v9002.0.0", None)):
        lock.write_text(text) if text else lock.unlink()
        commit(template, "next", version)
        update(project)
        assert (project / "uv.lock").read_text() == "mine\n"
        commit(project, "updated")


def test_files_of_the_same_name(template: Path, project: Path) -> None:
    # README.md belongs to the user, but not the one of the tooling.
    (template / "template/tooling/README.md").write_text("# Newer\n")
    commit(template, "second", "v9001.0.0")

    update(project)

    assert (project / "tooling/README.md").read_text() == "# Newer\n"


def checks_pass(project: Path, shared: dict[str, str], *tests: str, migrate: bool = False) -> None:
    """Run the commands that a user runs after an update.

    Args:
        project: Folder of the project.
        shared: Environment variables.
        tests: Tests to run; by default all.
        migrate: Whether the models have changed.
    """
    updated = Project(project, shared)
    updated.run("uv", "lock", "--quiet")
    if migrate:
        updated.uv_run("acme-orders", "db", "revision", "update from the template")
        # It deletes the accounts, which `lint` accepts with the comment that it suggests.
        [path] = (project / "src/app/migrations/versions").glob("*_update_from_the_template.py")
        output = updated.uv_run("acme-orders", "db", "check", check=False)
        [comment] = re.findall(r"# squawk-ignore .*", output)
        path.write_text(path.read_text().replace("def upgrade(", f"{comment}\ndef upgrade(", 1))
    updated.uv_run("acme-orders", "openapi")
    updated.uv_run("acme-orders", "lint")
    updated.uv_run("pytest", "-q", "-x", *tests)
    with dev(updated):
        pass
    updated.remove_database()


def released() -> list[str]:
    """Return the versions that a project may come from: the releases, or the previous commit."""
    tags = git(ROOT, "tag", "--list", "v*").split()
    return tags or git(ROOT, "rev-list", "--max-count=1", "--skip=1", "HEAD").split()


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, (path, old)
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("before", released())
def test_edited_project(
    before: str, template: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    old = tmp_path / "old"
    subprocess.run(["git", "clone", "-q", ROOT, old], check=True)
    git(old, "checkout", "-q", before)
    git(old, "tag", "-f", "v8000.0.0")
    folder = tmp_path / "project"
    run_copy(str(old), folder, data=ANSWERS, defaults=True, quiet=True, vcs_ref="v8000.0.0")
    commit(folder, "rendered")
    living = Project(folder, environment)
    # Edits that a user makes in the first weeks.
    living.uv_run("acme-orders", "feature", "new", "invoices", "total:decimal", "item:ref[items]")
    edit(folder / "src/app/items/router.py", "Return one item.", "Return one of the items.")
    edit(
        folder / "src/app/config.py",
        "access_token_minutes: int = Field(\n        30",
        "access_token_minutes: int = Field(\n        20",
    )
    edit(folder / "README.md", "## Commands", "## Command line")
    edit(folder / "docker-compose.yml", "${APP_PORT:-8000}:8000", "${APP_PORT:-9000}:8000")
    edit(folder / "pyproject.toml", '    "typer>=', '    "tenacity>=9",\n    "typer>=')
    living.run("uv", "lock", "--quiet")
    commit(folder, "edits")
    files = set(git(folder, "ls-files").split())

    # The old commit and this working tree become two releases of one template.
    git(old, "checkout", "-q", "-B", "main")
    git(old, "rm", "-rq", ".")
    shutil.copytree(template, old, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".git"))
    commit(old, "new", "v8001.0.0")
    update(folder)

    for path, kept in {
        "src/app/items/router.py": "Return one of the items.",
        "src/app/config.py": "20, ge=1",
        "README.md": "## Command line",
        "docker-compose.yml": "9000",
        "pyproject.toml": "tenacity",
        "src/app/domains.py": "invoices_router",
    }.items():
        assert kept in (folder / path).read_text(), path
    own = {path for path in files if "invoices" in path}
    assert len(own) > 8
    assert all((folder / path).exists() for path in own)
    checks_pass(folder, environment)


FIELDS = ("number:str:unique", "status:enum[draft,sent]:filter=draft", "due:date?")
READ_FIELDS = "number:str:unique 'status:enum[draft,sent]:filter=draft' 'due:date?'"
AGAIN = {
    "auth": READ_FIELDS,
    "database": READ_FIELDS.replace(":unique", ""),  # rows in memory cannot be unique
}
"""Features without which a domain does not work, and its fields without the feature."""


def advised_command(output: str) -> str:
    """Return the command in the report about files that use removed code."""
    assert "git diff HEAD -- src/app/items tests/items" in output
    (command,) = (line.strip() for line in output.splitlines() if line.endswith("--again"))
    return command


def reports_leftovers(project: Project) -> str:
    """Check that `doctor` and `dev` report the files that use removed code, and return the command to run."""
    output = project.uv_run("acme-orders", "doctor", check=False)
    assert "  src/app/identities/dependencies.py: app." in output
    arguments = ["uv", "run", "--quiet", "acme-orders", "dev", "--port", str(free_port())]
    with subprocess.Popen(
        arguments, cwd=project.path, env=project.env, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        error = itertools.takewhile(lambda line: "Nothing is running" not in line, process.stderr)
        lines = "".join(error)
        process.terminate()
    assert "  src/app/identities/dependencies.py: app." in lines
    assert "Traceback" not in lines
    command = advised_command(output)
    assert command == advised_command(lines)
    return command


def create_again(project: Project, command: str) -> None:
    """Paste a command into a shell."""
    project.run("sh", "-c", command)
    # Other checks fail, since the data was deleted.
    output = project.uv_run("acme-orders", "doctor", check=False)
    assert "all modules that the code imports exist" in output


@pytest.mark.parametrize("feature", ["database", "redis", "auth", "docs"])
def test_feature_of_an_edited_project(
    feature: str,
    template: Path,
    tmp_path: Path,
    environment: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "project"
    run_copy(str(template), folder, data=ANSWERS, defaults=True, quiet=True)
    commit(folder, "rendered")
    fresh = set(git(folder, "ls-files").split())
    living = Project(folder, environment)
    # The name is between those of modules that an answer removes, which are imported in main.py.
    living.uv_run("acme-orders", "feature", "new", "identities", *FIELDS)
    again = "uv run acme-orders feature new identities"
    router, page = folder / "src/app/identities/router.py", folder / "docs/api/identities.md"
    edit(folder / "src/app/items/router.py", "Return one item.", "Return one of the items.")
    edit(router, "Return one identity.", "Return one of the identities.")
    edit(page, "# Identities", "# Our identities")
    for generated in ("docs/changelog.md", "site/index.html"):
        (folder / generated).parent.mkdir(exist_ok=True)
        (folder / generated).touch()
    commit(folder, "edits")
    before = git(folder, "rev-parse", "HEAD").strip()

    # Without the feature, the checks pass.
    update(folder, **{feature: False})
    assert "Return one of the identities." in router.read_text()
    assert page.exists()
    assert f"\n- {feature} off: " in capsys.readouterr().err
    if feature == "database":  # as the message advises
        shutil.rmtree(folder / "src/app/migrations")
    if feature in AGAIN:
        command = reports_leftovers(living)
        assert command == f"{again} {AGAIN[feature]} --again"
        create_again(living, command)
    # The other tests are the same in a new project without the feature.
    own = ("tests/identities", "tests/items", "tests/test_main.py")
    checks_pass(folder, environment, *own, migrate=feature == "auth")
    commit(folder, "off")
    assert not {"docs/changelog.md", "site/index.html"} & set(git(folder, "ls-files").split())

    # Adding it again restores every file.
    update(folder, **{feature: True})
    assert f"\n- {feature} on: " in capsys.readouterr().err
    if feature == "database":
        doctor = living.uv_run("acme-orders", "doctor", check=False)
        assert "  src/app/identities/store.py: app.kit.memory" in doctor
        assert advised_command(doctor) == f"{again} {AGAIN[feature]} --again"
    if feature == "auth":
        # The domain works as before: without accounts.
        assert re.search("/api/v1/identities +public", living.uv_run("acme-orders", "routes"))
    if feature in AGAIN:
        # Without a database, it is not known which fields were unique.
        create_again(living, f"{again} {READ_FIELDS if feature == 'database' else ''} --again")
        edit(router, "Return one identity.", "Return one of the identities.")
    commit(folder, "on")
    changed = set(git(folder, "diff", "--name-only", before, "HEAD").split())
    migrations = {path for path in changed if path.startswith("src/app/migrations/versions/")}
    assert changed - migrations - {"openapi.json", "uv.lock"} == set()

    # So does adding it to a project that never had it.
    off = tmp_path / "off"
    run_copy(str(template), off, data=ANSWERS | {feature: False}, defaults=True, quiet=True)
    commit(off, "rendered")
    update(off, **{feature: True})
    edit(off / "src/app/items/router.py", "Return one item.", "Return one of the items.")
    for path in fresh - {
        "src/app/migrations/versions/0001_initial.py",
        "README.md",
        "src/app/domains.py",
    }:
        assert (off / path).read_bytes() == (folder / path).read_bytes(), path
