"""Deploying, on an engine that is only pretended: what is asked of it, in which order, and what failures do."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import deploy
from app.cli.deploy import image, preparation, server, swarm
from app.cli.docker import Docker, DockerError
from app.cli.main import app
from app.config import SLUG

runner = CliRunner()


class Pretended(Docker):
    """Notes what it is asked. Colours run that have been started; `ready` is what a probe finds."""

    asked: list[tuple[str, ...]] = []  # noqa: RUF012  one for all of them
    running: set[str] = set()  # noqa: RUF012
    answers: dict[str, str] = {}  # noqa: RUF012
    ready = True
    failing = ""

    def do(self, *arguments: str, given: bytes = b"") -> None:
        self.asked.append(arguments)
        if arguments[0] == self.failing:
            raise DockerError(f"`docker {arguments[0]}` failed")
        if arguments[0] in {"up", "start"}:
            self.running.add(arguments[-1])
        if arguments[0] == "stop":
            self.running.discard(arguments[-1])

    def ask(self, *arguments: str) -> str:
        *_, last = arguments
        if arguments[0] == "ps":
            return f"id-of-{last}" if last in self.running or "--all" in arguments else ""
        if "{{.State.StartedAt}}" in arguments:
            return {"id-of-blue": "2026-11-24", "id-of-green": "2026-11-25"}[last]
        if "{{.State.Running}} {{.RestartCount}}" in arguments:
            return self.answers.get("state", "true 0")
        return self.answers.get(arguments[0], "")

    def tried(self, *arguments: str) -> tuple[bool, str]:
        if arguments[0] in {"kill", "rm"}:
            self.asked.append(arguments)
            self.running.discard(arguments[-1])
        return self.ready, '{"status": "unavailable"}'


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Pretended:
    monkeypatch.setattr(Pretended, "asked", [])
    monkeypatch.setattr(Pretended, "running", set())
    monkeypatch.setattr(Pretended, "answers", {})
    monkeypatch.setattr(server, "NOTICE_SECONDS", 0)
    monkeypatch.setattr(server, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(server, "before_start", [])
    return Pretended()


def verbs(engine: Pretended) -> list[str]:
    """The steps, less what is asked for in all of them."""
    shown = (f"{asked[0]} {asked[-1]}" for asked in engine.asked)
    return [step for step in shown if step.split()[1] in server.COLOURS]


class TestServer:
    @pytest.fixture
    def target(self, engine: Pretended) -> server.Server:
        return server.Server(engine, engine, patience=0.1)

    def test_first_one(self, target: server.Server, engine: Pretended) -> None:
        assert target.roll_out("next", ["cache"]) == "blue"

        assert ("up", "--detach", "--wait", "--no-deps", "cache", "proxy") in engine.asked
        assert verbs(engine) == ["up blue"]
        assert ("tag", "next", f"{SLUG}:blue") in engine.asked

    def test_next_one_starts_before_the_old_one_stops(
        self, target: server.Server, engine: Pretended
    ) -> None:
        engine.running.add("blue")

        assert target.roll_out("next", []) == "green"

        assert verbs(engine) == ["up green", "stop blue"]

    def test_of_two_the_older_one_serves(self, target: server.Server, engine: Pretended) -> None:
        engine.running.update(server.COLOURS)

        assert target.live() == "blue"

    def test_what_is_done_before(
        self, target: server.Server, engine: Pretended, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(server, "before_start", [lambda run: run("prepare")])

        target.roll_out("next", [])

        once = ("run", "--rm", "--no-deps", "--no-TTY", "once", "prepare")
        assert once in engine.asked
        assert engine.asked.index(once) < engine.asked.index(("tag", "next", f"{SLUG}:blue"))

    def test_never_ready(self, target: server.Server, engine: Pretended) -> None:
        engine.running.add("blue")
        engine.ready = False
        engine.answers["logs"] = "some last words"

        with pytest.raises(server.DeployError, match=r"not ready within 0\.1 seconds") as caught:
            target.roll_out("next", [])

        assert "unavailable" in str(caught.value)
        assert "some last words" in str(caught.value)
        assert "What served before serves on." in str(caught.value)
        assert verbs(engine) == ["up green", "kill green", "rm green"]
        assert target.live() == "blue"

    def test_crash(self, target: server.Server, engine: Pretended) -> None:
        engine.answers["state"] = "true 1"

        with pytest.raises(server.DeployError, match="ended at once"):
            target.roll_out("next", [])

    def test_interrupted(
        self, target: server.Server, engine: Pretended, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(target, "wait_until_ready", interrupt)
        with pytest.raises(KeyboardInterrupt):
            target.roll_out("next", [])

        assert verbs(engine) == ["up blue", "kill blue", "rm blue"]

    def test_back(self, target: server.Server, engine: Pretended) -> None:
        engine.running.add("green")

        assert target.roll_back() == "blue"

        assert verbs(engine) == ["start blue", "stop green"]

    def test_back_to_what_does_not_start(self, target: server.Server, engine: Pretended) -> None:
        engine.running.add("green")
        engine.ready = False

        with pytest.raises(server.DeployError, match="serves on"):
            target.roll_back()

        assert target.live() == "green"

    def test_proxy_that_is_not_up_yet(
        self, target: server.Server, engine: Pretended, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        failures = iter(["connection refused", "connection refused"])

        def do(*arguments: str, given: bytes = b"") -> None:
            if arguments[0] == "exec" and (why := next(failures, None)):
                raise DockerError(why)
            engine.asked.append(arguments)

        monkeypatch.setattr(Pretended, "do", lambda _, *a, given=b"": do(*a, given=given))

        target.roll_out("next", [])

        assert [asked[2] for asked in engine.asked if asked[0] == "exec"] == ["proxy"]


class TestPreparation:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        (tmp_path / ".env.production.example").write_text("DOMAIN=\n")
        monkeypatch.chdir(tmp_path)
        return tmp_path

    def test_what_is_missing_is_made(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(preparation, "random_secrets", ["SOME_KEY"])

        assert preparation.make_files() == [".env.production", "secrets/SOME_KEY"]
        key = (folder / "secrets/SOME_KEY").read_text()
        assert preparation.make_files() == []

        assert (folder / "secrets/SOME_KEY").read_text() == key
        assert len(key) >= 48
        assert (folder / "secrets/SOME_KEY").stat().st_mode & 0o077 == 0

    def test_nothing_is_deployed_that_nobody_could_find_again(self) -> None:
        assert "not under git" in next(preparation.tree_faults())

    def test_all_faults_at_once(self, engine: Pretended) -> None:
        preparation.make_files()
        services = '{"services": {"blue": {"environment": {"APP_PORT": "many"}}}}'

        def tried(*_: str) -> tuple[bool, str]:
            return True, f"a warning\n{services}"

        object.__setattr__(engine, "tried", tried)
        faults = "\n".join(preparation.settings_faults(engine))

        assert "DOMAIN: is not set" in faults
        assert "APP_PORT: Input should be a valid integer" in faults

    def test_services_that_are_elsewhere(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        preparation.make_files()
        services = {"one": "ONE_URL", "two": "TWO_URL", "three": "THREE_URL"}
        monkeypatch.setattr(preparation, "beside", services)
        (folder / ".env.production").write_text("TWO_URL=two://elsewhere\n")
        (folder / "secrets/THREE_URL").write_text("three://elsewhere")

        assert preparation.services_beside() == ["one"]

    def test_secrets_go_into_a_volume(
        self, folder: Path, engine: Pretended, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent = {}
        monkeypatch.setattr(
            Pretended, "do", lambda _, *asked, given=b"": sent.update({asked[0]: given})
        )
        preparation.make_files()
        (folder / "secrets/SOME_KEY").write_text("something\n")

        preparation.bring_secrets(engine, "image")

        with tarfile.open(fileobj=io.BytesIO(sent["run"])) as tar:
            content = tar.extractfile("SOME_KEY")
            assert content
            assert content.read() == b"something"


class TestImage:
    @pytest.mark.parametrize(
        ("free", "said"), [("1000000", "1 MB left on its disk"), ("", "does not run")]
    )
    def test_where_it_will_not_do(self, engine: Pretended, free: str, said: str) -> None:
        engine.answers["run"] = free

        with pytest.raises(server.DeployError, match=said):
            image.build(engine)

    def test_build(self, engine: Pretended) -> None:
        engine.answers["run"] = "2000000000"

        assert image.build(engine) == f"{SLUG}:next"
        assert engine.asked[0][0] == "build"


class TestSwarm:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        (tmp_path / ".env.production").write_text("REPLICAS=3\n")
        (tmp_path / "secrets").mkdir()
        (tmp_path / "secrets/SOME_KEY").write_text("something")
        return tmp_path

    @pytest.fixture
    def manager(self, engine: Pretended) -> Pretended:
        engine.answers |= {"info": "true", "image": "sha256:0123456789abcdef"}
        return engine

    def test_where_there_is_none(self, engine: Pretended) -> None:
        with pytest.raises(server.DeployError, match="docker swarm init"):
            swarm.roll_out(engine, "next", None)

    def test_what_is_done_before_and_then(
        self, manager: Pretended, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(swarm, "before_start", [lambda run: run("prepare")])
        monkeypatch.setattr(swarm, "Docker", lambda *_: manager)

        swarm.roll_out(manager, "next", "registry.example.com/acme/")

        name = f"registry.example.com/acme/{SLUG}:0123456789ab"
        tag, push, once, stack = manager.asked
        assert tag == ("tag", "next", name)
        assert push[-1] == name
        assert once[-2:] == (name, "prepare")
        assert stack[:2] == ("stack", "deploy")

    def test_secrets_are_of_the_swarm_and_change_names_with_their_content(
        self, folder: Path
    ) -> None:
        before = json.loads(Path(swarm._secrets_file()).read_text())
        (folder / "secrets/SOME_KEY").write_text("something else")
        after = json.loads(Path(swarm._secrets_file()).read_text())

        assert before["services"]["app"]["secrets"] == ["SOME_KEY"]
        assert before["secrets"]["SOME_KEY"]["name"] != after["secrets"]["SOME_KEY"]["name"]

    def test_swarm_that_has_gone_back(
        self, manager: Pretended, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(swarm, "Docker", lambda *_: manager)
        manager.answers["service"] = "rollback_completed"
        monkeypatch.setattr(swarm, "_last_words", lambda *_: "no such luck")

        with pytest.raises(server.DeployError, match="no such luck"):
            swarm.roll_out(manager, "next", None)


def test_registry_is_for_a_swarm() -> None:
    result = runner.invoke(app, ["deploy", "--registry", "registry.example.com"])

    assert result.exit_code == 1
    assert "--swarm" in result.stderr


def test_random_secrets_are_settings() -> None:
    from app.config import Settings  # noqa: PLC0415

    assert set(deploy.random_secrets) <= Settings.secret_variables()
