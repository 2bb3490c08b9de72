import shutil
from pathlib import Path

import pytest
from fastship_tooling.docker import Docker, DockerError, require_engine

SCRIPT = """\
#!/bin/sh
echo "$@" >> {folder}/commands
echo "$COLOR" >> {folder}/colors
cat {folder}/stdout
cat {folder}/stderr >&2
exit $(cat {folder}/code)
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a `docker` that records its arguments; return the folder with its answer."""
    path = tmp_path / "docker"
    path.write_text(SCRIPT.format(folder=tmp_path))
    path.chmod(0o755)
    for name in ("stdout", "stderr"):
        (tmp_path / name).touch()
    (tmp_path / "code").write_text("0")
    monkeypatch.setattr(shutil, "which", lambda _: str(path))
    return tmp_path


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)

    with pytest.raises(DockerError, match="Docker is not installed"):
        Docker().output("ps")


def test_options_and_environment(program: Path) -> None:
    Docker(("compose", "--file", "x.yml"), {"COLOR": "blue"}).run("ps", "--all")

    assert (program / "commands").read_text() == "compose --file x.yml ps --all\n"
    assert (program / "colors").read_text() == "blue\n"


def test_output_without_warnings(program: Path) -> None:
    (program / "stdout").write_text("id\n")
    (program / "stderr").write_text("WARN: a variable is not set\n")

    assert Docker().output("ps") == "id"
    assert Docker().try_run("ps")[0]


def test_failed_output(program: Path) -> None:
    (program / "stdout").write_text("id\n")
    (program / "stderr").write_text("permission denied\n")
    (program / "code").write_text("1")

    with pytest.raises(DockerError, match="`docker ps` failed:\npermission denied"):
        Docker().output("ps", "--all", "blue")


def test_failed_try_run(program: Path) -> None:
    (program / "stdout").write_text("not ready\n")
    (program / "stderr").write_text("503\n")
    (program / "code").write_text("1")

    assert Docker().try_run("exec", "id") == (False, "not ready\n503")


def test_failed_run(program: Path) -> None:
    (program / "code").write_text("3")
    (program / "stdout").write_text("".join(f"line {number}\n" for number in range(30)))

    with pytest.raises(DockerError, match="line 29") as caught:
        Docker().run("run", "it")

    assert "line 18\n" in str(caught.value)
    assert "line 17\n" not in str(caught.value)


def test_stream(program: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (program / "stdout").write_text("building\n")

    Docker().stream("build", ".")

    assert capfd.readouterr().out == "building\n"


def test_failed_stream(program: Path) -> None:
    (program / "code").write_text("1")

    with pytest.raises(DockerError, match=r"`docker compose up` failed\. See its output above\."):
        Docker(("compose", "--file", "docker-compose.yml")).stream("up", "--build")


def test_dry_run(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    docker = Docker(("compose",), dry_run=True)

    docker.run("stop", "blue")
    docker.stream("build")

    assert capsys.readouterr().out.splitlines() == [
        "$ docker compose stop blue",
        "$ docker compose build",
    ]
    assert not (program / "commands").exists()


def test_reading_in_a_dry_run(program: Path) -> None:
    (program / "stdout").write_text("id\n")

    assert Docker(dry_run=True).output("ps") == "id"


@pytest.mark.parametrize(
    ("host", "error", "message"),
    [
        (
            "",
            "Cannot connect.",
            "Docker does not answer: Cannot connect.\nStart Docker and try again.",
        ),
        (
            "ssh://root@example.com:2222",
            "error during connect: command [ssh] has exited with exit status 255, stderr=ssh: refused",
            "ssh://root@example.com:2222 does not answer: ssh: refused\nCheck the address. Docker must be "
            "installed there, and ssh must need no password and no confirmation: "
            "ssh -p 2222 root@example.com docker version",
        ),
        (
            "example.com",
            "no such host",
            "example.com does not answer: no such host\nCheck the address, such as ssh://root@example.com, "
            "and that Docker is running there.",
        ),
    ],
    ids=["local", "ssh", "no scheme"],
)
def test_stopped_engine(
    program: Path, monkeypatch: pytest.MonkeyPatch, host: str, error: str, message: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    (program / "code").write_text("1")
    (program / "stderr").write_text(f"{error}\n")

    with pytest.raises(DockerError) as caught:
        require_engine(Docker())

    assert str(caught.value) == message


def test_running_engine(program: Path) -> None:
    require_engine(Docker())

    assert (program / "commands").read_text().startswith("version ")
