import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastship_tooling import client_generators, openapi
from fastship_tooling.client_generators import ClientError
from typer.testing import CliRunner

from app.cli.main import app

runner = CliRunner()

GENERATORS = client_generators.GENERATORS


def copy_schema(target: Path) -> None:
    target.mkdir()
    (target / "schema.py").write_text(openapi.FILE.read_text())


def fail(_target: Path) -> None:
    raise ClientError("Node is not installed.")


@pytest.fixture(autouse=True)
def fake_generators(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generators = {"python": copy_schema, "typescript": fail}
    monkeypatch.setattr(client_generators, "GENERATORS", generators)


def test_one_generator_fails(folder: Path) -> None:
    result = runner.invoke(app, ["client", "generate"])

    assert result.exit_code == 1
    assert "Node is not installed." in result.stderr
    assert (folder / "clients/python/schema.py").exists()


def test_outdated_client(folder: Path) -> None:
    created = runner.invoke(app, ["client", "generate", "python"])
    (folder / "clients/python/.venv").mkdir()
    (folder / "clients/python/.venv/ignored").touch()
    current = runner.invoke(app, ["client", "generate", "--check"])
    (folder / "clients/python/schema.py").write_text("old")
    outdated = runner.invoke(app, ["client", "generate", "--check"])
    updated = runner.invoke(app, ["client", "generate", "python"])

    codes = [result.exit_code for result in (created, current, outdated, updated)]
    assert codes == [0, 0, 1, 0]
    assert "clients/python is up to date." in current.stdout
    assert "clients/python is outdated." in outdated.stderr
    assert "clients/python was updated." in updated.stdout


def test_names_of_orders() -> None:
    sort = {"name": "sort", "schema": {"enum": ["-created_at", "title"]}}
    other = {"name": "status", "schema": {"enum": ["draft"]}}
    schema = {"paths": {"/items": {"get": {"parameters": [sort, other]}, "post": {}}}}

    named = client_generators.with_names_of_orders(schema)

    parameters = named["paths"]["/items"]["get"]["parameters"]
    assert parameters[0]["schema"]["x-enum-varnames"] == ["CREATED_AT_DESC", "TITLE"]
    assert parameters[1] == other


def test_outdated_schema(folder: Path) -> None:
    missing = runner.invoke(app, ["client", "generate", "--check"])
    (folder / "openapi.json").write_text("{}")
    outdated = runner.invoke(app, ["client", "generate", "--check"])

    assert (missing.exit_code, outdated.exit_code) == (1, 1)
    assert "openapi.json does not exist." in missing.stderr
    assert "openapi.json is outdated." in outdated.stderr


def test_unknown_language() -> None:
    result = runner.invoke(app, ["client", "generate", "cobol"])

    assert result.exit_code == 1
    assert "There is no generator for cobol. Choose from python, typescript." in result.stderr


def test_failed_generator() -> None:
    with pytest.raises(ClientError) as caught:
        client_generators.run_generator("python", "sh", "-c", "echo no such option >&2; exit 2")

    assert str(caught.value).splitlines() == [
        "The generator of the python client failed:",
        "no such option",
        "It is downloaded from PyPI or npm: check the connection, then openapi.json.",
    ]


def test_differences(folder: Path) -> None:
    for name in ("generated", "existing"):
        (folder / name / "node_modules").mkdir(parents=True)
        for file in ("same.py", "node_modules/ignored.js", "changed.py"):
            (folder / name / file).write_text(name if file != "same.py" else "")
        (folder / name / f"only_{name}.py").touch()

    found = client_generators.differences(Path("generated"), Path("existing"))

    assert [path.name for path in found] == ["changed.py", "only_existing.py", "only_generated.py"]


class TestCommands:
    """The command lines of the real generators, which are not run here."""

    @pytest.fixture
    def commands(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
        commands: list[tuple[str, ...]] = []
        monkeypatch.setattr(
            client_generators, "run_generator", lambda *command: commands.append(command)
        )
        monkeypatch.setattr(client_generators, "npx", lambda: ["npx"])
        return commands

    @pytest.mark.parametrize(
        ("language", "tool", "suffix"),
        [("python", "openapi-python-client", ".json"), ("typescript", "openapi-ts", ".mjs")],
    )
    def test_command(
        self,
        folder: Path,
        commands: list[tuple[str, ...]],
        language: str,
        tool: str,
        suffix: str,
    ) -> None:
        (folder / "new").mkdir()
        (folder / "openapi.json").write_text('{"paths": {}}')
        generate: Callable[[Path], None] = GENERATORS[language]

        generate(folder / "new")

        name, *command = commands[0]
        assert name == language
        assert tool in command
        assert str(folder / f"new{suffix}") in command
        assert (folder / f"new{suffix}").read_text()


@pytest.mark.parametrize(
    ("version", "wheel", "command"),
    [
        ("v24.1.0", True, "/usr/bin/npx"),
        ("v22.18.0", True, "/usr/bin/npx"),
        ("v22.17.0", True, "uv"),
        ("v18.0.0", True, "uv"),
        (None, True, "uv"),
        (None, False, None),
    ],
)
def test_node(
    monkeypatch: pytest.MonkeyPatch, version: str | None, wheel: bool, command: str | None
) -> None:
    def run(arguments: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        is_node = arguments[0].endswith("node")
        return subprocess.CompletedProcess(arguments, int(not (is_node or wheel)), version or "")

    which = SimpleNamespace(which=lambda name: f"/usr/bin/{name}" if version else None)
    monkeypatch.setattr(client_generators, "shutil", which)
    monkeypatch.setattr(subprocess, "run", run)

    if command:
        assert client_generators.npx()[0] == command
    else:
        with pytest.raises(ClientError, match=r"needs Node 22\.18 or newer"):
            client_generators.npx()
