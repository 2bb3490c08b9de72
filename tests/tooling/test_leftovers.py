from pathlib import Path

import pytest
from fastship_tooling.doctor import check_code
from fastship_tooling.errors import print_error
from fastship_tooling.leftovers import find_leftovers
from fastship_tooling.project import HAS_DATABASE

from tests.tooling.conftest import Git

ROUTER = Path("src/app/invoices/router.py")


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(autouse=True)
def code(folder: Path) -> Path:
    write(Path("src/app/kit/__init__.py"), '"""Building blocks."""')
    write(Path("src/app/kit/problems.py"))
    write(Path("src/app/accounts/__pycache__/models.pyc"))
    return folder


class TestFind:
    @pytest.mark.parametrize(
        ("line", "missing"),
        [
            ("import app.kit.redis", ["app.kit.redis"]),
            ("from app.kit.redis import CacheDep", ["app.kit.redis"]),
            ("from app.kit import problems, redis", ["app.kit.redis"]),
            ("def later():\n    from app.accounts.models import User", ["app.accounts.models"]),
            ("from tests.accounts import factories", ["tests.accounts"]),
            ("<<<<<<< before updating\n=======\n>>>>>>> after", ["conflict (<<<<<<<)"]),
        ],
    )
    def test_leftover(self, line: str, missing: list[str]) -> None:
        write(ROUTER, line)

        assert find_leftovers() == {ROUTER: missing}

    @pytest.mark.parametrize(
        "line",
        [
            "from app.kit.problems import Problem",
            "from app.kit import problems",
            "from . import schemas",
            "import sqlalchemy",
            "def unfinished(",
        ],
    )
    def test_other_code(self, line: str) -> None:
        write(ROUTER, line)

        assert find_leftovers() == {}

    def test_names_of_a_package(self) -> None:
        write(Path("src/app/kit/__init__.py"), "VERSION = 1")
        write(ROUTER, "from app.kit import VERSION")

        assert find_leftovers() == {}


class TestReports:
    def test_doctor(self) -> None:
        write(ROUTER, "from app.kit.redis import CacheDep")

        finding = check_code()

        assert f"  {ROUTER}: app.kit.redis" in finding.summary
        assert "feature new invoices" not in finding.fix  # it is not a domain with a table
        assert "git diff" not in finding.fix  # there is no example
        assert finding.required

    def test_removed_example(self) -> None:
        write(Path("tests/items/test_router.py"), "from app.kit.redis import CacheDep")

        finding = check_code()

        assert "Delete them: rm -r tests/items" in finding.fix

        write(Path("src/app/items/service.py"))
        assert "Delete them: rm -r src/app/items tests/items" in check_code().fix

    def test_conflicts(self, git: Git) -> None:
        git("init")
        for name in ("docs/index.md", "pyproject.toml", "src/app/kit/__init__.py", "fine.md"):
            write(Path(name), "" if name == "fine.md" else "<<<<<<< before updating\n")
        write(ROUTER, "from app.kit import problems")
        git("add", ".")

        summary = check_code().summary

        for name in ("docs/index.md", "pyproject.toml", "src/app/kit/__init__.py"):
            assert f"  {name}: conflict (<<<<<<<)" in summary
        assert "fine.md" not in summary

    def test_dev(self, capsys: pytest.CaptureFixture[str]) -> None:
        write(ROUTER, "from app.kit.redis import CacheDep")

        print_error(ModuleNotFoundError("No module named 'app.kit.redis'"))

        assert f"  {ROUTER}: app.kit.redis" in capsys.readouterr().err

    def test_broken_tests(self, capsys: pytest.CaptureFixture[str]) -> None:
        # They are no reason why the application does not start.
        write(Path("tests/invoices/test_router.py"), "from app.kit.redis import CacheDep")

        print_error(ValueError("another reason"))

        assert capsys.readouterr().err.strip() == "ValueError: another reason"
        assert check_code().required

    @pytest.mark.skipif(HAS_DATABASE, reason="the project has a database")
    def test_migrations(self) -> None:
        write(Path("src/app/migrations/versions/0001_initial.py"))

        assert check_code().fix == "delete the folder"

    def test_nothing(self) -> None:
        assert check_code().fix == ""
