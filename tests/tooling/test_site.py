import base64
import json
import re
import subprocess
import sys
from array import array
from html import unescape
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from fastship_tooling import changelog, openapi
from fastship_tooling.docs import (
    build,
    finish,
    pages,
    reference,
    samples,
    schemas,
    semantic_search,
    settings,
)
from fastship_tooling.settings import secret_variables

from app.config import Settings

SCHEMAS: dict[str, Any] = {
    "Thing": {
        "type": "object",
        "required": ["name", "secret"],
        "properties": {
            "name": {"type": "string", "examples": ["It's"]},
            "secret": {"type": "string"},
            "size": {"type": "integer"},
            "kind": {"anyOf": [{"type": "null"}, {"enum": ["a", "b"]}], "examples": ["b"]},
        },
    }
}
POST = samples.Operation(
    "post",
    "/things/{thing_id}",
    {
        "security": [{"Some": []}],
        "responses": {"201": {"content": {}}},
        "requestBody": {
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}
        },
    },
    SCHEMAS,
)
SCRIPT = Path(semantic_search.__file__).with_name("theme") / "assets/semantic-search.js"
OPERATIONS = list(samples.operations(openapi.schema()))


class TestSamples:
    def test_example(self) -> None:
        # It has the required fields, and those with examples.
        example = samples.example({"$ref": "#/components/schemas/Thing"}, SCHEMAS)

        assert example == {"name": "It's", "secret": samples.Variable("SECRET"), "kind": "b"}

    @pytest.mark.parametrize(
        ("schema", "example"),
        [
            ({"type": "integer", "default": 3}, 3),
            ({"enum": ["a", "b"]}, "a"),
            ({"const": "c"}, "c"),
            ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, True),
            ({"type": "array", "items": {"type": "number"}}, [1.0]),
            ({"type": "string"}, samples.Variable("VALUE")),
        ],
    )
    def test_example_of_a_type(self, schema: samples.Schema, example: object) -> None:
        assert samples.example(schema, {}) == example

    def test_variables(self) -> None:
        assert samples.variables(POST) == ["THING_ID", "SECRET"]

    def test_curl(self) -> None:
        command = samples.curl(POST).replace("curl ", "printf '%s\\n' ", 1)
        environment = {"API": "http://x", "TOKEN": "t", "THING_ID": "7", "SECRET": "s"}
        arguments = subprocess.run(
            ["sh", "-c", command],  # noqa: S607
            check=True, capture_output=True, text=True, env=environment,
        ).stdout.splitlines()  # fmt: skip

        assert "http://x/things/7" in arguments
        assert "Authorization: Bearer t" in arguments
        assert json.loads(arguments[-1]) == {"name": "It's", "secret": "s", "kind": "b"}

    @pytest.mark.parametrize(
        "operation", OPERATIONS, ids=lambda operation: operation.details["operationId"]
    )
    def test_python(self, operation: samples.Operation) -> None:
        compile(samples.python(operation), "sample", "exec")

    def test_typescript(self) -> None:
        assert samples.typescript(POST).splitlines() == [
            "const response = await fetch(`${process.env.API}/things/${process.env.THING_ID}`, {",
            '  method: "POST",',
            "  headers: { Authorization: `Bearer ${process.env.TOKEN}`, "
            '"Content-Type": "application/json" },',
            '  body: JSON.stringify({ name: "It\'s", secret: process.env.SECRET, kind: "b" }),',
            "});",
            "if (!response.ok) throw new Error(await response.text());",
            "console.log(await response.json());",
        ]


class TestPages:
    def test_write(self, tmp_path: Path) -> None:
        written = {path.relative_to(tmp_path).as_posix() for path in pages.write(tmp_path)}
        assert written == {*pages.PAGES, *reference.render()}
        # `docs serve` rebuilds the site on each write, so unchanged pages are not written.
        assert pages.write(tmp_path) == []
        (tmp_path / "api/endpoints/items.md").write_text("outdated")
        (tmp_path / "api/endpoints/removed.md").write_text("of a domain that was removed")
        assert pages.write(tmp_path) == [tmp_path / "api/endpoints/items.md"]
        assert not (tmp_path / "api/endpoints/removed.md").exists()

    def test_no_commits(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(pages.PAGES, "changelog.md", lambda: "")

        pages.write(folder)
        first = (folder / "changelog.md").read_text()
        (folder / "changelog.md").write_text("# Changelog of an earlier build\n")
        pages.write(folder)

        assert "There are no commits yet." in first
        assert (folder / "changelog.md").read_text() == "# Changelog of an earlier build\n"
        assert first.startswith("---\ngenerated: true\n---\n")

    def test_changelog(self) -> None:
        assert pages.PAGES["changelog.md"] is pages.changes

    @pytest.mark.parametrize(
        ("text", "end"),
        [
            ("# Changelog\n", "There are no such commits yet.\n"),
            ("# Changelog\n\n## 1.0.0\n", "such as `feat: add invoices`.\n\n## 1.0.0\n"),
            ("", ""),
        ],
        ids=["no changes", "a release", "no history"],
    )
    def test_text_of_the_changelog(
        self, monkeypatch: pytest.MonkeyPatch, text: str, end: str
    ) -> None:
        monkeypatch.setattr(changelog, "render", lambda: text)

        page = pages.changes()

        assert page.endswith(end)
        assert bool(page) is bool(text)

    def test_configuration(self) -> None:
        text = pages.configuration()

        for group in Settings.groups().values():
            for variable in group.variables().values():
                assert f"| `{variable}`" in text
        assert "| `APP_TRUSTED_HOSTS`* |" in text
        for variable in secret_variables():
            assert re.search(rf"^\| `{variable}`\*? \|  \|", text, re.MULTILINE)
        assert "insecure" not in text


class TestReference:
    def test_every_operation(self) -> None:
        text = "\n".join(reference.render().values())

        for operation in OPERATIONS:
            endpoint = f"`{operation.method.upper()} {operation.path}`"
            assert text.count(f"{endpoint}\n{{ .endpoint }}") == 1

    def test_operation(self) -> None:
        text = reference.render()["api/endpoints/items.md"]
        create, rest = text.split("## List items", 1)

        assert "| `title` | string, 1 to 200 characters | required | Title. |" in create
        assert '| `description` | string, at most 10000 characters | `""` |' in create
        assert "**Response** (201)" in create
        assert "| `created_at` | date and time | Creation time (UTC). |" in create
        assert '"title": "Buy milk",' in create
        assert "| `limit` | query, integer, 1 to 100 | `20` | Maximum number of entries. |" in rest
        assert "| `data[].id` | UUID | Unique identifier. |" in rest
        assert "| 404 | `urn:problem-type:item-not-found` | The item does not exist. |" in rest

    def test_shared_errors_are_listed_once(self) -> None:
        rendered = reference.render()
        error = "`urn:problem-type:internal-error`"

        assert [name for name, text in rendered.items() if error in text] == [
            "api/endpoints/index.md"
        ]

    def test_request_of_a_form(self) -> None:
        text = reference.render()["api/endpoints/items.md"]
        requests = [
            json.loads(unescape(found)) for found in re.findall(r'data-request="(.+)"', text)
        ]

        assert requests[0]["path"] == "/api/v1/items"
        assert requests[0]["body"] == {"title": "Buy milk"}
        assert requests[1]["parameters"][0] == {"name": "limit", "in": "query", "required": False}

    @pytest.mark.parametrize(
        ("schema", "text"),
        [
            ({"$ref": "#/components/schemas/Thing"}, "Thing"),
            ({"type": "array", "items": {"type": "string", "format": "uuid"}}, "array of UUID"),
            (
                {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
                "integer, at least 1 or null",
            ),
            ({"enum": ["a", "b"]}, '`"a"` or `"b"`'),
            ({}, "any"),
        ],
    )
    def test_type(self, schema: schemas.Schema, text: str) -> None:
        assert schemas.type_of(schema) == text

    def test_example(self) -> None:
        schema = {
            "type": "object",
            "properties": {
                "things": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}},
                "at": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
                "open": {"type": "boolean"},
            },
        }

        assert schemas.example(schema, SCHEMAS) == {
            "things": [{"name": "It's", "secret": "secret", "size": 1, "kind": "b"}],
            "at": "2026-01-31T09:30:00Z",
            "open": True,
        }


class TestSettings:
    def test_navigation(self) -> None:
        nav: list[object] = ["index.md", {"More": [{"One": "a.md"}, {"Deep": [{"Two": "b.md"}]}]}]

        assert list(settings.navigation(nav)) == [
            ("", "index.md"),
            ("One", "a.md"),
            ("Two", "b.md"),
        ]

    def test_domains(self, tmp_path: Path) -> None:
        (tmp_path / "api").mkdir()
        (tmp_path / "api/order-lines.md").write_text("# Order lines\n\nText.")
        (tmp_path / "api/python.md").write_text("# Python\n")
        nav: list[object] = [
            "index.md",
            {"More": [{"One": "a.md"}]},
            {"API": ["api/overview.md", {"Python": "api/python.md"}]},
        ]

        settings.add_domains(nav, tmp_path)

        assert list(settings.navigation(nav))[2:] == [
            ("", "api/overview.md"),
            ("Order lines", "api/order-lines.md"),
            ("Python", "api/python.md"),
        ]

    def test_endpoints(self, tmp_path: Path) -> None:
        (tmp_path / "api/endpoints").mkdir(parents=True)
        for name in ("index", "items", "users"):
            text = f"---\ngenerated: true\n---\n\n# {name.capitalize()}\n"
            (tmp_path / f"api/endpoints/{name}.md").write_text(text)
        nav: list[object] = [{"API": [{"Endpoints": settings.ENDPOINTS}, "api/python.md"]}]

        settings.add_endpoints(nav, tmp_path)

        assert list(settings.navigation(nav)) == [
            ("", settings.ENDPOINTS),
            ("Items", "api/endpoints/items.md"),
            ("Users", "api/endpoints/users.md"),
            ("", "api/python.md"),
        ]

    def test_derived(self, folder: Path) -> None:
        (folder / "docs/api").mkdir(parents=True)
        (folder / "docs/api/orders.md").write_text("# Orders")
        text = """
            site_name: Shop
            nav:
              - Home: index.md
            # A comment.
              - API:
                - api/overview.md

                - Python: api/python.md
            # The rest stays as it is.
            markdown_extensions:
              - pymdownx.emoji:
                  emoji_index: !!python/name:material.extensions.emoji.twemoji
            """
        (folder / "mkdocs.yml").write_text(dedent(text))

        site = settings.load()
        settings.write_derived(site.nav)

        assert (site.name, site.description, site.api_url) == ("Shop", "", settings.API_URL)
        derived = settings.DERIVED.read_text()
        assert derived.index("Domains:") < derived.index("Orders: api/orders.md")
        assert derived.index("Orders: api/orders.md") < derived.index("Python: api/python.md")
        assert derived.count("nav:") == 1
        rest = dedent(text).partition("markdown_extensions:")[2]
        assert derived.endswith(f"markdown_extensions:{rest}")
        written = settings.DERIVED.stat().st_mtime_ns
        settings.write_derived(site.nav)
        assert settings.DERIVED.stat().st_mtime_ns == written

    def test_url_of_the_running_api(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "mkdocs.yml").write_text("site_name: Shop\n")
        (folder / ".dev").mkdir()
        monkeypatch.setenv(settings.SERVES, "1")

        assert settings.load().api_url == settings.API_URL
        settings.RUNNING.write_text("17, http://127.0.0.1:9123")
        assert settings.load().api_url == "http://127.0.0.1:9123"
        # A published site does not know it.
        monkeypatch.delenv(settings.SERVES)
        assert settings.load().api_url == settings.API_URL

    def test_url_in_the_samples(self) -> None:
        page = reference.render("http://127.0.0.1:9123")["api/endpoints/index.md"]

        assert "export API=http://127.0.0.1:9123\n" in page


class TestBuild:
    def test_broken_link(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(build.pages, "PAGES", {})
        monkeypatch.setattr(build, "GENERATOR", [sys.executable, "-c", "raise SystemExit(3)"])
        (folder / "docs").mkdir()
        (folder / "mkdocs.yml").write_text("site_name: Shop")

        assert build.build() == 3
        assert not (folder / "site").exists()

    def test_serve_ends_with_the_generator(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(build.pages, "PAGES", {})
        monkeypatch.setattr(build, "GENERATOR", [sys.executable, "-c", "raise SystemExit(3)"])
        for name in ("docs/api", "src/app"):
            (folder / name).mkdir(parents=True)
        (folder / "mkdocs.yml").write_text("site_name: Shop")

        assert build.main(["serve", "127.0.0.1:1"]) == 3


class TestFinish:
    def test_api(self, tmp_path: Path) -> None:
        (tmp_path / "assets").mkdir()

        finish.add_api(tmp_path, "https://api.example.com")

        schema = json.loads((tmp_path / "openapi.json").read_text())
        assert schema["servers"] == [{"url": "https://api.example.com"}]
        assert {path.name for path in (tmp_path / "assets").iterdir()} == set(finish.SWAGGER_UI)

    def test_markdown(self, tmp_path: Path) -> None:
        docs, site = tmp_path / "docs", tmp_path / "site"
        (docs / "api").mkdir(parents=True)
        site.mkdir()
        (docs / "index.md").write_text("---\nhome: true\n---\n\n# Home")
        (docs / "api/items.md").write_text(
            '# Items\n\n<div class="try-it" data-request="{}"></div>\n'
        )

        finish.add_markdown(docs, site, "Shop", [("", "index.md"), ("Items", "api/items.md")])

        assert (site / "api/items.md").read_text() == "# Items\n\n"
        assert (site / "llms.txt").read_text().splitlines() == [
            "# Shop",
            "",
            "- [Home](index.md)",
            "- [Items](api/items.md)",
        ]
        assert (site / "llms-full.txt").read_text() == "# Home\n\n# Items\n\n"

    def test_suggestions(self, tmp_path: Path) -> None:
        section = {"location": "a/", "title": "Docker &amp; more", "text": "<p>images</p>"}
        (tmp_path / "search.json").write_text(json.dumps({"items": [section]}))

        semantic_search.write(tmp_path)

        index = json.loads((tmp_path / semantic_search.INDEX).read_text())
        assert index["sections"] == [["a/", "Docker & more", "Docker & more"]]


class TestSemanticSearch:
    def test_index(self) -> None:
        sections = [
            {"location": "a/", "title": "Signing in", "page": "Accounts", "text": "passwords"},
            {"location": "b/", "title": "Servers", "page": "Deployment", "text": "docker image"},
        ]

        index = semantic_search.index(sections)

        words = index["words"].split()
        assert {"server", "docker", "password"} <= set(words)
        assert len(words) > 1000
        assert index["sections"][1] == ["b/", "Servers", "Deployment"]
        assert set(index["weights"]) == {
            *("signing", "accounts", "passwords"),
            *("servers", "deployment", "docker", "image"),
        }
        size = index["dimensions"]
        assert len(base64.b64decode(index["vectors"])) == len(words) * size
        first, second = self.vectors(index)
        query = semantic_search.load_vectors().find("kubernetes")
        assert query
        assert self.similarity(query, second) > self.similarity(query, first)

    @staticmethod
    def vectors(index: dict[str, Any]) -> list[array[int]]:
        values = array("b", base64.b64decode(index["places"]))
        size = index["dimensions"]
        return [values[start : start + size] for start in range(0, len(values), size)]

    @staticmethod
    def similarity(a: tuple[int, ...], b: array[int]) -> float:
        product: int = sum(x * y for x, y in zip(a, b, strict=True))
        return product / float(sum(y * y for y in b) ** 0.5)

    @pytest.mark.parametrize("word", ["servers", "deploying", "cached", "caching"])
    def test_derived_word(self, word: str) -> None:
        assert semantic_search.load_vectors().find(word)

    def test_unknown_word(self) -> None:
        assert semantic_search.load_vectors().find("xyzzy") is None

    def test_stop_words(self) -> None:
        assert semantic_search.words("How do I use the Docker image?") == ["docker", "image"]
        assert semantic_search.words("What does status 422 mean?") == ["status", "422"]

    def test_stop_words_of_the_index(self) -> None:
        assert semantic_search.index([])["stopWords"] == sorted(semantic_search.STOP_WORDS)

    @pytest.mark.parametrize(
        ("word", "stem"),
        [
            ("deployment", "deploy"),
            ("deploying", "deploy"),
            ("settings", "sett"),
            ("workers", "worker"),
            ("use", "use"),
            ("red", "red"),
        ],
    )
    def test_stem(self, word: str, stem: str) -> None:
        assert semantic_search.stem(word) == stem

    def test_endings_of_the_browser(self) -> None:
        script = SCRIPT.read_text()

        assert f"ENDING = /{semantic_search.ENDING.pattern}/;" in script

    def test_suffixes_of_the_browser(self) -> None:
        script = SCRIPT.read_text()
        suffixes = re.search(r"SUFFIXES = (\[\[.+\]\]);", script)

        assert suffixes
        assert json.loads(suffixes[1]) == [list(pair) for pair in semantic_search.SUFFIXES]

    def test_settings_are_sections(self) -> None:
        text = "<code>APP_PORT</code> <code>8000</code> Port. <code>SECRET_KEY</code>* A key."
        found = [
            {"location": "configuration/", "title": "Configuration", "text": ""},
            {"location": "configuration/#app", "title": "The application", "text": text},
        ]

        sections = semantic_search.sections(found)[2:]

        assert [(s["title"], s["page"], s["text"]) for s in sections] == [
            ("APP_PORT", "Configuration", "8000 Port."),
            ("SECRET_KEY", "Configuration", "A key."),
        ]

    def test_sections(self) -> None:
        found = [
            {"location": "a/", "title": "A", "text": "<p>some &amp; other</p><pre>code</pre>"},
            {"location": "a/#b", "title": "B", "text": ""},
            {"location": "changelog/", "title": "Changelog", "text": ""},
        ]

        sections = semantic_search.sections(found)

        assert [(s["title"], s["page"], s["text"].split()) for s in sections] == [
            ("A", "A", ["some", "&", "other"]),
            ("B", "A", []),
        ]
