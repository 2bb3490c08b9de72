"""What is looked at before a deploy, and what a swarm is told; on an engine that is only pretended."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from app.cli.deploy import preparation, server, swarm
from app.config import SLUG
from tests.cli.pretended import Pretended


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

    def test_dry_run_makes_nothing(self, folder: Path) -> None:
        with pytest.raises(preparation.NotReady, match="says what to fill in"):
            preparation.prepare(dirty=True, dry_run=True)

        assert [path.name for path in folder.iterdir()] == [".env.production.example"]

    def test_nothing_is_deployed_that_nobody_could_find_again(self) -> None:
        assert "not under git" in next(preparation.tree_faults())

    def test_all_faults_at_once(self, docker: Pretended) -> None:
        preparation.make_files()
        services = '{"services": {"blue": {"environment": {"APP_PORT": "many"}}}}'

        def tried(*_: str) -> tuple[bool, str]:
            return True, f"a warning\n{services}"

        object.__setattr__(docker, "tried", tried)
        faults = "\n".join(preparation.settings_faults(docker))

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
        self, folder: Path, docker: Pretended, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent = {}
        monkeypatch.setattr(
            Pretended, "do", lambda _, *asked, given=b"": sent.update({asked[0]: given})
        )
        preparation.make_files()
        (folder / "secrets/SOME_KEY").write_text("something\n")

        preparation.bring_secrets(docker, "image")

        with tarfile.open(fileobj=io.BytesIO(sent["run"])) as tar:
            content = tar.extractfile("SOME_KEY")
            assert content
            assert content.read() == b"something"


class TestSwarm:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        (tmp_path / ".env.production").write_text("REPLICAS=3\n")
        (tmp_path / "secrets").mkdir()
        (tmp_path / "secrets/SOME_KEY").write_text("something")
        return tmp_path

    @pytest.fixture
    def manager(self, docker: Pretended) -> Pretended:
        docker.answers |= {"info": "true", "image": "sha256:0123456789abcdef"}
        return docker

    def test_where_there_is_none(self, docker: Pretended) -> None:
        with pytest.raises(server.DeployError, match="docker swarm init"):
            swarm.roll_out(docker, "next", None)

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
