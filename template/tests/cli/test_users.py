import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import delete
from typer.testing import CliRunner

from app.auth.models import User
from app.cli import users
from app.cli.main import app
from app.kit.pagination import PageParams

runner = CliRunner()
PASSWORD = "correct horse battery"
TWICE = f"{PASSWORD}\n{PASSWORD}\n"


@pytest.fixture(autouse=True)
def no_users(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[None]:
    monkeypatch.setenv("APP_ENVIRONMENT", "development")
    monkeypatch.setenv("DATABASE_URL", database_url)
    yield

    async def clear() -> None:
        async with users.users_of(database_url) as service:
            await service.session.execute(delete(User))

    asyncio.run(clear())


def run(*arguments: str, stdin: str = "", code: int = 0) -> str:
    result = runner.invoke(app, ["users", *arguments], input=stdin)
    assert result.exit_code == code, result.output
    assert PASSWORD not in result.output
    return result.output


def recorded(url: str, email: str) -> list[str]:
    """Return the security events of an account, oldest first."""

    async def read() -> list[str]:
        async with users.users_of(url) as service:
            user = await users.find(service, email)
            page = await service.log.get_page(user.id, PageParams())
            return [event.kind for event in reversed(page.data)]

    return asyncio.run(read())


def test_life_of_an_account(database_url: str) -> None:
    assert "ada@example.com" in run("create", "Ada@Example.com", "--superuser", stdin=TWICE)
    run("create", "eve@example.com", stdin=TWICE)
    for _ in range(2):
        assert "is now a superuser" in run("promote", "EVE@example.com")
    assert "Set the password" in run("reset-password", "eve@example.com", stdin=TWICE)

    assert "last active superuser" not in run("deactivate", "eve@example.com")
    assert "is now active" in run("activate", "eve@example.com")
    run("activate", "eve@example.com")
    run("deactivate", "ada@example.com")
    assert "last active superuser" in run("deactivate", "eve@example.com", code=1)
    listed = run("list")

    assert listed.index("eve@example.com") < listed.index("ada@example.com")
    # The commands that changed nothing are not recorded.
    assert recorded(database_url, "eve@example.com") == [
        *("registered", "promoted", "password_reset", "deactivated", "activated")
    ]


def test_existing_account() -> None:
    run("create", "ada@example.com", stdin=TWICE)

    assert "already has an account. Set its password: users" in run(
        "create", "ADA@example.com", stdin=TWICE, code=1
    )


def test_unknown_account() -> None:
    assert "no account" in run("promote", "nobody@example.com", code=1)
    assert "no account" in run("reset-password", "nobody@example.com", stdin=TWICE, code=1)


def test_invalid_address() -> None:
    assert "not a valid email address" in run("create", "nobody", code=1)


def test_short_password() -> None:
    assert "8 to 128" in run("create", "ada@example.com", stdin="short\nshort\n", code=1)


def test_common_password() -> None:
    twice = "password\npassword\n"

    assert "too common" in run("create", "ada@example.com", stdin=twice, code=1)
