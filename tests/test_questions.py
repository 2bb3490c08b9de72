"""What may be answered, and what happens when it may not."""

import ast
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


def copy(destination: Path, **answers: object) -> None:
    # Without `unsafe`: it would fail if a person needed --trust.
    run_copy(str(ROOT), destination, data=answers, defaults=True, quiet=True, vcs_ref="HEAD")


class TestBadAnswer:
    @pytest.mark.parametrize(
        ("question", "answer", "sentence"),
        [
            ("project_name", "", "Give the project a name."),
            ("project_name", "   ", "Give the project a name."),
            ("project_name", "x" * 200, "Keep the name under 100 characters."),
            ("project_name", 'Say "hi"', "without quotation marks"),
            ("project_name", "a\nb", "on one line"),
            ("project_name", "{{ 7 * 7 }}", "braces"),
            ("project_slug", "class", "class is a word of Python"),
            ("project_slug", "app", "app is a word"),
            ("project_slug", "fastapi", "fastapi is a word"),
            ("project_slug", "my app", "lower-case letters"),
            ("project_slug", "1st", "lower-case letters"),
            ("project_slug", "Ünï", "lower-case letters"),
            ("project_slug", "-x", "lower-case letters"),
            ("project_slug", "x" * 51, "under 50 characters"),
            ("project_description", 'the "best"', "without quotation marks"),
            ("project_description", "x" * 201, "at most 200"),
            ("author_name", "", "1 to 100 characters"),
            ("author_email", "ada", "no e-mail address"),
            ("author_email", "ada@localhost", "no e-mail address"),
            ("github_owner", "-acme", "A GitHub name"),
            ("license", "GPL", "not in"),
            ("python_version", "3.11", "not in"),
        ],
    )
    def test_gets_a_sentence_and_nothing_is_written(
        self, tmp_path: Path, question: str, answer: str, sentence: str
    ) -> None:
        with pytest.raises((CopierError, ValueError)) as caught:
            copy(tmp_path / "new", **{question: answer})

        assert sentence in str(caught.value)
        assert question in str(caught.value)
        assert not (tmp_path / "new").exists()

    def test_accounts_without_database(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="switch database on too"):
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


class TestGoodAnswer:
    @pytest.mark.parametrize(
        "answers",
        [
            {"project_name": "X", "project_slug": "x"},
            {"project_name": "x" * 100, "project_slug": "x" * 50},
            {"project_name": "Ünï: #1 & Söhne (50 % off)", "project_slug": "uni"},
            {"project_description": "It's 100 % {fine}: #really, a & b < c."},
            {"license": "Apache-2.0"},
            {"license": "proprietary"},
        ],
        ids=lambda answers: "-".join(answers.values())[:30],
    )
    def test_gives_files_that_are_well_formed_and_formatted(
        self, tmp_path: Path, answers: dict[str, str]
    ) -> None:
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
        # What is asked for in pyproject.toml is what LICENSE says.
        licenses = {"MIT": "MIT License", "Apache-2.0": "Apache License"}
        license_text = (tmp_path / "new/LICENSE").read_text()
        expected = licenses.get(str(project["license"]), "All rights reserved.")
        assert expected in license_text

    def test_slug_is_made_from_the_name(self, tmp_path: Path) -> None:
        copy(tmp_path / "new", project_name="  The Big (New) Thing! ")

        text = (tmp_path / "new/pyproject.toml").read_text()
        assert tomllib.loads(text)["project"]["name"] == "the-big-new-thing"

    def test_name_is_made_from_the_folder(self, tmp_path: Path) -> None:
        copy(tmp_path / "acme-orders")

        answers = yaml.safe_load((tmp_path / "acme-orders/.copier-answers.yml").read_text())
        assert answers["project_name"] == "Acme Orders"
        assert answers["project_slug"] == "acme-orders"


def test_destination_that_is_not_empty_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine\n")
    (tmp_path / "pyproject.toml").write_text("mine = true\n")

    # As on a terminal that nobody sits at: Copier asks before it overwrites.
    done = subprocess.run(
        [sys.executable, "-m", "copier", "copy", "--defaults", "--vcs-ref", "HEAD", str(ROOT), "."],
        cwd=tmp_path, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip

    assert done.returncode != 0
    assert (tmp_path / "README.md").read_text() == "mine\n"
    assert (tmp_path / "pyproject.toml").read_text() == "mine = true\n"


class TestSettingsOfCopier:
    def test_nothing_needs_trust(self) -> None:
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
        text = (tmp_path / "new/pyproject.toml").read_text()
        groups = tomllib.loads(text)["dependency-groups"].values()
        wanted = [*tomllib.loads(text)["project"]["dependencies"], *(d for g in groups for d in g)]

        names = {re.split(r"[^A-Za-z0-9-]", dependency)[0] for dependency in wanted}
        assert names <= reserved
        assert {word.lower() for word in keyword.kwlist} <= reserved


def test_no_jinja_extension_is_loaded_to_render(tmp_path: Path) -> None:
    script = (
        "import sys; from copier import run_copy;"
        f"run_copy({str(ROOT)!r}, {str(tmp_path / 'new')!r}, defaults=True, quiet=True, vcs_ref='HEAD');"
        "assert 'jinja2_time' not in sys.modules"
    )

    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True)


def test_python_templates_are_few_and_python_where_they_lie() -> None:
    templates = list((ROOT / "template").rglob("*.py.jinja"))

    assert 0 < len(templates) <= 10
    for path in templates:
        ast.parse(path.read_text(), filename=str(path))


def test_message_names_the_next_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "copier", "copy", "--defaults", "--vcs-ref", "HEAD", str(ROOT), str(tmp_path / "my-shop")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert "uv run my-shop dev" in done.stderr


def test_answers_are_kept_for_updates(tmp_path: Path) -> None:
    copy(tmp_path / "new", redis=False)

    answers = yaml.safe_load((tmp_path / "new/.copier-answers.yml").read_text())
    assert answers["_src_path"] == str(ROOT)
    assert answers["_commit"]
    assert answers["redis"] is False
    assert Project(tmp_path / "new", {}).files() >= {".copier-answers.yml", "LICENSE"}
