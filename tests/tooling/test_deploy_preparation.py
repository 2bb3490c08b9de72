import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from fastship_tooling.deploy import preparation
from fastship_tooling.project import HAS_DATABASE, HAS_REDIS

from tests.tooling.conftest import Git
from tests.tooling.fake_docker import FakeDocker

ENV_FILE = "deploy/production.env"
SECRETS = "deploy/secrets"
PASSWORDS = f"{SECRETS}/passwords"
CONFIG = '{"services": {"blue": {"environment": {"APP_PORT": "many", "LOG_LEVEL": null}}}}'


@pytest.fixture(autouse=True)
def example(folder: Path) -> None:
    (folder / "deploy").mkdir()
    (folder / f"{ENV_FILE}.example").write_text("DOMAIN=\n")


@pytest.fixture(autouse=True)
def without_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparation, "HAS_AUTH", False)


class TestCreateFiles:
    def test_missing_files(self, folder: Path) -> None:
        created = [Path(path).as_posix() for path in preparation.create_files(["redis"])]

        assert created == [ENV_FILE, f"{PASSWORDS}/redis"]
        assert (folder / ENV_FILE).read_text() == "DOMAIN=\n"
        assert len((folder / PASSWORDS / "redis").read_text()) >= 48
        assert (folder / PASSWORDS / "redis").stat().st_mode & 0o077 == 0

    def test_existing_files(self, folder: Path) -> None:
        preparation.create_files(["redis"])
        password = (folder / PASSWORDS / "redis").read_text()
        (folder / ENV_FILE).write_text("DOMAIN=api.example.com\n")

        assert preparation.create_files(["redis"]) == []

        assert (folder / PASSWORDS / "redis").read_text() == password
        assert (folder / ENV_FILE).read_text() == "DOMAIN=api.example.com\n"

    def test_roles_of_the_database(self, folder: Path) -> None:
        preparation.create_files(["db", "backup"])

        passwords = {path.name: path.read_text() for path in (folder / PASSWORDS).iterdir()}
        assert set(passwords) == {"app", "migrations", "backup"}
        assert len(set(passwords.values())) == 3

    def test_secret_key(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(preparation, "HAS_AUTH", True)

        assert str(Path(SECRETS) / "SECRET_KEY") in preparation.create_files([])


class TestPrepare:
    @pytest.fixture(autouse=True)
    def containers(self, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> None:
        """Assume that git and uv find no problem."""
        docker.outputs["config"] = CONFIG
        monkeypatch.setattr(preparation, "production", lambda **_: docker)
        monkeypatch.setattr(preparation, "lock_issues", lambda: iter(()))
        monkeypatch.setattr(preparation, "tree_issues", lambda: iter(()))

    def test_success(self, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(preparation, "settings_issues", lambda *_: iter(()))

        assert preparation.prepare([], dirty=False, dry_run=False) == (docker, [])

    def test_first_deployment(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(preparation.NotReady, match="Before you can deploy:\n  DOMAIN: is not"):
            preparation.prepare([], dirty=False, dry_run=False)

        assert f"Created {Path(ENV_FILE)}" in capsys.readouterr().out
        assert (folder / ENV_FILE).exists()

    def test_first_deployment_as_dry_run(self, folder: Path) -> None:
        _, missing = preparation.prepare([], dirty=True, dry_run=True)

        assert "DOMAIN: is not set." in missing[0]
        # `deploy` creates it.
        assert not [issue for issue in missing if issue.startswith("SECRET_KEY")]
        assert [path.name for path in (folder / "deploy").iterdir()] == ["production.env.example"]

    def test_no_git(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()
        monkeypatch.setattr("shutil.which", lambda _: None)

        assert list(preparation.tree_issues()) == [
            "Git is not installed. Install it, or use --dirty."
        ]

    @pytest.mark.parametrize("dirty", [True, False])
    def test_uncommitted_changes(self, dirty: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(preparation, "tree_issues", lambda: iter(["There are changes."]))

        with pytest.raises(preparation.NotReady) as caught:
            preparation.prepare([], dirty=dirty, dry_run=False)

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
        preparation.create_files([])
        docker.outputs["config"] = CONFIG

        issues = "\n".join(preparation.settings_issues(docker, []))

        assert "DOMAIN: is not set." in issues
        assert "APP_PORT: Input should be a valid integer" in issues
        assert "APP_TRUSTED_HOSTS" not in issues  # DOMAIN sets it
        assert f"({Path(ENV_FILE)})" in issues

    def test_warning_of_docker(self, docker: FakeDocker) -> None:
        # Docker prints warnings to standard error, which is no part of the JSON document.
        preparation.create_files([])
        docker.outputs["config"] = CONFIG
        docker.warnings["config"] = 'WARN[0000] The "CPUS" variable is not set. {}\n'

        issues = "\n".join(preparation.settings_issues(docker, []))

        assert "APP_PORT: Input should be a valid integer" in issues

    def test_secret(self, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> None:
        preparation.create_files([])
        docker.outputs["config"] = CONFIG
        monkeypatch.setattr(preparation, "secret_variables", lambda: {"APP_PORT"})

        [issue] = [i for i in preparation.settings_issues(docker, []) if i.startswith("APP_PORT")]

        assert issue.endswith(f"(as the file {Path(SECRETS) / 'APP_PORT'})")

    def test_services_next_to_the_application(self, docker: FakeDocker) -> None:
        docker.outputs["config"] = CONFIG
        external = "\n".join(preparation.settings_issues(docker, []))
        issues = "\n".join(preparation.settings_issues(docker, ["db", "redis"]))

        assert ("DATABASE_URL: is not set." in external) is HAS_DATABASE
        assert ("REDIS_URL: is not set." in external) is HAS_REDIS
        assert "_URL: is not set. Set it to a URL such as postgresql" not in issues
        assert "REDIS_URL" not in issues

    def test_invalid_compose_file(self, docker: FakeDocker) -> None:
        docker.fail("config", "services.blue must be a mapping")

        [issue] = preparation.settings_issues(docker, [])

        assert issue.startswith("deploy/docker-compose.prod.yml is invalid.")
        assert "services.blue must be a mapping" in issue
        assert "It requires Docker Compose 2.27 or newer." in issue


def test_external_services(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preparation.create_files([])
    services = {"one": "ONE_URL", "two": "TWO_URL", "three": "THREE_URL"}
    monkeypatch.setattr(preparation, "BACKING_SERVICES", services)
    (folder / ENV_FILE).write_text("TWO_URL=two://external\n")
    (folder / SECRETS / "THREE_URL").write_text("three://external")

    assert preparation.backing_services() == ["one"]


class TestCopySecrets:
    @pytest.fixture(autouse=True)
    def secrets(self, folder: Path) -> None:
        for name in ("app", "migrations", "backup", "redis"):
            path = folder / PASSWORDS / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name}/1\n")
        (folder / SECRETS / "SOME_KEY").write_text("something\n")

    def copied(self, docker: FakeDocker, services: list[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        blue = {"blue": preparation.app_secrets(services)}
        for folders in (preparation.service_secrets(services), blue):
            preparation.copy_secrets(docker, "image", folders)
            with tarfile.open(fileobj=io.BytesIO(docker.inputs["run"])) as tar:
                files = {entry.name: tar.extractfile(entry) for entry in tar}
                found |= {name: file.read().decode() for name, file in files.items() if file}
        return found

    def test_services_next_to_the_application(self, docker: FakeDocker) -> None:
        copied = self.copied(docker, ["db", "backup", "redis"])

        assert copied == {
            "blue/DATABASE_URL": "postgresql://app:app%2F1@db:5432/app",
            "blue/REDIS_URL": "redis://:redis%2F1@redis:6379/0",
            "blue/SOME_KEY": "something",
            "migrations/DATABASE_URL": "postgresql://migrations:migrations%2F1@db:5432/app",
            "migrations/REDIS_URL": "redis://:redis%2F1@redis:6379/0",
            "migrations/SOME_KEY": "something",
            "backup/PASSWORD": "backup/1",
            "redis/PASSWORD": "redis/1",
        }

    def test_external_services(self, folder: Path, docker: FakeDocker) -> None:
        (folder / SECRETS / "DATABASE_URL").write_text("postgresql://user@external/shop\n")
        (folder / SECRETS / ".DS_Store").write_bytes(b"\xff")
        copied = self.copied(docker, [])

        assert copied["blue/DATABASE_URL"] == "postgresql://user@external/shop"
        assert copied["migrations/DATABASE_URL"] == "postgresql://user@external/shop"
        assert "blue/.DS_Store" not in copied
        assert not {"backup/PASSWORD", "redis/PASSWORD", "blue/REDIS_URL"} & set(copied)

    def test_external_role_of_the_migrations(self, folder: Path, docker: FakeDocker) -> None:
        (folder / SECRETS / "DATABASE_URL").write_text("postgresql://user@external/shop")
        (folder / SECRETS / "migrations").mkdir()
        (folder / SECRETS / "migrations/DATABASE_URL").write_text(
            "postgresql://admin@external/shop"
        )
        copied = self.copied(docker, [])

        assert copied["blue/DATABASE_URL"] == "postgresql://user@external/shop"
        assert copied["migrations/DATABASE_URL"] == "postgresql://admin@external/shop"

    def test_folders_exist_without_secrets(self, folder: Path, docker: FakeDocker) -> None:
        # A container whose folder does not exist cannot start.
        (folder / SECRETS / "SOME_KEY").unlink()
        self.copied(docker, [])

        with tarfile.open(fileobj=io.BytesIO(docker.inputs["run"])) as tar:
            assert tar.getnames() == ["blue"]


@pytest.mark.skipif(not HAS_DATABASE, reason="without a database")
def test_roles_script(folder: Path) -> None:
    (folder / PASSWORDS).mkdir(parents=True)
    (folder / PASSWORDS / "app").write_text("it's")

    script = preparation.roles_script().decode()

    assert "ALTER ROLE app PASSWORD 'it''s';\n" in script
    # An error message must not repeat the statement.
    assert script.index("log_min_error_statement") < script.index("PASSWORD 'it")


def test_production() -> None:
    docker = preparation.production(dry_run=True)

    assert docker.options[0] == "compose"
    assert docker.dry_run
