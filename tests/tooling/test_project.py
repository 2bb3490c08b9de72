import pytest
from fastship_tooling import project

from app.cli.console import ROOT


@pytest.mark.parametrize(
    ("found", "file"),
    [
        (project.HAS_DATABASE, "src/app/database.py"),
        (project.HAS_REDIS, "src/app/kit/redis.py"),
        (project.HAS_AUTH, "src/app/auth/router.py"),
        (project.HAS_DOCS, "mkdocs.yml"),
    ],
    ids=["database", "redis", "auth", "docs"],
)
def test_optional_parts(found: bool, file: str) -> None:
    assert found is (ROOT / file).exists()
