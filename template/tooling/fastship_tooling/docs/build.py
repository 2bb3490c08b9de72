"""Build the site, or serve it: `python -m fastship_tooling.docs.build [serve HOST:PORT | with-selector]`.

Three plain steps: generate pages, run the generator (Zensical), add files to the site. None of them
depends on the generator.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from fastship_tooling.docs import finish, pages, settings
from fastship_tooling.errors import reported
from fastship_tooling.progress import step

# Material for MkDocs reads the same file: python -m mkdocs build --strict --config-file .zensical.yml
GENERATOR = [sys.executable, "-m", "zensical"]
WITH_SELECTOR = "with-selector"
SUFFIXES = {".py", ".yml", ".md"}
CONFIG = ["--config-file", str(settings.DERIVED)]


def prepare(*, selector: bool = False) -> settings.Settings:
    """Write what the generator reads: the generated pages and the settings.

    Args:
        selector: Whether the pages have a selector of versions.
    """
    site = settings.load()
    pages.write(site.docs, site.api_url)
    site = settings.load()  # the generated pages are part of the navigation
    settings.write_derived(site.nav, selector=selector)
    return site


def build(*, selector: bool = False) -> int:
    """Build the site, and return the exit code of the generator. A broken link is an error.

    Args:
        selector: Whether the pages have a selector of versions.
    """
    with step("Writing the generated pages"):
        site = prepare(selector=selector)
    done = subprocess.run([*GENERATOR, "build", "--clean", "--strict", *CONFIG], check=False)
    if done.returncode == 0:
        with step("Adding the search by meaning and the Markdown pages"):
            finish.write(site)
    return done.returncode


def serve(address: str) -> int:
    """Serve the site, and build it again when a page or the code changes.

    Args:
        address: Host and port to listen on.
    """
    from watchfiles import watch

    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # ends the generator, too
    os.environ[settings.SERVES] = "1"
    site = prepare()
    index = site.site / "search.json"
    index.unlink(missing_ok=True)
    process = subprocess.Popen([*GENERATOR, "serve", *CONFIG, "--dev-addr", address])
    sources = ["src/app", str(settings.FILE), str(site.docs / "api")]
    built, url = 0.0, settings.running_url()
    try:
        for changes in watch(*sources, rust_timeout=200, yield_on_timeout=True):
            if process.poll() is not None:
                return process.returncode
            found = settings.running_url()
            # The code is loaded, so a new process reads the changed code.
            if found != url or any(Path(path).suffix in SUFFIXES for _, path in changes):
                _run("prepare")
            if found != url:  # `dev` was started, or stopped
                url = found
                _run("finish")
            if index.exists() and index.stat().st_mtime != built:
                built = index.stat().st_mtime
                _run("finish")
    finally:
        process.terminate()
        process.wait()
    return 0


def _run(step: str) -> None:
    """Run a step in a new process. Its errors do not end this process: the next change may fix them."""
    subprocess.run([sys.executable, "-m", "fastship_tooling.docs.build", step], check=False)


def main(arguments: list[str]) -> int:
    """Run the step that the arguments name; without arguments, build."""
    match arguments:
        case ["serve", address]:
            return serve(address)
        case ["prepare"]:
            prepare()
        case ["finish"]:
            finish.write(settings.load())
        case _:
            return build(selector=arguments == [WITH_SELECTOR])
    return 0


if __name__ == "__main__":
    with reported():
        sys.exit(main(sys.argv[1:]))
