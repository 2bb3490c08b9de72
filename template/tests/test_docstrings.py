import doctest
from importlib import import_module
from pathlib import Path

import pytest

MODULES = sorted(
    ".".join(path.relative_to("src").with_suffix("").parts)
    for path in Path("src").rglob("*.py")
    if ">>>" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(import_module(name))

    assert result.attempted
    assert result.failed == 0
