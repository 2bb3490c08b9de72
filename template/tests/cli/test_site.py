"""The site's own pages, and what is made of the built ones. How it looks is nothing that a test here can tell."""

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.cli import openapi
from app.cli.docs_site import meaning, pages, samples
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
OPERATIONS = list(samples.operations(openapi.schema()))


class TestSamples:
    def test_example_has_what_is_needed_or_shown(self) -> None:
        made = samples.example({"$ref": "#/components/schemas/Thing"}, SCHEMAS)

        assert made == {"name": "It's", "secret": samples.Variable("SECRET"), "kind": "b"}

    def test_variables(self) -> None:
        assert samples.variables(POST) == ["THING_ID", "SECRET"]

    def test_curl_is_quoted_for_a_shell(self) -> None:
        command = samples.curl(POST).replace("curl ", "printf '%s\\n' ", 1)
        environment = {"API": "http://x", "TOKEN": "t", "THING_ID": "7", "SECRET": "s"}
        said = subprocess.run(
            ["sh", "-c", command],  # noqa: S607
            check=True, capture_output=True, text=True, env=environment,
        ).stdout.splitlines()  # fmt: skip

        assert "http://x/things/7" in said
        assert "Authorization: Bearer t" in said
        assert json.loads(said[-1]) == {"name": "It's", "secret": "s", "kind": "b"}

    @pytest.mark.parametrize(
        "operation", OPERATIONS, ids=lambda operation: operation.details["operationId"]
    )
    def test_python_is_python(self, operation: samples.Operation) -> None:
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
    def test_written_only_when_they_change(self, tmp_path: Path) -> None:
        assert {path.relative_to(tmp_path).as_posix() for path in pages.write(tmp_path)} == set(
            pages.PAGES
        )
        assert pages.write(tmp_path) == []

    def test_each_operation(self) -> None:
        text = pages.endpoints()

        for operation in OPERATIONS:
            assert f"### `{operation.method.upper()} {operation.path}`" in text

    def test_each_setting(self) -> None:
        text = pages.configuration()

        for group in Settings.groups().values():
            for variable in group.variables().values():
                assert f"| `{variable}`" in text
        assert "| `APP_TRUSTED_HOSTS`* |" in text
        assert "insecure" not in text

    def test_navigation(self) -> None:
        nav: list[object] = ["index.md", {"More": [{"One": "a.md"}, {"Deep": [{"Two": "b.md"}]}]}]

        assert list(pages.navigation(nav)) == [("", "index.md"), ("One", "a.md"), ("Two", "b.md")]


class TestMeaning:
    def test_index(self) -> None:
        sections = [
            {"location": "a/", "title": "Signing in", "page": "Accounts", "text": "passwords"},
            {"location": "b/", "title": "Servers", "page": "Deployment", "text": "docker image"},
        ]

        made = meaning.index(sections)

        words = made["words"].split()
        assert {"signing", "servers", "docker"} <= set(words)
        assert len(words) > 1000
        assert made["sections"][1] == ["b/", "Servers", "Deployment"]
        vectors = np.frombuffer(base64.b64decode(made["vectors"]), np.int8)
        assert vectors.size == len(words) * made["dimensions"]

    def test_browser_leaves_out_the_same_words(self) -> None:
        script = Path("docs/assets/meaning.js").read_text()
        listed = re.search(r'new Set\(\("([^"]+)"', script)

        assert listed
        assert set(listed[1].split()) == meaning.FILLERS

    def test_sections_are_plain_text(self) -> None:
        found = [
            {"location": "a/", "title": "A", "text": "<p>some &amp; other</p><pre>code</pre>"},
            {"location": "a/#b", "title": "B", "text": ""},
            {"location": "changelog/", "title": "Changelog", "text": ""},
        ]

        assert [(s["title"], s["page"], s["text"].split()) for s in meaning.sections(found)] == [
            ("A", "A", ["some", "&", "other"]),
            ("B", "A", []),
        ]
