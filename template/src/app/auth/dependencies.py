from typing import Annotated

from fastapi import Depends
from fastapi.security import OAuth2PasswordBearer

from app.auth.exceptions import NotAuthenticated
from app.auth.models import User
from app.auth.service import UserService
from app.auth.tokens import read_access_token
from app.database import SessionDep
from app.kit.problems import raises
from app.kit.state import SettingsDep

# Relative, so that the Authorize button works behind a proxy's prefix too.
bearer = OAuth2PasswordBearer(tokenUrl="api/v1/auth/token", auto_error=False)

Users = Annotated[UserService, Depends()]


@raises(NotAuthenticated)
async def get_current_user(
    token: Annotated[str | None, Depends(bearer)], session: SessionDep, settings: SettingsDep
) -> User:
    """Give a request the user who makes it.

    Raises:
        NotAuthenticated: There is no valid token, or its user is gone or deactivated.
    """
    user_id = read_access_token(token, settings.auth) if token else None
    user = await session.get(User, user_id) if user_id else None
    if user is None or not user.is_active:
        raise NotAuthenticated
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]
