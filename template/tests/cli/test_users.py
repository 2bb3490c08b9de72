import asyncio

import pytest
from sqlalchemy import delete
from typer.testing import CliRunner

from app.auth.models import User
from app.cli import users
from app.cli.main import app

runner = CliRunner()
PASSWORD = "correct horse battery"
TWICE = f"{PASSWORD}\n{PASSWORD}\n"


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch, database_url: str):  # type: ignore[no-untyped-def]  # noqa: ANN201
    monkeypatch.setenv("APP_ENVIRONMENT", "development")
    monkeypatch.setenv("DATABASE_URL", database_url)
    yield

    async def clear() -> None:
        async with users.users_at(database_url) as service:
            await service.session.execute(delete(User))

    asyncio.run(clear())


def run(*arguments: str, given: str = "", code: int = 0) -> str:
    result = runner.invoke(app, ["users", *arguments], input=given)
    assert result.exit_code == code, result.output
    assert PASSWORD not in result.output
    return result.output


def test_life_of_an_account() -> None:
    assert "ada@example.com" in run("create", "Ada@Example.com", "--superuser", given=TWICE)
    run("create", "eve@example.com", given=TWICE)
    assert "is a superuser" in run("promote", "EVE@example.com")
    assert "Set the password" in run("reset-password", "eve@example.com", given=TWICE)

    listed = run("list")

    assert listed.index("eve@example.com") < listed.index("ada@example.com")


def test_account_that_is_there_already() -> None:
    run("create", "ada@example.com", given=TWICE)

    assert "There is an account" in run("create", "ADA@example.com", given=TWICE, code=1)


def test_nobody() -> None:
    assert "no account" in run("promote", "nobody@example.com", code=1)
    assert "no account" in run("reset-password", "nobody@example.com", given=TWICE, code=1)


def test_no_address() -> None:
    assert "no e-mail address" in run("create", "nobody", code=1)


def test_short_password() -> None:
    assert "8 to 128" in run("create", "ada@example.com", given="short\nshort\n", code=1)
