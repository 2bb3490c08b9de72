"""`users`: manage accounts. Passwords are prompted for, and are never arguments."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import CLIError, console, fail, load_settings, table
from app.cli.db import database_url

if TYPE_CHECKING:
    from app.auth.models import User
    from app.auth.service import UserService

app = typer.Typer(help="Manage accounts.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="Email address of the account.")]


def with_users(work: "Callable[[UserService], Awaitable[None]]") -> None:
    """Call a function with the user service, in one transaction."""
    import asyncio

    async def connect_and_work(url: str) -> None:
        async with users_of(url) as users:
            await work(users)

    with database_url() as url:
        asyncio.run(connect_and_work(url))


@asynccontextmanager
async def users_of(url: str) -> "AsyncIterator[UserService]":
    """Open the user service of a database, and commit at the end.

    Args:
        url: Database URL, with the async driver.

    Raises:
        CLIError: The service rejects something, such as a weak password.
    """
    from fastapi.exceptions import RequestValidationError
    from pydantic import SecretStr

    from app.auth.events import Client, SecurityLog
    from app.auth.service import UserService
    from app.database import create_engine, create_session_factory
    from app.kit.problems import Problem

    settings = load_settings()
    database = settings.database.model_copy(update={"url": SecretStr(url)})
    engine = create_engine(database)
    try:
        async with create_session_factory(engine)() as session:
            log = SecurityLog(session, Client("command line", ""))
            yield UserService(session, settings, log)
            await session.commit()
    except RequestValidationError as error:
        raise CLIError(error.errors()[0]["msg"]) from error
    except Problem as problem:
        raise CLIError(str(problem)) from problem
    finally:
        await engine.dispose()


async def find(users: "UserService", email: str) -> "User":
    """Return the user with an address.

    Raises:
        CLIError: There is no such account.
    """
    user = await users.find_by_email(email)
    if user is None:
        raise CLIError(f"There is no account {email}. List the accounts: users list")
    return user


def prompt_password() -> str:
    """Prompt for a new password, twice."""
    from app.auth.constants import MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH

    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        fail(f"Use a password of {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters.")
    return password


@app.command()
def create(
    email: Email,
    superuser: Annotated[bool, typer.Option("--superuser", help="Create a superuser.")] = False,
) -> None:
    """Create an account with a verified address.

    Example: users create ada@example.com --superuser
    """
    from datetime import UTC, datetime

    from pydantic import TypeAdapter, ValidationError

    from app.auth.schemas import Email as EmailType

    try:
        address: str = TypeAdapter(EmailType).validate_python(email)
    except ValidationError:
        fail(f"{email} is not a valid email address.")
    password = prompt_password()

    async def work(users: "UserService") -> None:
        user = await users.register(address, password)
        if user is None:
            fail(
                f"{address} already has an account. Set its password: users reset-password {address}"
            )
        user.email_verified_at = datetime.now(UTC)
        user.is_superuser = superuser
        console.print(f"Created the account {address}.")

    with_users(work)


@app.command(name="list")
def list_() -> None:
    """List the accounts, newest first.

    Example: users list
    """
    from app.kit.pagination import MAX_LIMIT, PageParams

    rows = table("Email", "Verified", "Active", "Superuser", "Created")

    async def work(users: "UserService") -> None:
        params = PageParams(limit=MAX_LIMIT)
        while True:
            page = await users.get_page(params)
            for user in page.data:
                flags = (user.email_verified, user.is_active, user.is_superuser)
                yes_no = ["yes" if flag else "no" for flag in flags]
                rows.add_row(user.email, *yes_no, f"{user.created_at:%Y-%m-%d}")
            if page.next_cursor is None:
                break
            params = PageParams(limit=MAX_LIMIT, cursor=page.next_cursor)

    with_users(work)
    console.print(rows)


@app.command()
def promote(email: Email) -> None:
    """Promote a user to superuser.

    Example: users promote ada@example.com
    """

    async def work(users: "UserService") -> None:
        user = await find(users, email)
        await users.promote(user)
        console.print(f"{user.email} is now a superuser.")

    with_users(work)


@app.command()
def activate(email: Email) -> None:
    """Activate a user, who can sign in again.

    Example: users activate ada@example.com
    """
    _set_active(email, active=True)


@app.command()
def deactivate(email: Email) -> None:
    """Deactivate a user and revoke all sessions.

    Example: users deactivate ada@example.com
    """
    _set_active(email, active=False)


def _set_active(email: str, *, active: bool) -> None:
    async def work(users: "UserService") -> None:
        user = await find(users, email)
        await users.set_active(user, active=active)
        console.print(f"{user.email} is now {'active' if active else 'inactive'}.")

    with_users(work)


@app.command()
def reset_password(email: Email) -> None:
    """Set the password of a user and revoke all sessions.

    Example: users reset-password ada@example.com
    """
    password = prompt_password()

    async def work(users: "UserService") -> None:
        user = await find(users, email)
        await users.set_password(user, password)
        console.print(f"Set the password of {user.email}.")

    with_users(work)
