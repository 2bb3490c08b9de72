"""Hooks of MkDocs: generate pages before the build, and add files to the site after it.

The functions that do the work do not depend on MkDocs.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from fastship_tooling.docs import finish, pages


def on_config(config: Any) -> Any:
    """Add the pages of the domains to the navigation."""
    pages.add_domains(config.nav or [], Path(config.docs_dir))
    return config


def on_pre_build(config: Any) -> None:
    """Generate the pages that are made from code and history."""
    _run_module("pages", config.docs_dir)


def on_post_build(config: Any) -> None:
    """Add files to the built site."""
    docs, site = Path(config.docs_dir), Path(config.site_dir)
    _run_module("finish", config.site_dir, str(config.extra.get("api_url") or finish.API_URL))
    finish.add_markdown(docs, site, config.site_name, list(pages.navigation(config.nav or [])))
    finish.add_suggestions(site)


def on_serve(server: Any, **_: Any) -> Any:
    """Watch the code too, since pages are generated from it."""
    server.watch("src/app")
    return server


def _run_module(module: str, *arguments: str) -> None:
    """Run a module in a new process: `docs serve` keeps the old code loaded."""
    command = [sys.executable, "-m", f"fastship_tooling.docs.{module}", *arguments]
    subprocess.run(command, check=True)
