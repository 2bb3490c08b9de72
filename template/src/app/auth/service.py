from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app.auth import models
from app.auth.emails import normalise_email
from app.auth.exceptions import EmailTaken, WrongCredentials
from app.auth.passwords import hash_password, verify_password
from app.auth.schemas import User, UserCreate
from app.database import SessionDep


class UserService:
    """The accounts."""

    def __init__(self, session: SessionDep) -> None:
        self.session = session

    async def register(self, data: UserCreate) -> User:
        """Open an account.

        Raises:
            EmailTaken: There is one with this address.
        """
        password_hash = await hash_password(data.password.get_secret_value())
        user = models.User(email=data.email, password_hash=password_hash)
        self.session.add(user)
        try:
            await self.session.flush()
        except IntegrityError as error:  # the one check that two at once cannot both pass
            raise EmailTaken from error
        return User.model_validate(user)

    async def authenticate(self, email: str, password: str) -> models.User:
        """Find the user with this address and password.

        Raises:
            WrongCredentials: There is none. Why is not told, by words or by time.
        """
        user = await self.session.scalar(
            select(models.User).where(models.User.email == normalise_email(email))
        )
        ok, fresh_hash = await verify_password(password, user.password_hash if user else None)
        if user is None or not ok or not user.is_active:
            raise WrongCredentials
        if fresh_hash:
            user.password_hash = fresh_hash
        return user
