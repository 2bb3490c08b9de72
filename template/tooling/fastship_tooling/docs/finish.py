"""Files that are added to the built site: the OpenAPI schema, Markdown for language models, the search index."""

import json
import re
import shutil
from pathlib import Path

from fastship_tooling import openapi
from fastship_tooling.docs import semantic_search
from fastship_tooling.docs.settings import Settings, heading, navigation

NOT_PROSE = re.compile(
    r"\A---\n.*?^---\n\s*|^<div class=\"try-it\".*?</div>\n+", re.DOTALL | re.MULTILINE
)
"""Front matter, and the forms of the API reference."""
SWAGGER_UI = ("swagger-ui-bundle.js", "swagger-ui.css")


def write(settings: Settings) -> None:
    """Write the files.

    Args:
        settings: Settings of the site.
    """
    add_api(settings.site, settings.api_url)
    add_markdown(settings.docs, settings.site, settings.name, list(navigation(settings.nav)))
    semantic_search.write(settings.site)


def add_api(site: Path, api_url: str) -> None:
    """Add the OpenAPI schema and Swagger UI, for the page "Try it out".

    Args:
        site: Folder of the site.
        api_url: URL of the API.
    """
    import fastapi_offline

    described = openapi.schema() | {"servers": [{"url": api_url}]}
    (site / "openapi.json").write_text(json.dumps(described), "utf-8")
    assets = Path(str(fastapi_offline.__file__)).parent / "static"
    for file in SWAGGER_UI:
        shutil.copy(assets / file, site / "assets" / file)


def add_markdown(docs: Path, site: Path, name: str, navigation: list[tuple[str, str]]) -> None:
    """Add each page as Markdown, and `llms.txt` and `llms-full.txt` (https://llmstxt.org)."""
    listed, whole = [f"# {name}", ""], []
    for title, path in navigation:
        text = NOT_PROSE.sub("", (docs / path).read_text("utf-8"))
        target = site / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
        listed.append(f"- [{title or heading(docs / path)}]({path})")
        whole.append(text)
    (site / "llms.txt").write_text("\n".join([*listed, ""]), "utf-8")
    (site / "llms-full.txt").write_text("\n\n".join(whole), "utf-8")
