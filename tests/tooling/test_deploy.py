import signal
from contextlib import nullcontext
from pathlib import Path

import pytest
from fastship_tooling.deploy import image, lock, preparation, server
from fastship_tooling.docker import Docker, DockerError
from fastship_tooling.project import HAS_DATABASE
from fastship_tooling.version import current_version
from typer.testing import CliRunner

from app.cli.console import CLIError
from app.cli.main import app
from app.config import SLUG
from tests.tooling.fake_docker import FakeDocker

runner = CliRunner()

VERBS = {"up", "start", "stop", "rm"}
STOPPED_ENGINE = "Cannot connect to the Docker daemon."


def steps(docker: FakeDocker) -> list[str]:
    """Return the commands that change a color, such as `up green`."""
    found = [(command[0], command[-1]) for command in docker.commands]
    return [f"{verb} {color}" for verb, color in found if verb in VERBS and color in server.COLORS]


@pytest.fixture
def target(docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> server.Server:
    monkeypatch.setattr(preparation, "copy_secrets", lambda *_: None)
    return server.Server(docker, docker, timeout=0.1)


class TestRollOut:
    def test_first_version(self, target: server.Server, docker: FakeDocker) -> None:
        assert target.roll_out("next", ["cache"]) == "blue"

        assert ("up", "--detach", "--wait", "--no-deps", "cache") in docker.commands
        assert steps(docker) == ["up blue"]
        assert ("tag", "next", f"{SLUG}:blue") in docker.commands

    def test_database(self, target: server.Server, docker: FakeDocker) -> None:
        if not HAS_DATABASE:
            return
        target.roll_out("next", ["db", "backup"])

        services = [command[-1] for command in docker.commands if "--wait" in command]
        roles = [command for command in docker.commands if "psql" in command]
        # The backups need their role.
        assert services == ["db", "backup", "proxy"]
        assert [command[command.index("--username") + 1] for command in roles] == ["postgres"]

    def test_next_version(self, target: server.Server, docker: FakeDocker) -> None:
        docker.serve("blue")

        assert target.roll_out("next", []) == "green"

        # The old version serves until the new one is ready.
        assert steps(docker) == ["up green", "stop blue"]

    @pytest.mark.skipif(not HAS_DATABASE, reason="the project has no database")
    def test_worker(
        self, target: server.Server, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(server, "HAS_DATABASE", True)
        docker.serve("blue")

        target.roll_out("next", [])

        changed = [command for command in docker.commands if command[0] in {"up", "stop"}]
        assert changed[0][-2:] == ("green-worker", "green")
        assert changed[-1] == ("stop", "blue-worker", "blue")

    def test_interrupted_deployment(self, target: server.Server, docker: FakeDocker) -> None:
        docker.serve("green")
        docker.containers["blue"] = "running"

        assert target.roll_out("next", []) == "blue"

        assert steps(docker) == ["up blue", "stop green"]

    @pytest.mark.parametrize(("live", "color"), [("blue", "green"), ("green", "blue")])
    def test_lost_tags(
        self, target: server.Server, docker: FakeDocker, live: str, color: str
    ) -> None:
        docker.containers[live] = "running"  # and `docker system prune --all`

        assert target.roll_out("next", []) == color

        assert steps(docker) == [f"up {color}", f"stop {live}"]
        assert {f"{live}-previous", f"{color}-live"} <= docker.tags

    def test_interrupted_switch(self, target: server.Server, docker: FakeDocker) -> None:
        docker.serve("green")
        docker.serve("blue")
        docker.tags.add("green-previous")

        assert target.roll_back() == "green"

        assert steps(docker) == ["start green", "stop blue"]
        assert target.live() == "green"

    def test_states(self, target: server.Server, docker: FakeDocker) -> None:
        for color, tags in [
            ("blue", {"blue-live"}),
            ("green", {"blue-previous", "green-live"}),
            ("blue", {"blue-live", "green-previous"}),
        ]:
            assert target.roll_out("next", []) == color
            assert {tag for tag in docker.tags if "-" in tag} == tags

    def test_unknown_state(self, target: server.Server, docker: FakeDocker) -> None:
        # A failed command must not count as "no version is running". Blue would be recreated.
        docker.serve("blue")
        docker.fail("image ls", STOPPED_ENGINE)

        with pytest.raises(DockerError, match=f"`docker image ls.*\n{STOPPED_ENGINE}"):
            target.roll_out("next", [])

        assert steps(docker) == []
        assert docker.containers == {"blue": "running"}

    def test_lost_connection(self, target: server.Server, docker: FakeDocker) -> None:
        docker.serve("blue")
        docker.fail("ps --quiet --all", STOPPED_ENGINE)

        with pytest.raises(DockerError, match=STOPPED_ENGINE):
            target.roll_out("next", [])

        assert steps(docker) == ["up green", "rm green"]
        assert docker.containers == {"blue": "running"}

    def test_migration(
        self, target: server.Server, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not HAS_DATABASE:
            return
        monkeypatch.setattr(server, "HAS_DATABASE", True)

        target.roll_out("next", [])

        migrate = ("run", "--rm", "--no-deps", "--no-TTY", "once", SLUG, "db", "upgrade")
        tag = ("tag", "next", f"{SLUG}:blue")
        assert docker.commands.index(migrate) < docker.commands.index(tag)

    def test_failed_migration(
        self, target: server.Server, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not HAS_DATABASE:
            return
        monkeypatch.setattr(server, "HAS_DATABASE", True)
        docker.serve("blue")
        docker.fail("run", "column already exists")

        with pytest.raises(server.DeployError, match=r"The migration failed\.") as caught:
            target.roll_out("next", [])

        assert "column already exists" in str(caught.value)
        assert server.STILL_SERVING in str(caught.value)
        assert steps(docker) == []

    def test_not_ready(self, target: server.Server, docker: FakeDocker) -> None:
        docker.serve("blue")
        docker.fail("exec id-of-green", '{"status": "unavailable"}')
        docker.outputs["logs"] = "the end of the log"

        with pytest.raises(server.DeployError, match=r"not ready within 0\.1 seconds") as caught:
            target.roll_out("next", [])

        assert '/health/ready: {"status": "unavailable"}' in str(caught.value)
        assert "the end of the log" in str(caught.value)
        assert "The previous version is still serving." in str(caught.value)
        assert steps(docker) == ["up green", "rm green"]
        assert target.live() == "blue"

    @pytest.mark.parametrize("state", ["true 1", "false 0"], ids=["restarted", "exited"])
    def test_crash(self, target: server.Server, docker: FakeDocker, state: str) -> None:
        docker.outputs["inspect --format {{.State.Running}}"] = state

        with pytest.raises(server.DeployError, match=r"did not start\. It exited\."):
            target.roll_out("next", [])

        assert docker.containers == {}

    def test_no_containers(self, target: server.Server, docker: FakeDocker) -> None:
        docker.serve("blue")
        docker.outputs["ps --quiet --all green"] = "\n"

        with pytest.raises(server.DeployError, match=r"It has no containers\. REPLICAS must be"):
            target.roll_out("next", [])

        assert target.live() == "blue"

    def test_interrupt(
        self, target: server.Server, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(_color: str) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(target, "wait_until_ready", interrupt)
        with pytest.raises(KeyboardInterrupt):
            target.roll_out("next", [])

        assert steps(docker) == ["up blue", "rm blue"]

    def test_dry_run(self, capsys: pytest.CaptureFixture[str]) -> None:
        docker = FakeDocker(dry_run=True, containers={"blue": "running"}, tags={"blue-live"})

        server.Server(docker, docker, timeout=0.1).roll_out("next", [])

        assert docker.containers == {"blue": "running"}
        assert steps(docker) == []
        printed = capsys.readouterr().out
        assert "$ docker up --detach --no-deps --force-recreate green" in printed
        assert "$ docker stop blue" in printed


class TestProxy:
    COMMAND = "exec --no-TTY --env"

    def test_not_listening_yet(self, target: server.Server, docker: FakeDocker) -> None:
        docker.fail(self.COMMAND, "connection refused", times=2)

        target.roll_out("next", [])

        reloads = [command for command in docker.commands if "reload" in command]
        assert len(reloads) == 3
        assert steps(docker) == ["up blue"]

    def test_configuration(self, target: server.Server, docker: FakeDocker) -> None:
        target._configure_proxy()

        assert docker.inputs["exec"] == Path("deploy/Caddyfile").read_bytes()

    def test_invalid_configuration(self, target: server.Server, docker: FakeDocker) -> None:
        docker.fail(self.COMMAND, "unknown directive", times=1)

        docker.serve("blue")
        with pytest.raises(DockerError, match="unknown directive"):
            target.roll_out("next", [])

        assert steps(docker) == ["up green", "rm green"]
        assert target.live() == "blue"

    def test_never_listening(
        self, target: server.Server, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(server, "PROXY_ATTEMPTS", 2)
        docker.fail(self.COMMAND, "connection refused")

        with pytest.raises(DockerError, match="connection refused"):
            target.roll_out("next", [])

        assert steps(docker) == ["up blue", "rm blue"]


class TestRollBack:
    def test_success(self, target: server.Server, docker: FakeDocker) -> None:
        docker.serve("green", previous="blue")

        assert target.roll_back() == "blue"

        assert steps(docker) == ["start blue", "stop green"]

    def test_no_previous_version(self, target: server.Server, docker: FakeDocker) -> None:
        docker.serve("green")

        with pytest.raises(server.DeployError, match="There is no previous version"):
            target.roll_back()

        assert steps(docker) == []

    def test_version_that_was_never_accepted(
        self, target: server.Server, docker: FakeDocker
    ) -> None:
        docker.serve("green")
        docker.containers["blue"] = "exited"

        with pytest.raises(server.DeployError, match="There is no previous version"):
            target.roll_back()

    def test_not_ready(self, target: server.Server, docker: FakeDocker) -> None:
        docker.serve("green", previous="blue")
        docker.fail("exec", "no response")

        with pytest.raises(server.DeployError, match="still serving"):
            target.roll_back()

        assert steps(docker) == ["start blue", "stop blue"]
        assert target.live() == "green"

    def test_unknown_state(self, target: server.Server, docker: FakeDocker) -> None:
        docker.serve("green", previous="blue")
        docker.fail("image", STOPPED_ENGINE)

        with pytest.raises(DockerError, match=STOPPED_ENGINE):
            target.roll_back()

        assert docker.containers == {"green": "running", "blue": "exited"}


class TestLock:
    def engine(self, monkeypatch: pytest.MonkeyPatch, script: str) -> Docker:
        monkeypatch.setattr(Docker, "command", lambda *_: ["sh", "-c", script])
        return Docker()

    def test_success(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        with lock.lock(self.engine(monkeypatch, f"cat; touch {tmp_path}/released")):
            assert not (tmp_path / "released").exists()

        assert (tmp_path / "released").exists()

    @pytest.mark.parametrize(
        ("error", "message"),
        [
            (
                "The container name is already in use",
                "Another deployment to this server is running",
            ),
            ("no space left on device", "The lock of the deployment failed: no space left"),
        ],
    )
    def test_failure(self, monkeypatch: pytest.MonkeyPatch, error: str, message: str) -> None:
        engine = self.engine(monkeypatch, f"echo {error} >&2; exit 125")

        with pytest.raises(CLIError, match=message), lock.lock(engine):
            pytest.fail("not locked")


class TestImage:
    def test_success(self, docker: FakeDocker) -> None:
        docker.outputs["run"] = "2000000000"

        assert image.build(docker) == f"{SLUG}:next"
        assert docker.commands[0][0] == "build"
        # The version of the commit, not that of an earlier installation.
        assert f"VERSION={current_version()}" in docker.commands[0]

    @pytest.mark.parametrize(
        ("free", "message"), [("1000000", "has only 1 MB left"), ("", "The image does not run")]
    )
    def test_unusable(self, docker: FakeDocker, free: str, message: str) -> None:
        docker.outputs["run"] = free

        with pytest.raises(server.DeployError, match=message):
            image.build(docker)

    def test_crash(self, docker: FakeDocker) -> None:
        docker.fail("run", "ModuleNotFoundError")

        with pytest.raises(server.DeployError, match=r"The image does not run:(.|\n)*NotFound"):
            image.build(docker)

    def test_failed_build(self, docker: FakeDocker) -> None:
        docker.fail("build", "no such file")

        with pytest.raises(DockerError, match="no such file"):
            image.build(docker)


class TestCommand:
    @pytest.fixture(autouse=True)
    def prepared(self, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> None:
        """Deploy with the fake engine, and without the checks."""
        docker.outputs["run"] = "2000000000"
        monkeypatch.setattr("fastship_tooling.docker.Docker", lambda **_: docker)
        monkeypatch.setattr(preparation, "production", lambda **_: docker)
        monkeypatch.setattr(preparation, "prepare", lambda *_, **__: (docker, []))
        monkeypatch.setattr(preparation, "copy_secrets", lambda *_: None)
        monkeypatch.setattr(lock, "lock", lambda _: nullcontext())
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        monkeypatch.setattr(preparation, "backing_services", lambda: ["cache"])

    def test_success(self, docker: FakeDocker) -> None:
        result = runner.invoke(app, ["deploy"])

        assert result.exit_code == 0, result.output
        assert "The new version is serving." in result.stdout
        assert docker.containers == {"blue": "running"}
        assert docker.commands[-1][:2] == ("image", "prune")

    def test_unknown_state(self, docker: FakeDocker) -> None:
        docker.serve("blue")
        docker.fail("image ls", STOPPED_ENGINE)

        result = runner.invoke(app, ["deploy"])

        assert result.exit_code == 1
        assert STOPPED_ENGINE in result.stderr
        assert steps(docker) == []

    def test_rollback(self, docker: FakeDocker) -> None:
        docker.serve("green", previous="blue")

        result = runner.invoke(app, ["deploy", "--rollback"])

        assert result.exit_code == 0, result.output
        assert "The previous version is serving again." in result.stdout

    def test_stopped_engine(self, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DOCKER_HOST", "")
        docker.fail("version", STOPPED_ENGINE)

        result = runner.invoke(app, ["deploy", "--host", "ssh://root@example.com"])

        assert result.exit_code == 1
        assert f"ssh://root@example.com does not answer: {STOPPED_ENGINE}" in result.stderr

    def test_old_engine(self, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DOCKER_HOST", "")
        docker.outputs["version"] = "25.0.3"

        result = runner.invoke(app, ["deploy", "--host", "ssh://root@example.com"])

        assert result.exit_code == 1
        assert "ssh://root@example.com has version 25.0.3" in result.stderr
        assert "26 or newer is required" in " ".join(result.stderr.split())

    def test_registry_without_swarm(self) -> None:
        result = runner.invoke(app, ["deploy", "--registry", "registry.example.com"])

        assert result.exit_code == 1
        assert "--registry requires --swarm." in result.stderr
