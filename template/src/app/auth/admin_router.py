"""Administration of accounts, for superusers."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.auth import schemas
from app.auth.dependencies import Superuser, Users, ValidUser
from app.auth.events import SecurityLogDep
from app.auth.exceptions import LastSuperuser
from app.kit.pagination import Page, PageQuery
from app.kit.problems import raises
from app.kit.schemas import NO_NUL

router = APIRouter(prefix="/auth/users", tags=["users"])


@router.get("", summary="List users")
async def list_users(
    page: PageQuery,
    users: Users,
    _superuser: Superuser,
    email: Annotated[
        str | None,
        Query(max_length=200, pattern=NO_NUL, description="Part of the email address."),
    ] = None,
) -> Page[schemas.Account]:
    """Return a page of users, newest first."""
    return await users.get_page(page, email=email)


@router.get("/{user_id}", summary="Get a user")
async def get_user(user: ValidUser) -> schemas.Account:
    """Return one user."""
    return schemas.Account.model_validate(user)


@router.patch("/{user_id}", summary="Activate or deactivate a user")
@raises(LastSuperuser)
async def update_user(
    user: ValidUser, data: schemas.AccountUpdate, users: Users
) -> schemas.Account:
    """Activate or deactivate a user. Deactivating revokes all sessions of the user."""
    changed = await users.set_active(user, active=data.is_active)
    return schemas.Account.model_validate(changed)


@router.get("/{user_id}/events", summary="List the security events of a user")
async def list_user_events(
    user: ValidUser, page: PageQuery, log: SecurityLogDep
) -> Page[schemas.SecurityEvent]:
    """Return a page of the security events of a user, newest first."""
    return await log.get_page(user.id, page)
