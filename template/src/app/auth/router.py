from typing import Annotated

from fastapi import APIRouter, Depends, status
from fastapi.security import OAuth2PasswordRequestForm

from app.auth.dependencies import CurrentUser, Users
from app.auth.exceptions import EmailTaken, WrongCredentials
from app.auth.schemas import AccessToken, User, UserCreate
from app.auth.tokens import create_access_token
from app.kit.problems import raises
from app.kit.state import SettingsDep

router = APIRouter(prefix="/auth", tags=["auth"])


@router.post("/register", status_code=status.HTTP_201_CREATED)
@raises(EmailTaken)
async def register(data: UserCreate, users: Users) -> User:
    """Open an account."""
    return await users.register(data)


@router.post("/token")
@raises(WrongCredentials)
async def create_token(
    form: Annotated[OAuth2PasswordRequestForm, Depends()], users: Users, settings: SettingsDep
) -> AccessToken:
    """Sign in: give the e-mail address as `username`, and get an access token."""
    user = await users.authenticate(form.username, form.password)
    return AccessToken(
        access_token=create_access_token(user.id, settings.auth),
        expires_in=settings.auth.access_token_minutes * 60,
    )


@router.get("/me")
async def read_me(user: CurrentUser) -> User:
    """Read the account that is signed in."""
    return User.model_validate(user)
