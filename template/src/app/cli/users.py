"""`users`: accounts, for who can reach the database. Passwords are asked for, never given as arguments."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import console, fail, load_settings
from app.cli.database import database_url

if TYPE_CHECKING:
    from app.auth.service import UserService

app = typer.Typer(help="Accounts.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="Their e-mail address.")]


def with_users(work: "Callable[[UserService], Awaitable[None]]") -> None:
    """Do something with the accounts, in one transaction on the database of the settings."""
    import asyncio  # noqa: PLC0415

    async def connect_and_work(url: str) -> None:
        async with users_at(url) as users:
            await work(users)

    with database_url() as url:
        asyncio.run(connect_and_work(url))


@asynccontextmanager
async def users_at(url: str) -> "AsyncIterator[UserService]":
    """Give the accounts of a database, and commit what is done to them.

    Args:
        url: With the async driver.
    """
    from pydantic import SecretStr  # noqa: PLC0415

    from app.auth.service import UserService  # noqa: PLC0415
    from app.database import create_engine, create_session_factory  # noqa: PLC0415

    settings = load_settings()
    database = settings.database.model_copy(update={"url": SecretStr(url)})
    engine = create_engine(database)
    try:
        async with create_session_factory(engine)() as session, session.begin():
            yield UserService(session, settings)
    finally:
        await engine.dispose()


def ask_password() -> str:
    """Ask for a new password, twice."""
    from app.auth.constants import MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH  # noqa: PLC0415

    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        fail(f"A password has {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters.")
    return password


@app.command()
def create(
    email: Email,
    superuser: Annotated[bool, typer.Option("--superuser", help="May do everything.")] = False,
) -> None:
    """Open an account, with its address confirmed.

    Example: users create ada@example.com --superuser
    """
    from datetime import UTC, datetime  # noqa: PLC0415

    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415

    from app.auth.schemas import Email as EmailType  # noqa: PLC0415

    try:
        address: str = TypeAdapter(EmailType).validate_python(email)
    except ValidationError:
        fail(f"{email} is no e-mail address.")
    password = ask_password()

    async def work(users: "UserService") -> None:
        user = await users.register(address, password)
        if user is None:
            fail(f"There is an account {address}.")
        user.email_verified_at = datetime.now(UTC)
        user.is_superuser = superuser
        console.print(f"Opened the account {address}.")

    with_users(work)


@app.command(name="list")
def list_() -> None:
    """List the accounts, the newest first.

    Example: users list
    """
    from rich.table import Table  # noqa: PLC0415

    from app.kit.pagination import MAX_LIMIT, PageParams  # noqa: PLC0415

    table = Table("e-mail", "confirmed", "active", "superuser", "since")

    async def work(users: "UserService") -> None:
        cursor = None
        while True:
            page = await users.page(PageParams(limit=MAX_LIMIT, cursor=cursor))
            for user in page.data:
                marks = (user.email_verified, user.is_active, user.is_superuser)
                yes_no = ["yes" if mark else "no" for mark in marks]
                table.add_row(user.email, *yes_no, f"{user.created_at:%Y-%m-%d}")
            cursor = page.next_cursor
            if cursor is None:
                break

    with_users(work)
    console.print(table)


@app.command()
def promote(email: Email) -> None:
    """Make somebody a superuser.

    Example: users promote ada@example.com
    """

    async def work(users: "UserService") -> None:
        user = await users.find_by_email(email)
        if user is None:
            fail(f"There is no account {email}.")
        user.is_superuser = True
        console.print(f"{user.email} is a superuser.")

    with_users(work)


@app.command()
def reset_password(email: Email) -> None:
    """Set somebody's password, and sign them out everywhere.

    Example: users reset-password ada@example.com
    """
    password = ask_password()

    async def work(users: "UserService") -> None:
        user = await users.find_by_email(email)
        if user is None:
            fail(f"There is no account {email}.")
        await users.set_password(user, password)
        console.print(f"Set the password of {user.email}.")

    with_users(work)
