from typing import Annotated
from uuid import UUID

from fastapi import Depends
from fastapi.requests import HTTPConnection
from fastapi.security import OAuth2PasswordBearer
from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import make_transient_to_detached
from sqlalchemy.orm.attributes import instance_dict

from app.auth import models
from app.auth.events import SecurityLogDep
from app.auth.exceptions import NotAuthenticated, SuperuserRequired, UserNotFound
from app.auth.service import UserService
from app.auth.sessions import SessionService
from app.auth.tokens import read_access_token
from app.database import SessionDep
from app.kit.problems import ServiceUnavailable, raises
from app.kit.state import SettingsDep
from app.reader import get_reader

USER_OF_SESSION = (
    select(*models.User.__table__.columns)
    .join(models.Session, models.Session.user_id == models.User.id)
    .where(
        models.Session.id == bindparam("session_id"),
        models.Session.expires_at > func.now(),
        models.User.is_active,
    )
)


class SignedInUser(OAuth2PasswordBearer):
    """The user whose access token the request has."""

    # One dependency instead of two: each takes time, and most requests have this one.
    async def __call__(self, request: HTTPConnection) -> models.User:  # type: ignore[override]
        """Return the authenticated user. To change it, lock it: `users.lock(user.id)`.

        Raises:
            NotAuthenticated: The access token is missing, invalid or revoked, or the user is inactive.
            ServiceUnavailable: The database is unavailable.
        """
        session_id = await self.session_id(request)
        if session_id is None:
            raise NotAuthenticated
        reader = await get_reader(request)
        row = await reader.first(USER_OF_SESSION, session_id=session_id)
        if row is None:
            raise NotAuthenticated
        user = models.User()
        instance_dict(user).update(row)  # setting the attributes would record changes
        # A new row of another model can reference it, without a second INSERT of the user.
        make_transient_to_detached(user)
        return user

    async def session_id(self, request: HTTPConnection) -> UUID | None:
        """Return the ID of the session that the token names, if it is valid."""
        token = await super().__call__(request)
        return read_access_token(token, request.app.state.settings.auth) if token else None


get_current_user = SignedInUser(
    # A relative URL, so that the Authorize button works behind a proxy that adds a prefix.
    tokenUrl="api/v1/auth/token",
    scheme_name=OAuth2PasswordBearer.__name__,
    auto_error=False,
)
raises(NotAuthenticated, ServiceUnavailable)(get_current_user)

CurrentUser = Annotated[models.User, Depends(get_current_user)]
CurrentSessionId = Annotated[UUID | None, Depends(get_current_user.session_id)]


async def get_session_service(
    session: SessionDep, settings: SettingsDep, log: SecurityLogDep
) -> SessionService:
    """Return the session service."""
    return SessionService(session, settings, log)


Sessions = Annotated[SessionService, Depends(get_session_service)]


async def get_user_service(
    session: SessionDep, settings: SettingsDep, log: SecurityLogDep
) -> UserService:
    """Return the user service."""
    return UserService(session, settings, log)


Users = Annotated[UserService, Depends(get_user_service)]


@raises(SuperuserRequired)
async def get_superuser(user: CurrentUser) -> models.User:
    """Return the authenticated user, who must be a superuser.

    Raises:
        SuperuserRequired: The user is not a superuser.
    """
    if not user.is_superuser:
        raise SuperuserRequired
    return user


Superuser = Annotated[models.User, Depends(get_superuser)]


@raises(UserNotFound)
async def valid_user_id(user_id: UUID, _superuser: Superuser, users: Users) -> models.User:
    """Return the user with the ID in the path, for superusers."""
    return await users.get(user_id)


ValidUser = Annotated[models.User, Depends(valid_user_id)]
