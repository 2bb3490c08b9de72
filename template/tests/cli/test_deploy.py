"""Deploying to a server, on an engine that is only pretended: what is asked of it, in which order, and what failures do."""

from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import deploy
from app.cli.deploy import image, server
from app.cli.docker import DockerError
from app.cli.main import app
from app.config import SLUG
from tests.cli.pretended import Pretended

runner = CliRunner()


def verbs(docker: Pretended) -> list[str]:
    """The steps, less what is asked for in all of them."""
    shown = (f"{asked[0]} {asked[-1]}" for asked in docker.asked)
    return [step for step in shown if step.split()[1] in server.COLOURS]


class TestServer:
    @pytest.fixture
    def target(self, docker: Pretended) -> server.Server:
        return server.Server(docker, docker, patience=0.1)

    def test_first_one(self, target: server.Server, docker: Pretended) -> None:
        assert target.roll_out("next", ["cache"]) == "blue"

        assert ("up", "--detach", "--wait", "--no-deps", "cache", "proxy") in docker.asked
        assert verbs(docker) == ["up blue"]
        assert ("tag", "next", f"{SLUG}:blue") in docker.asked

    def test_next_one_starts_before_the_old_one_stops(
        self, target: server.Server, docker: Pretended
    ) -> None:
        docker.running.add("blue")

        assert target.roll_out("next", []) == "green"

        assert verbs(docker) == ["up green", "stop blue"]

    def test_of_two_the_older_one_serves(self, target: server.Server, docker: Pretended) -> None:
        docker.running.update(server.COLOURS)

        assert target.live() == "blue"

    def test_what_is_done_before(
        self, target: server.Server, docker: Pretended, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(server, "before_start", [lambda run: run("prepare")])

        target.roll_out("next", [])

        once = ("run", "--rm", "--no-deps", "--no-TTY", "once", "prepare")
        assert once in docker.asked
        assert docker.asked.index(once) < docker.asked.index(("tag", "next", f"{SLUG}:blue"))

    def test_never_ready(self, target: server.Server, docker: Pretended) -> None:
        docker.running.add("blue")
        docker.ready = False
        docker.answers["logs"] = "some last words"

        with pytest.raises(server.DeployError, match=r"not ready within 0\.1 seconds") as caught:
            target.roll_out("next", [])

        assert "unavailable" in str(caught.value)
        assert "some last words" in str(caught.value)
        assert "What served before serves on." in str(caught.value)
        assert verbs(docker) == ["up green", "kill green", "rm green"]
        assert target.live() == "blue"

    def test_crash(self, target: server.Server, docker: Pretended) -> None:
        docker.answers["state"] = "true 1"

        with pytest.raises(server.DeployError, match="ended at once"):
            target.roll_out("next", [])

    def test_interrupted(
        self, target: server.Server, docker: Pretended, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(target, "wait_until_ready", interrupt)
        with pytest.raises(KeyboardInterrupt):
            target.roll_out("next", [])

        assert verbs(docker) == ["up blue", "kill blue", "rm blue"]

    def test_back(self, target: server.Server, docker: Pretended) -> None:
        docker.running.add("green")

        assert target.roll_back() == "blue"

        assert verbs(docker) == ["start blue", "stop green"]

    def test_back_to_what_does_not_start(self, target: server.Server, docker: Pretended) -> None:
        docker.running.add("green")
        docker.ready = False

        with pytest.raises(server.DeployError, match="serves on"):
            target.roll_back()

        assert target.live() == "green"

    def test_proxy_that_is_not_up_yet(
        self, target: server.Server, docker: Pretended, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        failures = iter(["connection refused", "connection refused"])

        def do(*arguments: str, given: bytes = b"") -> None:
            if arguments[0] == "exec" and (why := next(failures, None)):
                raise DockerError(why)
            docker.asked.append(arguments)

        monkeypatch.setattr(Pretended, "do", lambda _, *a, given=b"": do(*a, given=given))

        target.roll_out("next", [])

        assert [asked[2] for asked in docker.asked if asked[0] == "exec"] == ["proxy"]


class TestImage:
    @pytest.mark.parametrize(
        ("free", "said"), [("1000000", "1 MB left on its disk"), ("", "does not run")]
    )
    def test_where_it_will_not_do(self, docker: Pretended, free: str, said: str) -> None:
        docker.answers["run"] = free

        with pytest.raises(server.DeployError, match=said):
            image.build(docker)

    def test_build(self, docker: Pretended) -> None:
        docker.answers["run"] = "2000000000"

        assert image.build(docker) == f"{SLUG}:next"
        assert docker.asked[0][0] == "build"


def test_registry_is_for_a_swarm() -> None:
    result = runner.invoke(app, ["deploy", "--registry", "registry.example.com"])

    assert result.exit_code == 1
    assert "--swarm" in result.stderr


def test_random_secrets_are_settings() -> None:
    from app.config import Settings  # noqa: PLC0415

    assert set(deploy.random_secrets) <= Settings.secret_variables()
