"""Images and stacks of every variant, as their user would build and start them."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import yaml
from kubernetes_validate import validate

from tests.conftest import Note
from tests.containers import docker, inspect, require_docker, stack
from tests.project import Project
from tests.running import ACCOUNTS, Application
from tests.test_running import ITEMS
from tests.variants import FULL, Variant

full = pytest.mark.parametrize("variant", [FULL], ids=str)


@pytest.fixture
def located(fresh: Project, variant: Variant) -> Project:
    """The variant in a folder whose name, and so the name of its stack, is its own."""
    require_docker()
    home = fresh.path.rename(fresh.path.with_name(f"acme-{variant}-{os.getpid()}"))
    project = Project(home, fresh.environment)
    project.run("uv", "lock", "--quiet")
    return project


def test_files_are_clean(project: Project, variant: Variant) -> None:
    images = sorted(project.path.glob("Dockerfile.*"))
    assert [path.suffix for path in images] == [".dev", *([".docs"] * variant.docs), ".prod"]
    subprocess.run(["hadolint", *images], check=True)

    # What is described must be what the tools understand, with or without an engine.
    for name in ("docker-compose.yml", "docker-compose.prod.yml"):
        schema = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec"]
        subprocess.run([*schema, project.path / name], check=True)


def test_kubernetes(project: Project, variant: Variant) -> None:
    folder = project.path / "deploy/kubernetes"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    present = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(listed) == present
    assert ("migrate.yaml" in present) is variant.database

    resources = [yaml.safe_load((folder / name).read_text()) for name in listed]
    for resource in resources:
        validate(resource, "1.37", strict=True)
    kinds = {resource["kind"] for resource in resources}
    assert {"Deployment", "Service", "Ingress", "HorizontalPodAutoscaler"} <= kinds


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize(project: Project) -> None:
    built = list(yaml.safe_load_all(project.run("kubectl", "kustomize", "deploy/kubernetes")))

    for resource in built:
        validate(resource, "1.37", strict=True)
    [settings] = [one for one in built if one["kind"] == "ConfigMap"]
    [deployment] = [one for one in built if one["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": settings["metadata"]["name"]}}]
    assert container["image"] == "registry.example.com/acme-orders:latest"
    assert settings["data"]["APP_DRAIN_SECONDS"] == "5"


def try_out(url: str, variant: Variant) -> None:
    """Do what a first user does."""
    app = Application(url)
    with app.clients:
        client = app.signed_in("ada@example.com", register=True) if variant.auth else app.client()
        item = client.post(ITEMS, json={"title": "Buy milk"}).raise_for_status().json()
        assert client.get(f"{ITEMS}/{item['id']}").json() == item
        assert client.get(ITEMS).json()["data"] == [item]
        expected = {name for name in ("database", "redis") if getattr(variant, name)}
        assert set(client.get("/health/ready").json()["checks"]) == expected


def test_docker_takes_what_is_deployed(located: Project) -> None:
    (located.path / ".env.production").write_text("DOMAIN=api.example.com\n")
    located.run("docker", "compose", "config", "--quiet")
    file = ["--env-file", ".env.production", "--file", "docker-compose.prod.yml"]
    located.run("docker", "compose", *file, "config", "--quiet")
    stack = located.run("docker", "stack", "config", "-c", "deploy/swarm.yml", IMAGE="image:1")
    assert "image: image:1" in stack


@pytest.fixture
def production_image(located: Project) -> Iterator[str]:
    name = f"{located.path.name}:test"
    located.run(
        *["docker", "build", "--quiet", "--file", "Dockerfile.prod", "--tag", name],
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

        # All stop when they are told to: none has to be killed (137).
        located.run("docker", "compose", "stop")
        codes = located.run(
            "docker", "compose", "ps", "--all", "--format", "{{.Service}} {{.ExitCode}}"
        )
        assert " 137" not in codes
        assert len(codes.splitlines()) == len(urls) + variant.database + variant.redis


def run_in_production(project: Project, variant: Variant, image: str) -> None:
    """Run the image beside the stack's services, with as few rights as it is to need."""
    made = inspect(image)["Config"]
    assert (made["User"], made["StopSignal"]) == ("10001:10001", "SIGTERM")
    assert made["Labels"]["org.opencontainers.image.version"] == "1.2.3"
    settings = {"APP_TRUSTED_HOSTS": "*"}
    if variant.database:
        # Beside the one that `dev` has migrated and filled.
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
        make = ["exec", "--no-TTY", "db", "createdb", "--username", "postgres", "other"]
        project.run("docker", "compose", *make)
        refused = docker("run", "--rm", *options, image, check=False)
        assert "The database is behind the code" in refused
        docker("run", "--rm", *options, image, "acme-orders", "db", "upgrade")
    container = docker("run", "--detach", "--publish", "127.0.0.1::8000", *options, image)
    try:
        wait_until_healthy(container)
        url = f"http://{docker('port', container, '8000').splitlines()[0]}"
        try_out(url, variant)
        assert docker("exec", container, "acme-orders", "--version") == "1.2.3"
        assert docker("exec", container, "id", "-u") == "10001"
        packages = docker("exec", container, "ls", "/opt/venv/bin")
        assert not re.search(r"^(pytest|mypy|ruff|uv|mkdocs)$", packages, re.MULTILINE)
    finally:
        docker("rm", "--force", "--volumes", container)


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
    located.run("docker", "build", "--quiet", "--file", "Dockerfile.docs", "--tag", image, ".")
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
            style = next(iter(Path(located.path).glob("site/**/*.css")), None)
        assert missing.status_code == httpx2.codes.NOT_FOUND
        assert style is None, "the site was built outside"
    finally:
        docker("rm", "--force", container)
        docker("image", "rm", "--force", image)


@full
def test_watch_takes_an_edit_over(located: Project) -> None:
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
            router.write_text(router.read_text().replace('"""Read an item."""', '"""Read one."""'))

            deadline = time.monotonic() + 60
            while "Read one." not in httpx2.get(f"{app}/openapi.json").text:
                assert time.monotonic() < deadline, "the edit was not taken over"
                time.sleep(0.2)
        finally:
            watching.terminate()
            watching.wait()
            assert watching.stdout
            watching.stdout.close()
        # What was written in the container belongs into git out here.
        [migration] = (located.path / "src/app/migrations/versions").glob("2*.py")
        assert "add_price_to_items" in migration.name
        assert migration.owner() == located.path.owner()
