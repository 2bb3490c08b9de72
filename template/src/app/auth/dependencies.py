from typing import Annotated
from uuid import UUID

from fastapi import Depends
from fastapi.security import OAuth2PasswordBearer

from app.auth.exceptions import NotAuthenticated, SuperuserRequired, UserNotFound
from app.auth.models import User
from app.auth.refresh import RefreshTokenService
from app.auth.service import UserService
from app.auth.tokens import read_access_token
from app.database import SessionDep
from app.kit.problems import raises
from app.kit.routing import async_dependency
from app.kit.state import SettingsDep

# Relative, so that the Authorize button works behind a proxy's prefix too.
bearer = OAuth2PasswordBearer(tokenUrl="api/v1/auth/token", auto_error=False)

Users = Annotated[UserService, Depends(async_dependency(UserService))]
RefreshTokens = Annotated[RefreshTokenService, Depends(async_dependency(RefreshTokenService))]


@raises(NotAuthenticated)
async def get_current_user(
    token: Annotated[str | None, Depends(bearer)], session: SessionDep, settings: SettingsDep
) -> User:
    """Give a request the user who makes it.

    Raises:
        NotAuthenticated: There is no valid token, or its user is gone, deactivated or signed out.
    """
    access = read_access_token(token, settings.auth) if token else None
    user = await session.get(User, access.user_id) if access else None
    if user is None or access is None or not user.is_active:
        raise NotAuthenticated
    if user.token_version != access.version:
        raise NotAuthenticated
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]


@raises(SuperuserRequired)
async def get_superuser(user: CurrentUser) -> User:
    """Give a request the superuser who makes it.

    Raises:
        SuperuserRequired: It is somebody else.
    """
    if not user.is_superuser:
        raise SuperuserRequired
    return user


Superuser = Annotated[User, Depends(get_superuser)]


@raises(UserNotFound)
async def valid_user_id(user_id: UUID, _superuser: Superuser, users: Users) -> User:
    """Turn the id in the path into the user, for superusers."""
    return await users.find(user_id)


ValidUser = Annotated[User, Depends(valid_user_id)]
