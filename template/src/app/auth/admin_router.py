"""Other people's accounts, for superusers."""

from typing import Annotated

from fastapi import Query

from app.auth.dependencies import Superuser, Users, ValidUser
from app.auth.schemas import AccountUpdate, AccountView
from app.kit.pagination import Page, PageQuery
from app.kit.routing import Router
from app.kit.schemas import NO_NUL

router = Router(prefix="/auth/users", tags=["users"])


@router.get("")
async def list_users(
    page: PageQuery,
    users: Users,
    _superuser: Superuser,
    email: Annotated[
        str | None,
        Query(max_length=200, pattern=NO_NUL, description="What the address must contain."),
    ] = None,
) -> Page[AccountView]:
    """List the users, the newest first."""
    return await users.page(page, email=email)


@router.get("/{user_id}")
async def read_user(user: ValidUser) -> AccountView:
    """Read a user."""
    return AccountView.model_validate(user)


@router.patch("/{user_id}")
async def update_user(user: ValidUser, data: AccountUpdate, users: Users) -> AccountView:
    """Deactivate a user, which signs them out everywhere at once, or let them in again."""
    await users.set_active(user, active=data.is_active)
    return AccountView.model_validate(user)
