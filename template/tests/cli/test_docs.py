import pytest
from typer.testing import CliRunner

from app.cli import docs
from app.cli.main import app


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["build"], ("mkdocs", "build", "--strict")),
        (["serve", "--port", "9001"], ("mkdocs", "serve", "--dev-addr", "127.0.0.1:9001")),
    ],
)
def test_runs_mkdocs(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], command: tuple[str, ...]
) -> None:
    seen = []
    monkeypatch.setattr(docs, "run", lambda *given: seen.append(given) or 3)  # type: ignore[func-returns-value]

    result = CliRunner().invoke(app, ["docs", *arguments])

    assert seen == [command]
    assert result.exit_code == 3


def test_faulty_build_is_not_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs, "MIKE", ["false"])
    monkeypatch.setattr(docs, "BRANCH", "no-such-branch")

    result = CliRunner().invoke(app, ["docs", "deploy", "1.2", "--remote", "nowhere"])

    assert result.exit_code == 1
    assert "published" not in result.stdout
