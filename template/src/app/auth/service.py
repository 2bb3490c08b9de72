import hmac
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from app.auth.emails import normalise_email
from app.auth.exceptions import (
    CurrentPasswordWrong,
    EmailNotVerified,
    MailTokenInvalid,
    UserNotFound,
    WrongCredentials,
)
from app.auth.models import User
from app.auth.passwords import hash_password, verify_password
from app.auth.refresh import RefreshTokenService
from app.auth.schemas import AccountView
from app.auth.tokens import MailToken, Purpose, fingerprint_of, read_mail_token
from app.database import SessionDep, fetch_page
from app.kit.pagination import Page, PageParams
from app.kit.state import SettingsDep


class UserService:
    """The accounts."""

    def __init__(self, session: SessionDep, settings: SettingsDep) -> None:
        self.session = session
        self.settings = settings.auth
        self.refresh_tokens = RefreshTokenService(session, settings)

    async def register(self, email: str, password: str) -> User | None:
        """Open an account; None, if there is one with this address.

        Args:
            email: As `normalise_email` writes it.
            password: In clear.
        """
        # Hashed in either case, since the time would tell which it is.
        new = {"email": email, "password_hash": await hash_password(password)}
        statement = insert(User).values(new).on_conflict_do_nothing(index_elements=[User.email])
        user: User | None = await self.session.scalar(statement.returning(User))
        return user

    async def authenticate(self, email: str, password: str) -> User:
        """Find the user with this address and password.

        Raises:
            WrongCredentials: There is none. Why is not told, by words or by time.
            EmailNotVerified: It is the right one, but the address has to be confirmed first.
        """
        user = await self.find_by_email(email)
        ok, fresh_hash = await verify_password(password, user.password_hash if user else None)
        if user is None or not ok or not user.is_active:
            raise WrongCredentials
        if self.settings.require_verified_email and not user.email_verified:
            raise EmailNotVerified
        if fresh_hash:
            user.password_hash = fresh_hash
        return user

    async def find_by_email(self, email: str) -> User | None:
        """Find the user with this address."""
        if "\0" in email:  # which PostgreSQL takes for an error
            return None
        return await self.session.scalar(select(User).where(User.email == normalise_email(email)))

    async def find(self, user_id: UUID) -> User:
        """Find a user to work on.

        Raises:
            UserNotFound: There is none.
        """
        user = await self.session.get(User, user_id)
        if user is None:
            raise UserNotFound
        return user

    async def page(self, page: PageParams, *, email: str | None = None) -> Page[AccountView]:
        """Read a page of the list.

        Args:
            page: The part that is asked for.
            email: What their addresses must contain.
        """
        statement = select(User)
        if email:
            statement = statement.where(User.email.contains(email.casefold(), autoescape=True))
        rows, next_cursor = await fetch_page(self.session, User, statement, page)
        return Page(data=[AccountView.model_validate(row) for row in rows], next_cursor=next_cursor)

    async def require_password(self, user: User, password: str) -> None:
        """Make sure that it is really the user.

        Raises:
            CurrentPasswordWrong: It is not.
        """
        ok, _ = await verify_password(password, user.password_hash)
        if not ok:
            raise CurrentPasswordWrong

    async def delete(self, user: User) -> None:
        """Delete an account and all that belongs to it."""
        await self.session.delete(user)

    async def set_password(self, user: User, password: str) -> None:
        """Change the password, and end all sign-ins."""
        user.password_hash = await hash_password(password)
        await self.refresh_tokens.revoke_all(user)

    async def set_active(self, user: User, *, active: bool) -> None:
        """Let somebody in, or out of everywhere."""
        user.is_active = active
        if not active:
            await self.refresh_tokens.revoke_all(user)
        await self.session.flush()

    async def reset_password(self, token: str, password: str) -> User:
        """Set the password of whom a mail was sent to.

        Raises:
            MailTokenInvalid: The token is not good, or no more.
        """
        user, _ = await self._redeem(Purpose.RESET_PASSWORD, token)
        # Who reads the mail has shown that it arrives.
        user.email_verified_at = user.email_verified_at or datetime.now(UTC)
        await self.set_password(user, password)
        return user

    async def confirm_email(self, token: str) -> tuple[User, str]:
        """Take the address that a mail was sent to for the user's; give the one before, too.

        Raises:
            MailTokenInvalid: The token is not good, or somebody else has the address by now.
        """
        user, said = await self._redeem(Purpose.VERIFY_EMAIL, token)
        before, user.email = user.email, said.email
        user.email_verified_at = datetime.now(UTC)
        try:
            await self.session.flush()
        except IntegrityError as error:
            raise MailTokenInvalid from error
        return user, before

    async def _redeem(self, purpose: Purpose, token: str) -> tuple[User, MailToken]:
        said = read_mail_token(purpose, token, self.settings)
        if said is None:
            raise MailTokenInvalid
        # Locked, so that of two who come at once the second finds another fingerprint.
        user = await self.session.get(User, said.user_id, with_for_update=True)
        if user is None or not user.is_active:
            raise MailTokenInvalid
        if not hmac.compare_digest(said.fingerprint, fingerprint_of(user, self.settings)):
            raise MailTokenInvalid
        return user, said
