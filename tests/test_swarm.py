"""Deploying to Docker Swarm: one machine of it, this one. Its virtual addresses are not looked at."""

from collections.abc import Iterator

import pytest

from tests.containers import docker, require_docker
from tests.project import Project
from tests.variants import BARE

SLUG = "acme-orders"


@pytest.fixture
def manager() -> Iterator[None]:
    require_docker()
    if docker("info", "--format", "{{.Swarm.LocalNodeState}}") != "inactive":
        pytest.skip("this machine is of a swarm already, which is none of the tests' business")
    docker("swarm", "init", "--advertise-addr", "127.0.0.1")
    yield
    docker("swarm", "leave", "--force")


def containers() -> list[str]:
    return docker("ps", "--quiet", "--filter", f"name={SLUG}_app").split()


@pytest.mark.usefixtures("manager")
@pytest.mark.parametrize("variant", [BARE], ids=str)
def test_swarm(fresh: Project) -> None:
    fresh.run("uv", "lock", "--quiet")
    fresh.uv_run(SLUG, "deploy", "--swarm", "--dirty", check=False)  # makes what is missing
    settings = "DOMAIN=api.example.com\nHTTP_PORT=0\nREPLICAS=2\n"
    (fresh.path / ".env.production").write_text(settings)
    (fresh.path / "secrets/LOG_LEVEL").write_text("WARNING\n")
    try:
        assert "The new version serves." in fresh.uv_run(SLUG, "deploy", "--swarm", "--dirty")
        serving = containers()
        for container in serving:
            assert "LOG_LEVEL" in docker("exec", container, "ls", "/run/secrets")
            assert '"ok"' in docker("exec", container, "python", "-m", "app.health.probe", "ready")

        # One that does not start: the swarm goes back by itself.
        main = fresh.path / "src/app/main.py"
        good = main.read_text()
        main.write_text(good + '\nraise RuntimeError("no such luck")\n')
        output = fresh.uv_run(SLUG, "deploy", "--swarm", "--dirty", check=False)
        assert "the swarm has gone back to the old one" in output
        assert "no such luck" in output
        assert containers() == serving

        main.write_text(good.replace('"All about items."', '"Items."'))
        fresh.uv_run(SLUG, "deploy", "--swarm", "--dirty")
        fresh.uv_run(SLUG, "deploy", "--swarm", "--rollback")
    finally:
        docker("stack", "rm", SLUG, check=False)

    assert len(serving) == 2
