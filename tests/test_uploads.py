"""The page "Uploads": its code, in projects of several variants."""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from tests.conftest import ROOT
from tests.project import Project
from tests.running import free_port, listens
from tests.variants import BARE, FULL, MIXED, Variant

PAGE = (ROOT / "template/docs/examples/uploads.md.jinja").read_text()
ITEM = "items/370f3d98-7397-4ddb-8f31-0102f2a9a3dc"
S3 = f"""
import asyncio, obstore, os, sys, urllib.request
from app.storage import Storage

async def chunks(error=None):
    for _ in range(100):
        yield b"x" * 200_000
    if error:
        raise error

async def main():
    storage = Storage("s3://files")
    await storage.write("{ITEM}/Ä.html", chunks())
    try:
        await storage.write("{ITEM}/failed", chunks(KeyError()))
    except KeyError:
        print(await storage.sizes("{ITEM}"))
    with urllib.request.urlopen(await storage.link("{ITEM}/Ä.html")) as response:
        print(len(response.read()), dict(response.headers))
    await storage.delete("{ITEM}/Ä.html")
    await storage.delete("{ITEM}/Ä.html")
    print(await storage.sizes("{ITEM}"))

asyncio.run(main())
# A thread of obstore that outlives the interpreter may abort the process.
sys.stdout.flush()
os._exit(0)
"""


@contextmanager
def s3_server(project: Project) -> Iterator[dict[str, str]]:
    """Run a server with the API of S3 and an empty bucket, and yield its settings."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = ["uvx", "--from", "moto[server]>=5.1", "moto_server", "-p", str(port)]
    with subprocess.Popen(command, env=project.env, stderr=subprocess.DEVNULL) as process:
        while not listens(port):
            assert process.poll() is None
        # The host name selects the service, and the account is not checked.
        bucket = httpx2.put(f"{url}/files", headers={"host": "s3.amazonaws.com"})
        assert bucket.is_success, bucket.text
        try:
            yield {
                "AWS_ENDPOINT_URL": url,
                "AWS_ALLOW_HTTP": "true",
                "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "key",
                "AWS_SECRET_ACCESS_KEY": "secret",
            }
        finally:
            process.send_signal(signal.SIGINT)


def follow_the_page(project: Project) -> None:
    """Add the code of the page to a project, where the page says."""
    project.run("uv", "add", "--quiet", "obstore")
    group, field, storage, endpoints, imports, tests = re.findall("```python\n(.*?)```", PAGE, re.S)
    config = project.path / "src/app/config.py"
    text = config.read_text().replace("class Settings(", f"{group}\n\nclass Settings(")
    config.write_text(text + field)
    for path, code in {
        "src/app/storage.py": storage,
        "src/app/items/files.py": endpoints,
        "tests/items/test_files.py": tests,
    }.items():
        assert f"`{path}`" in PAGE
        (project.path / path).write_text(code)
    domains = project.path / "src/app/domains.py"
    line = "from app.items.router import router as items_router\n"
    text = domains.read_text().replace(
        line, imports.replace("from app.storage", f"{line}from app.storage")
    )
    domains.write_text(
        text.replace(
            "    items_router,\n", "    items_router,\n    item_files_router,\n    files_router,\n"
        )
    )


@pytest.mark.parametrize("variant", [FULL, MIXED, BARE], ids=str)
def test_page(fresh: Project, variant: Variant) -> None:
    follow_the_page(fresh)

    fresh.uv_run("acme-orders", "openapi")
    fresh.uv_run("acme-orders", "lint")
    fresh.uv_run("pytest", "-q", "tests/items", "tests/test_main.py", "tests/test_docstrings.py")
    if variant == BARE:
        production = {"APP_ENVIRONMENT": "production", "APP_TRUSTED_HOSTS": "*"}
        output = fresh.uv_run("acme-orders", "serve", check=False, **production)
        assert "STORAGE_URL: is not a bucket. Set it to s3://BUCKET." in output
        with s3_server(fresh) as settings:
            sizes, response, rest = fresh.uv_run(
                "python", "-c", S3, check=True, **settings
            ).splitlines()
        assert sizes == "{'Ä.html': 20000000}"
        assert response.startswith("20000000 ")
        assert "'attachment; filename*=UTF-8''%C3%84.html'" in response.replace('"', "'")
        assert "text/html" in response
        assert rest == "{}"
