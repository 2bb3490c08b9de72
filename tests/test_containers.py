"""The images and containers of the variants."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator

import httpx2
import pytest
import yaml
from kubernetes_validate import validate

from tests.conftest import Note
from tests.containers import docker, inspect, require_docker, stack
from tests.project import Project
from tests.running import ACCOUNTS, Application, RestartTransport
from tests.test_running import ITEMS
from tests.variants import FULL, Variant

PRODUCTION = [
    *("--project-directory", ".", "--env-file", "deploy/production.env"),
    *("--file", "deploy/docker-compose.prod.yml"),
]
"""Options of `docker compose` for the production containers."""

full = pytest.mark.parametrize("variant", [FULL], ids=str)


@pytest.fixture
def located(fresh: Project, variant: Variant) -> Project:
    """Return the variant in a folder with a unique name, which is also the name of its stack."""
    require_docker()
    home = fresh.path.rename(fresh.path.with_name(f"acme-{variant}-{os.getpid()}"))
    project = Project(home, fresh.environment)
    project.run("uv", "lock", "--quiet")
    return project


def test_lint(project: Project, variant: Variant) -> None:
    images = sorted((project.path / "deploy").glob("Dockerfile.*"))
    assert [path.suffix for path in images] == [".dev", *([".docs"] * variant.docs), ".prod"]
    subprocess.run(["hadolint", *images], check=True)

    for name in ("docker-compose.yml", "deploy/docker-compose.prod.yml"):
        schema = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec"]
        subprocess.run([*schema, project.path / name], check=True)


def test_kubernetes(project: Project, variant: Variant) -> None:
    files = [
        path
        for folder in ("deploy/kubernetes", "tooling/kubernetes")
        for path in (project.path / folder).rglob("*.yaml")
    ]
    kustomizations = [path for path in files if path.name == "kustomization.yaml"]
    for file in kustomizations:
        for name in yaml.safe_load(file.read_text())["resources"]:
            assert (file.parent / name).exists()
    assert ({"migrate.yaml", "worker.yaml"} <= {path.name for path in files}) is variant.database

    resources = [yaml.safe_load(path.read_text()) for path in files if path not in kustomizations]
    for resource in resources:
        validate(resource, "1.37", strict=True)
    kinds = {resource["kind"] for resource in resources}
    assert {"Deployment", "Service", "Ingress", "HorizontalPodAutoscaler"} <= kinds
    for resource in resources:
        if resource["kind"] == "Deployment":
            assert resource["spec"]["template"]["spec"]["shareProcessNamespace"]

    # Only the migrations may read the secret of the role that changes the schema.
    role = "'secretKeyRef': {'name': 'migrations', 'key': 'DATABASE_URL', 'optional': True}"
    readers = [resource["kind"] for resource in resources if role in str(resource)]
    assert readers == ["Job"] * variant.database


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize(project: Project, variant: Variant) -> None:
    resources = list(yaml.safe_load_all(project.run("kubectl", "kustomize", "deploy/kubernetes")))

    for resource in resources:
        validate(resource, "1.37", strict=True)
    [settings] = [resource for resource in resources if resource["kind"] == "ConfigMap"]
    deployment, *workers = [resource for resource in resources if resource["kind"] == "Deployment"]
    assert len(workers) == variant.database
    [service] = [resource for resource in resources if resource["kind"] == "Service"]
    assert service["metadata"]["name"] == "acme-orders-app"
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    jobs = [resource for resource in resources if resource["kind"] == "Job"]
    assert len(jobs) == variant.database
    for other in (*jobs, *workers):
        # The service must not send requests to other pods.
        labels = other["spec"]["template"]["metadata"]["labels"]
        assert not service["spec"]["selector"].items() <= labels.items()
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": settings["metadata"]["name"]}}]
    assert container["image"] == "registry.example.com/acme-orders:latest"
    assert settings["data"]["APP_DRAIN_SECONDS"] == "5"


FORWARDED = """
import asyncio, os
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

async def app(scope, receive, send):
    print(scope["client"][0])

trusted = os.environ["TRUSTED"].split(",")
headers = [(b"x-forwarded-for", b"198.51.100.1, 203.0.113.7")]
scope = {"type": "http", "scheme": "http", "client": ("172.18.0.5", 1), "headers": headers}
asyncio.run(ProxyHeadersMiddleware(app, trusted)(scope, None, None))
"""


@full
def test_address_of_a_client_behind_the_proxy(project: Project) -> None:
    # The client writes the first part of the header, the proxy the last one.
    settings = (project.path / "deploy/kubernetes/settings.env").read_text()
    compose = (project.path / "deploy/docker-compose.prod.yml").read_text()
    trusted = re.findall(r"APP_FORWARDED_ALLOW_IPS(?:=|:-)([0-9a-f./,:]+)", settings + compose)

    assert len(trusted) == 2
    for addresses in trusted:
        output = project.uv_run("python", "-c", FORWARDED, TRUSTED=addresses)
        assert output == "203.0.113.7\n"


def try_out(url: str, variant: Variant) -> None:
    """Send the first requests of a new user."""
    app = Application(url)
    with app.clients:
        client = app.signed_in("ada@example.com", register=True) if variant.auth else app.client()
        item = client.post(ITEMS, json={"title": "Buy milk"}).raise_for_status().json()
        assert client.get(f"{ITEMS}/{item['id']}").json() == item
        assert client.get(ITEMS).json()["data"] == [item]
        expected = {name for name in ("database", "redis") if getattr(variant, name)}
        assert set(client.get("/health/ready").json()["checks"]) == expected


def test_docker_accepts_the_configuration(located: Project, variant: Variant) -> None:
    env_file = located.path / "deploy/production.env"
    env_file.write_text("DOMAIN=api.example.com\n")
    located.run("docker", "compose", "config", "--quiet")
    located.run("docker", "compose", *PRODUCTION, "config", "--quiet")
    files = ["deploy/swarm.yml", *(["database/worker.yml"] if variant.database else [])]
    stack = located.run(
        *["docker", "stack", "config"],
        *(f"--compose-file=tooling/fastship_tooling/{name}" for name in files),
        IMAGE="image:1",
        ENV_FILE=str(env_file),
        APP_TRUSTED_HOSTS="api.example.com",
    )
    assert "image: image:1" in stack
    assert stack.count("init: true") == stack.count("image: ")


@pytest.fixture
def production_image(located: Project) -> Iterator[str]:
    name = f"{located.path.name}:test"
    located.run(
        *["docker", "build", "--quiet", "--file", "deploy/Dockerfile.prod", "--tag", name],
        *["--build-arg", "VERSION=1.2.3", "."],
    )
    yield name
    docker("image", "rm", "--force", name)


def test_stack_and_images(
    located: Project, variant: Variant, production_image: str, note: Note
) -> None:
    note("image", f"{inspect(production_image)['Size'] / 1e6:.0f} MB")
    with stack(located) as urls:
        assert set(urls) == {"app", *(["docs"] * variant.docs), *(["mail"] * variant.auth)}
        assert urls["app"].endswith("/docs")
        assert httpx2.get(urls["app"]).is_success
        try_out(urls["app"].removesuffix("/docs"), variant)
        if variant.docs:
            assert "Getting started" in httpx2.get(urls["docs"]).text
        if variant.auth:
            assert ".html" in httpx2.get(urls["mail"]).text

        run_in_production(located, variant, production_image)

        # No container must be killed (137).
        located.run("docker", "compose", "stop")
        codes = located.run(
            "docker", "compose", "ps", "--all", "--format", "{{.Service}} {{.ExitCode}}"
        )
        assert " 137" not in codes
        assert len(codes.splitlines()) == len(urls) + variant.database + variant.redis


def run_in_production(project: Project, variant: Variant, image: str) -> None:
    """Run the image next to the services of the stack, with few privileges."""
    config = inspect(image)["Config"]
    assert (config["User"], config["StopSignal"]) == ("10001:10001", "SIGTERM")
    assert config["Labels"]["org.opencontainers.image.version"] == "1.2.3"
    settings = {"APP_TRUSTED_HOSTS": "*"}
    if variant.database:
        # The stack uses another database.
        settings["DATABASE_URL"] = "postgresql://postgres:postgres@db:5432/other"
    if variant.redis:
        settings["REDIS_URL"] = "redis://redis:6379/1"
    if variant.auth:
        settings |= ACCOUNTS
    name = project.path.name
    options = [
        *["--network", f"{name}_default", "--read-only", "--tmpfs", "/tmp"],  # noqa: S108
        *["--cap-drop", "ALL", "--security-opt", "no-new-privileges:true"],
        *(part for pair in settings.items() for part in ("--env", "=".join(pair))),
    ]
    if variant.database:
        createdb = ["exec", "--no-TTY", "db", "createdb", "--username", "postgres", "other"]
        project.run("docker", "compose", *createdb)
        output = docker("run", "--rm", *options, image, check=False)
        assert "Migrations are missing. Apply them:\nacme-orders db upgrade" in output
        docker("run", "--rm", *options, image, "acme-orders", "db", "upgrade")
    container = docker("run", "--detach", "--publish", "127.0.0.1::8000", *options, image)
    try:
        wait_until_healthy(container)
        url = f"http://{docker('port', container, '8000').splitlines()[0]}"
        try_out(url, variant)
        assert docker("exec", container, "acme-orders", "--version") == "1.2.3"
        assert docker("exec", container, "id", "-u") == "10001"
        # The image contains neither the tools nor anything that only they need.
        assert commands_of(container) == {
            "serve",
            *(["db", "jobs", "worker"] * variant.database),
            *(["users"] * variant.auth),
        }
        programs = docker("exec", container, "ls", "/opt/venv/bin")
        assert not re.search(r"^(pytest|mypy|ruff|uv|mkdocs)$", programs, re.MULTILINE)
        files = docker("exec", container, "find", "/opt", "-name", "*fastship*")
        assert files == ""
    finally:
        docker("rm", "--force", "--volumes", container)


def commands_of(container: str) -> set[str]:
    """Return the commands that the program in a container lists."""
    output = docker("exec", container, "acme-orders", "--help")
    return set(re.findall(r"^│ ([a-z]+) ", output.partition("Commands")[2], re.MULTILINE))


def wait_until_healthy(container: str) -> None:
    for _ in range(120):
        state = inspect(container)["State"]
        assert state["Running"], docker("logs", container)
        if state["Health"]["Status"] == "healthy":
            return
        time.sleep(0.25)
    pytest.fail(docker("logs", container))


@full
def test_site_image(located: Project) -> None:
    image = f"{located.path.name}:docs"
    located.run(
        "docker", "build", "--quiet", "--file", "deploy/Dockerfile.docs", "--tag", image, "."
    )
    container = docker(
        *["run", "--detach", "--publish", "127.0.0.1::8080", "--read-only", "--tmpfs", "/tmp"],  # noqa: S108
        *["--cap-drop", "ALL", image],
    )
    try:
        client = httpx2.Client(
            base_url=f"http://{docker('port', container, '8080').splitlines()[0]}",
            transport=httpx2.HTTPTransport(retries=5),
        )
        with client:
            assert "Getting started" in client.get("/").text
            missing = client.get("/nowhere/")
        assert missing.status_code == httpx2.codes.NOT_FOUND
        assert not (located.path / "site").exists()
    finally:
        docker("rm", "--force", container)
        docker("image", "rm", "--force", image)


@full
def test_watch(located: Project) -> None:
    with stack(located) as urls:
        app = urls["app"].removesuffix("/docs")
        watching = subprocess.Popen(
            ["docker", "compose", "watch", "--no-up"],
            cwd=located.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            assert watching.stdout
            for line in watching.stdout:
                if "Watch enabled" in line:
                    break
            models = located.path / "src/app/items/models.py"
            title = "    title: Mapped[str] = mapped_column(Text)\n"
            column = '    price: Mapped[int] = mapped_column(server_default="7")\n'
            models.write_text(models.read_text().replace(title, title + column))
            router = located.path / "src/app/items/router.py"
            router.write_text(
                router.read_text().replace('"""Return one item."""', '"""Another."""')
            )

            deadline = time.monotonic() + 60
            with httpx2.Client(base_url=app, transport=RestartTransport()) as client:
                while "Another." not in client.get("/openapi.json").text:
                    assert time.monotonic() < deadline, "the edit was not copied"
                    time.sleep(0.2)
        finally:
            watching.terminate()
            watching.wait()
            assert watching.stdout
            watching.stdout.close()
        # The container writes the migration into the checkout.
        [migration] = (located.path / "src/app/migrations/versions").glob("2*.py")
        assert "add_price_to_items" in migration.name
        assert migration.owner() == located.path.owner()
