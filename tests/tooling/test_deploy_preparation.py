import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from fastship_tooling.deploy import preparation
from fastship_tooling.settings import secret_variables

from tests.tooling.conftest import Git
from tests.tooling.fake_docker import FakeDocker

ENV_FILE = "deploy/production.env"
SECRETS = "deploy/secrets"
CONFIG = '{"services": {"blue": {"environment": {"APP_PORT": "many", "LOG_LEVEL": null}}}}'


@pytest.fixture(autouse=True)
def example(folder: Path) -> None:
    (folder / "deploy").mkdir()
    (folder / f"{ENV_FILE}.example").write_text("DOMAIN=\n")


@pytest.fixture
def random_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparation, "RANDOM_SECRETS", ["SOME_KEY"])


@pytest.mark.usefixtures("random_secret")
class TestCreateFiles:
    def test_missing_files(self, folder: Path) -> None:
        created = [Path(path).as_posix() for path in preparation.create_files()]

        assert created == [ENV_FILE, f"{SECRETS}/SOME_KEY"]
        assert (folder / ENV_FILE).read_text() == "DOMAIN=\n"
        assert len((folder / SECRETS / "SOME_KEY").read_text()) >= 48
        assert (folder / SECRETS / "SOME_KEY").stat().st_mode & 0o077 == 0

    def test_existing_files(self, folder: Path) -> None:
        preparation.create_files()
        key = (folder / SECRETS / "SOME_KEY").read_text()
        (folder / ENV_FILE).write_text("DOMAIN=api.example.com\n")

        assert preparation.create_files() == []

        assert (folder / SECRETS / "SOME_KEY").read_text() == key
        assert (folder / ENV_FILE).read_text() == "DOMAIN=api.example.com\n"


def test_random_secrets_are_settings() -> None:
    assert set(preparation.RANDOM_SECRETS) <= secret_variables()


class TestPrepare:
    @pytest.fixture(autouse=True)
    def containers(self, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> None:
        """Assume that git and uv find no problem."""
        docker.outputs["config"] = CONFIG
        monkeypatch.setattr(preparation, "production", lambda **_: docker)
        monkeypatch.setattr(preparation, "lock_issues", lambda: iter(()))
        monkeypatch.setattr(preparation, "tree_issues", lambda: iter(()))

    def test_success(self, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(preparation, "settings_issues", lambda _: iter(()))

        assert preparation.prepare(dirty=False, dry_run=False) is docker

    def test_first_deployment(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(preparation.NotReady, match="Before you can deploy:\n  DOMAIN: is not"):
            preparation.prepare(dirty=False, dry_run=False)

        assert f"Created {Path(ENV_FILE)}" in capsys.readouterr().out
        assert (folder / ENV_FILE).exists()

    def test_first_deployment_as_dry_run(self, folder: Path) -> None:
        with pytest.raises(preparation.NotReady, match="creates it, and lists what to fill in"):
            preparation.prepare(dirty=True, dry_run=True)

        assert [path.name for path in (folder / "deploy").iterdir()] == ["production.env.example"]

    @pytest.mark.parametrize("dirty", [True, False])
    def test_uncommitted_changes(self, dirty: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(preparation, "tree_issues", lambda: iter(["There are changes."]))

        with pytest.raises(preparation.NotReady) as caught:
            preparation.prepare(dirty=dirty, dry_run=False)

        assert ("There are changes." in str(caught.value)) is not dirty


class TestTree:
    def test_no_repository(self, git: Git) -> None:
        [issue] = preparation.tree_issues()

        assert "not a git repository" in issue
        assert "--dirty" in issue

    def test_uncommitted_changes(self, git: Git) -> None:
        git("init")

        assert "There are uncommitted changes" in next(preparation.tree_issues())

    def test_clean_tree(self, git: Git) -> None:
        git("init")
        git("add", ".")
        git("commit", "-m", "feat: add settings")

        assert list(preparation.tree_issues()) == []


@pytest.mark.parametrize(
    ("code", "issues"), [(0, []), (2, ["uv.lock is outdated. Update it: uv run acme-orders lock"])]
)
def test_lock(monkeypatch: pytest.MonkeyPatch, code: int, issues: list[str]) -> None:
    done: subprocess.CompletedProcess[str] = subprocess.CompletedProcess([], code)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)

    assert list(preparation.lock_issues()) == issues


class TestSettings:
    def test_all_issues(self, docker: FakeDocker) -> None:
        preparation.create_files()
        docker.outputs["config"] = CONFIG

        issues = "\n".join(preparation.settings_issues(docker))

        assert "DOMAIN: is not set." in issues
        assert "APP_PORT: Input should be a valid integer" in issues
        assert "APP_TRUSTED_HOSTS" not in issues  # DOMAIN sets it
        assert f"({Path(ENV_FILE)})" in issues

    def test_warning_of_docker(self, docker: FakeDocker) -> None:
        # Docker prints warnings to standard error, which is no part of the JSON document.
        preparation.create_files()
        docker.outputs["config"] = CONFIG
        docker.warnings["config"] = 'WARN[0000] The "CPUS" variable is not set. {}\n'

        issues = "\n".join(preparation.settings_issues(docker))

        assert "APP_PORT: Input should be a valid integer" in issues

    def test_secret(self, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> None:
        preparation.create_files()
        docker.outputs["config"] = CONFIG
        monkeypatch.setattr(preparation, "secret_variables", lambda: {"APP_PORT"})

        [issue] = [i for i in preparation.settings_issues(docker) if i.startswith("APP_PORT")]

        assert issue.endswith(f"(as the file {Path(SECRETS) / 'APP_PORT'})")

    def test_invalid_compose_file(self, docker: FakeDocker) -> None:
        docker.fail("config", "services.blue must be a mapping")

        [issue] = preparation.settings_issues(docker)

        assert issue.startswith("deploy/docker-compose.prod.yml is invalid.")
        assert "services.blue must be a mapping" in issue


def test_external_services(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preparation.create_files()
    services = {"one": "ONE_URL", "two": "TWO_URL", "three": "THREE_URL"}
    monkeypatch.setattr(preparation, "BACKING_SERVICES", services)
    (folder / ENV_FILE).write_text("TWO_URL=two://external\n")
    (folder / SECRETS / "THREE_URL").write_text("three://external")

    assert preparation.backing_services() == ["one"]


@pytest.mark.usefixtures("random_secret")
def test_copy_secrets(folder: Path, docker: FakeDocker) -> None:
    preparation.create_files()
    (folder / SECRETS / "SOME_KEY").write_text("something\n")

    preparation.copy_secrets(docker, "image")

    with tarfile.open(fileobj=io.BytesIO(docker.inputs["run"])) as tar:
        assert tar.getnames() == ["SOME_KEY"]
        content = tar.extractfile("SOME_KEY")
        assert content
        assert content.read() == b"something"


def test_secret_file_and_variable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparation, "secret_variables", lambda: {"SOME_KEY", "OTHER_KEY"})
    (folder / SECRETS).mkdir()
    (folder / SECRETS / "SOME_KEY").touch()

    docker = preparation.production(dry_run=True)

    assert docker.environment == {"SOME_KEY": ""}
    assert docker.options[0] == "compose"
    assert docker.dry_run
