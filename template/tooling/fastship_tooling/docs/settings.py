"""The settings of the site: those of mkdocs.yml, and the pages that its navigation omits."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fastship_tooling.project import RUNNING

FILE = Path("mkdocs.yml")
DERIVED = Path(".zensical.yml")
"""Copy of FILE with the complete navigation, for the generator."""
ENDPOINTS = "api/endpoints/index.md"
SUFFIX = " endpoints"
"""End of the titles of these pages. A domain has a page of its own, too."""
API_URL = "http://127.0.0.1:8000"
SERVES = "DOCS_SERVE"
"""Environment variable of `docs serve` and its steps."""
# The key `nav`, up to the next key. Its lines are indented, or entries of a list, or comments.
NAV = re.compile(r"^nav:[ \t]*\n(?:[ \t#-].*\n|\n)*", re.MULTILINE)

EXTRA = re.compile(r"^extra:.*\n", re.MULTILINE)
VERSION = "  version:\n    provider: mike\n"
"""The format of versions.json, which `docs deploy` writes."""

# Tags refer to Python objects and environment variables, which only the generator needs.
TAG = re.compile(r"(?<=[:-] )!\S+")

Nav = list[Any]


@dataclass(frozen=True)
class Settings:
    """The settings that the tools need.

    Args:
        name: Title of the site.
        description: Description of the site.
        docs: Folder of the pages.
        site: Folder of the built site.
        api_url: URL of the API, for trying out: in `docs serve`, that of the running `dev`.
        nav: Navigation, as in mkdocs.yml.
    """

    name: str
    description: str
    docs: Path
    site: Path
    api_url: str
    nav: Nav


def load() -> Settings:
    """Read mkdocs.yml, and complete its navigation."""
    content = yaml.safe_load(TAG.sub("", FILE.read_text("utf-8")))
    docs = Path(content.get("docs_dir", "docs"))
    nav = content.get("nav") or []
    add_domains(nav, docs)
    add_endpoints(nav, docs)
    return Settings(
        name=content["site_name"],
        description=content.get("site_description", ""),
        docs=docs,
        site=Path(content.get("site_dir", "site")),
        api_url=running_url() or (content.get("extra") or {}).get("api_url") or API_URL,
        nav=nav,
    )


def running_url() -> str:
    """Return the URL of the running `dev` in `docs serve`; otherwise an empty text."""
    with suppress(FileNotFoundError):
        if SERVES in os.environ:
            return RUNNING.read_text("utf-8").split()[-1]
    return ""


def write_derived(nav: Nav, *, selector: bool = False) -> None:
    """Write the settings for the generator, if they have changed.

    Args:
        nav: The complete navigation.
        selector: Whether the pages have a selector of versions.
    """
    whole = yaml.safe_dump({"nav": nav}, sort_keys=False, allow_unicode=True)
    text = NAV.sub(lambda _: whole, FILE.read_text("utf-8"), count=1)
    if selector:
        text = EXTRA.sub(lambda found: found[0] + VERSION, text, count=1)
    if not DERIVED.exists() or DERIVED.read_text("utf-8") != text:
        DERIVED.write_text(text, "utf-8", newline="\n")


def navigation(nav: Nav) -> Iterator[tuple[str, str]]:
    """Yield the title and the path of each page of a site, in the order of its navigation.

    Args:
        nav: The key `nav` of mkdocs.yml.
    """
    for entry in nav:
        if isinstance(entry, str):
            yield "", entry
        elif isinstance(entry, dict):
            for title, value in entry.items():
                if isinstance(value, list):
                    yield from navigation(value)
                else:
                    yield str(title), str(value)


def add_domains(nav: Nav, docs: Path) -> None:
    """Add the pages of `docs/api` that the navigation omits to its first section with pages of that folder.

    They precede the last page of the section, the reference of the code. Without entries of domains,
    mkdocs.yml is the same in every project: an update can delete and restore it.

    Args:
        nav: The key `nav` of mkdocs.yml.
        docs: Folder of the pages.
    """
    listed = {path for _, path in navigation(nav)}
    found = sorted(path for path in (docs / "api").glob("*.md") if f"api/{path.name}" not in listed)
    sections = [value for entry in nav if isinstance(entry, dict) for value in entry.values()]
    for section in sections:
        if isinstance(section, list) and any(
            path.startswith("api/") for _, path in navigation(section)
        ):
            domains = [{heading(path): f"api/{path.name}"} for path in found]
            section[-1:-1] = [{"Domains": domains}] if domains else []
            return


def add_endpoints(nav: Nav, docs: Path) -> None:
    """Add the pages of `docs/api/endpoints` to its index, which becomes a section.

    Args:
        nav: The key `nav` of mkdocs.yml.
        docs: Folder of the pages.
    """
    for entry in nav:
        for title, value in entry.items() if isinstance(entry, dict) else ():
            if isinstance(value, list):
                add_endpoints(value, docs)
            elif value == ENDPOINTS:
                index = docs / ENDPOINTS
                text = index.read_text("utf-8") if index.exists() else ""
                others = [page for page in index.parent.glob("*.md") if page != index]
                others.sort(key=lambda page: text.find(f"({page.name}"))
                pages = [
                    {heading(page).removesuffix(SUFFIX): page.relative_to(docs).as_posix()}
                    for page in others
                ]
                entry[title] = [value, *pages]


def heading(page: Path) -> str:
    """Return the first heading of a page, or the name of its file."""
    found = re.search(r"^# (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return found[1].strip() if found else page.stem
