"""What is added to a built site: the description of the API, its pages as text for assistants, the suggestions."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from app.cli import openapi
from app.cli.docs_site import meaning

LIVE = ("swagger-ui-bundle.js", "swagger-ui.css")


def finish(
    docs: Path,
    site: Path,
    name: str,
    extra: Mapping[str, object],
    navigation: list[tuple[str, str]],
) -> None:
    """Finish a built site.

    Args:
        docs: Folder of the pages' sources.
        site: Folder of the site.
        name: What the site is called.
        extra: From mkdocs.yml; `api_url` is where the API runs.
        navigation: Title and path of each page, in order.
    """
    add_description(site, str(extra.get("api_url") or "http://127.0.0.1:8000"))
    add_texts(docs, site, name, navigation)
    meaning.write(site)


def add_description(site: Path, api_url: str) -> None:
    """Add what the page for trying out is made of: the description, and Swagger UI itself."""
    import fastapi_offline  # noqa: PLC0415

    described = openapi.schema() | {"servers": [{"url": api_url}]}
    (site / "openapi.json").write_text(json.dumps(described), "utf-8")
    assets = Path(str(fastapi_offline.__file__)).parent / "static"
    for file in LIVE:
        shutil.copy(assets / file, site / "assets" / file)


def add_texts(docs: Path, site: Path, name: str, navigation: list[tuple[str, str]]) -> None:
    """Add each page as Markdown, and what lists them for assistants (https://llmstxt.org)."""
    listed, whole = [f"# {name}", ""], []
    for title, path in navigation:
        text = (docs / path).read_text("utf-8")
        target = site / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
        listed.append(f"- [{title or path}]({path})")
        whole.append(text)
    (site / "llms.txt").write_text("\n".join([*listed, ""]), "utf-8")
    (site / "llms-full.txt").write_text("\n\n".join(whole), "utf-8")
