"""The questions: valid and invalid answers, defaults, and messages."""

import ast
import functools
import keyword
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from copier import run_copy
from copier.errors import CopierError

from tests.conftest import ROOT
from tests.project import Project
from tests.variants import FULL

MAX_WIDTH = 125
"""Columns of a message, including the name of the question."""
PROGRAMS = {
    "app",
    "bash",
    "cd",
    "copier",
    "docker",
    "git",
    "make",
    "node",
    "npm",
    "pip",
    "psql",
    "py",
    "python",
    "python3",
    "sh",
    "src",
    "ssh",
    "test",
    "tests",
    "time",
    "uv",
    "uvx",
}


def copy(destination: Path, **answers: object) -> None:
    # Without `unsafe`, rendering fails if the template requires --trust.
    run_copy(str(ROOT), destination, data=answers, defaults=True, quiet=True, vcs_ref="HEAD")


class TestInvalidAnswer:
    @pytest.mark.parametrize(
        ("question", "answer", "message"),
        [
            ("project_name", "", "Enter a name."),
            ("project_name", "   ", "Enter a name."),
            ("project_name", "x" * 200, "Use at most 100 characters."),
            ("project_name", 'Say "hi"', "without quotation marks"),
            ("project_name", "a\nb", "Use one line"),
            ("project_name", "{{ 7 * 7 }}", "braces"),
            ("project_slug", "class", "class is a keyword"),
            ("project_slug", "app", "app is a"),
            ("project_slug", "fastapi", "fastapi is a"),
            ("project_slug", "my app", "lower-case letters"),
            ("project_slug", "1st", "Start with a lower-case letter."),
            ("project_slug", "Ünï", "Start with a lower-case letter."),
            ("project_slug", "-x", "Start with a lower-case letter."),
            ("project_slug", "mkdocs-material-extensions", "Choose another."),
            ("project_slug", "x" * 51, "at most 50 characters"),
            ("project_description", 'the "best"', "without quotation marks"),
            ("project_description", "x" * 201, "at most 200"),
            ("author_name", "", "1 to 100 characters"),
            ("author_name", "<Ada>", "without quotation marks"),
            ("author_email", "ada", "not a valid email address"),
            ("author_email", "ada@localhost", "not a valid email address"),
            ("github_owner", "-acme", "at most 39 letters"),
            ("license", "GPL", "not in"),
            ("python_version", "3.11", "not in"),
        ],
    )
    def test_message(self, tmp_path: Path, question: str, answer: str, message: str) -> None:
        with pytest.raises((CopierError, ValueError)) as caught:
            copy(tmp_path / "new", **{question: answer})

        assert message in str(caught.value)
        assert question in str(caught.value)
        # While Copier asks, it shows one line, which a terminal cuts.
        assert len(str(caught.value)) <= MAX_WIDTH
        assert not (tmp_path / "new").exists()

    def test_accounts_without_database(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="Accounts require PostgreSQL"):
            copy(tmp_path / "new", database=False, auth=True)

    def test_on_the_command_line(self, tmp_path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "copier", "copy", "--defaults", "--vcs-ref", "HEAD",
             "-d", "project_slug=my app", str(ROOT), str(tmp_path / "new")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

        assert done.returncode != 0
        assert "such as my-app." in done.stderr.splitlines()[-1]
        assert not (tmp_path / "new").exists()


class TestValidAnswer:
    @pytest.mark.parametrize(
        "answers",
        [
            {"project_name": "X", "project_slug": "x"},
            {"project_name": "x" * 100, "project_slug": "x" * 50},
            {"project_name": "Ünï: #1 & Söhne (50 % off)", "project_slug": "uni"},
            {"github_owner": "Ada_Lovelace--acme"},
            {"github_owner": "ada-"},
            {"project_description": "It's 100 % {fine}: #really, a & b < c."},
            {"license": "Apache-2.0"},
            {"license": "proprietary"},
        ],
        ids=lambda answers: "-".join(answers.values())[:30],
    )
    def test_files_are_valid_and_formatted(self, tmp_path: Path, answers: dict[str, str]) -> None:
        copy(tmp_path / "new", **answers)

        project = tomllib.loads((tmp_path / "new/pyproject.toml").read_text())["project"]
        site = (tmp_path / "new/mkdocs.yml").read_text()
        for question, value in answers.items():
            if question == "project_description":
                assert project["description"] == value
            if question == "project_name":
                assert yaml.safe_load(site)["site_name"] == value
        for command in (["format", "--check"], ["check"]):
            subprocess.run(
                [sys.executable, "-m", "ruff", *command, "."], cwd=tmp_path / "new", check=True
            )
        # pyproject.toml names the license of LICENSE.
        licenses = {"MIT": "MIT License", "Apache-2.0": "Apache License"}
        license_text = (tmp_path / "new/LICENSE").read_text()
        expected = licenses.get(str(project["license"]), "All rights reserved.")
        assert expected in license_text

    def test_default_slug(self, tmp_path: Path) -> None:
        copy(tmp_path / "new", project_name="  The Big (New) Thing! ")

        text = (tmp_path / "new/pyproject.toml").read_text()
        assert tomllib.loads(text)["project"]["name"] == "the-big-new-thing"

    def test_default_name(self, tmp_path: Path) -> None:
        copy(tmp_path / "acme-orders")

        answers = yaml.safe_load((tmp_path / "acme-orders/.copier-answers.yml").read_text())
        assert answers["project_name"] == "Acme Orders"
        assert answers["project_slug"] == "acme-orders"


def test_existing_files_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine\n")
    (tmp_path / "pyproject.toml").write_text("mine = true\n")

    # Without a terminal, Copier cannot ask, so it fails.
    done = subprocess.run(
        [sys.executable, "-m", "copier", "copy", "--defaults", "--vcs-ref", "HEAD", str(ROOT), "."],
        cwd=tmp_path, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip

    assert done.returncode != 0
    assert (tmp_path / "README.md").read_text() == "mine\n"
    assert (tmp_path / "pyproject.toml").read_text() == "mine = true\n"


class TestSettingsOfCopier:
    def test_no_trust_required(self) -> None:
        content = yaml.safe_load((ROOT / "copier.yml").read_text())

        assert not {"_tasks", "_migrations", "_jinja_extensions"} & set(content)

    def test_every_question_has_help_and_default(
        self, questions: dict[str, dict[str, object]]
    ) -> None:
        assert len(questions) == 12
        for name, question in questions.items():
            assert question["help"], name
            assert "default" in question, name
            free_text = question["type"] == "str" and "choices" not in question
            assert not free_text or "validator" in question, name

    def test_reserved_slugs(self, questions: dict[str, dict[str, object]], tmp_path: Path) -> None:
        validator = str(questions["project_slug"]["validator"])
        reserved = set(re.search(r"in '([^']*)'\.split", validator)[1].split())  # type: ignore[index]
        copy(tmp_path / "new", **FULL.answers)
        dependencies: list[str] = []
        for file in ("pyproject.toml", "tooling/pyproject.toml"):
            content = tomllib.loads((tmp_path / "new" / file).read_text())
            dependencies += content["project"]["dependencies"]
            for table in ("dependency-groups", "project.optional-dependencies"):
                found = functools.reduce(
                    lambda part, key: part.get(key, {}), table.split("."), content
                )
                dependencies += [name for group in found.values() for name in group]

        names = {re.split(r"[^A-Za-z0-9-]", dependency)[0] for dependency in dependencies}
        keywords = {word.lower() for word in keyword.kwlist}
        # A project with one of these names could not be installed, or would hide a program.
        # The indirect dependencies are reserved too, as far as they are known.
        assert names | keywords | PROGRAMS <= reserved
        assert {"starlette", "pydantic-core"} <= reserved


def test_no_jinja_extensions(tmp_path: Path) -> None:
    script = (
        "import sys; from copier import run_copy;"
        f"run_copy({str(ROOT)!r}, {str(tmp_path / 'new')!r}, defaults=True, quiet=True, vcs_ref='HEAD');"
        "assert 'jinja2_time' not in sys.modules"
    )

    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True)


def test_python_templates_are_valid_python() -> None:
    templates = list((ROOT / "template").rglob("*.py[.']*jinja"))

    assert 0 < len(templates) <= 10
    for path in templates:
        ast.parse(path.read_text(), filename=str(path))


def test_message_after_copy(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "copier", "copy", "--defaults", "--vcs-ref", "HEAD", str(ROOT), str(tmp_path / "my-shop")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert "uv run my-shop dev" in done.stderr
    assert "git init -b main && " in done.stderr  # CI runs on this branch


def test_answers_file(tmp_path: Path) -> None:
    copy(tmp_path / "new", redis=False)

    answers = yaml.safe_load((tmp_path / "new/.copier-answers.yml").read_text())
    assert answers["_src_path"] == str(ROOT)
    assert answers["_commit"]
    assert answers["redis"] is False
    assert Project(tmp_path / "new", {}).files() >= {".copier-answers.yml", "LICENSE"}
