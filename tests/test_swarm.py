"""Deployment to a Docker Swarm with one node: this machine. Its virtual addresses are not tested."""

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
        if docker("stack", "ls", "--format", "{{.Name}}", check=False) != SLUG:
            pytest.skip("this machine belongs to a swarm")
        # A test run that was killed has left it.
        docker("swarm", "leave", "--force")
    docker("swarm", "init", "--advertise-addr", "127.0.0.1")
    yield
    docker("swarm", "leave", "--force")


def containers() -> list[str]:
    return docker("ps", "--quiet", "--filter", f"name={SLUG}_app").split()


HOSTS = ("api.example.com", "other.example.com")
REQUEST = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", 8000)
connection.request("GET", "/nowhere", headers={"host": sys.argv[1]})
print(connection.getresponse().status)
"""


@pytest.mark.usefixtures("manager")
@pytest.mark.parametrize("variant", [BARE], ids=str)
def test_swarm(fresh: Project) -> None:
    fresh.run("uv", "lock", "--quiet")
    fresh.uv_run(SLUG, "deploy", "--swarm", "--dirty", check=False)  # creates files
    settings = "DOMAIN=api.example.com\nHTTP_PORT=0\nREPLICAS=2\n"
    (fresh.path / "deploy/production.env").write_text(settings)
    (fresh.path / "deploy/secrets/LOG_LEVEL").write_text("WARNING\n")
    try:
        assert "The new version is serving." in fresh.uv_run(SLUG, "deploy", "--swarm", "--dirty")
        serving = containers()
        for container in serving:
            assert "LOG_LEVEL" in docker("exec", container, "ls", "/run/secrets")
            assert '"ok"' in docker("exec", container, "python", "-m", "app.health.probe", "ready")
            codes = [docker("exec", container, "python", "-c", REQUEST, host) for host in HOSTS]
            assert list(map(int, codes)) == [404, 400]

        # A version that does not start is rolled back.
        main = fresh.path / "src/app/main.py"
        good = main.read_text()
        main.write_text(good + '\nraise RuntimeError("broken")\n')
        output = fresh.uv_run(SLUG, "deploy", "--swarm", "--dirty", check=False)
        assert "the swarm has rolled back" in output
        assert "RuntimeError: broken" in output
        assert containers() == serving

        main.write_text(good.replace('"Items."', '"All items."'))
        fresh.uv_run(SLUG, "deploy", "--swarm", "--dirty")
        fresh.uv_run(SLUG, "deploy", "--swarm", "--rollback")
    finally:
        docker("stack", "rm", SLUG, check=False)

    assert len(serving) == 2
