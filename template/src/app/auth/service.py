from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import models, schemas
from app.auth.emails import normalize_email
from app.auth.events import ADMINISTRATOR, Event, SecurityLog
from app.auth.exceptions import (
    IncorrectPassword,
    InvalidMailToken,
    LastSuperuser,
    NotAuthenticated,
    UserNotFound,
)
from app.auth.passwords import hash_password, require_strong, verify_password
from app.auth.sessions import SessionService
from app.auth.tokens import MailToken, Purpose
from app.config import Settings
from app.kit.pagination import Page, PageParams
from app.kit.problems import Problem
from app.reader import fetch_page

USERS = select(
    models.User.__table__, models.User.email_verified_at.is_not(None).label("email_verified")
)
USERS_WITH_EMAIL = USERS.where(func.strpos(models.User.email, bindparam("part")) > 0)


class UserService:
    """Users.

    A method that changes a user locks the row first, so that concurrent requests see the change: a
    sign-in with the old password fails after a change of the password, whichever was first.

    Args:
        session: Database session.
        settings: Settings.
        log: Security log of the request.
    """

    def __init__(self, session: AsyncSession, settings: Settings, log: SecurityLog) -> None:
        self.session = session
        self.settings = settings
        self.log = log
        self.sessions = SessionService(session, settings, log)

    async def register(self, email: str, password: str) -> models.User | None:
        """Create an account. Return None if the address already has one.

        Args:
            email: Address, as returned by `normalize_email`.
            password: Password.

        Raises:
            RequestValidationError: The password is too weak.
        """
        require_strong(password, email, self.settings.app.name)
        # Hash in both cases: the response time must not reveal whether the account exists.
        new = {"email": email, "password_hash": await hash_password(password)}
        statement = (
            insert(models.User)
            .values(new)
            .on_conflict_do_nothing(index_elements=[models.User.email])
        )
        user: models.User | None = await self.session.scalar(statement.returning(models.User))
        if user:
            await self.log.record(Event.REGISTERED, user.id)
        return user

    async def find_by_email(self, email: str) -> models.User | None:
        """Return the user with this address, if any."""
        try:
            address = normalize_email(email)
        except ValueError:
            return None
        return await self.session.scalar(select(models.User).where(models.User.email == address))

    async def get(self, user_id: UUID) -> models.User:
        """Return a user.

        Raises:
            UserNotFound: The user does not exist.
        """
        user = await self.session.get(models.User, user_id)
        if user is None:
            raise UserNotFound
        return user

    async def get_page(
        self, page: PageParams, *, email: str | None = None
    ) -> Page[schemas.Account]:
        """Return a page of users, newest first.

        Args:
            page: Requested page.
            email: Part of the email address.
        """
        if email:
            part = email.lower()
            rows, cursor = await fetch_page(self.session, USERS_WITH_EMAIL, page, part=part)
        else:
            rows, cursor = await fetch_page(self.session, USERS, page)
        return Page[schemas.Account].model_validate({"data": rows, "next_cursor": cursor})

    async def confirm_password(self, user: models.User, password: str) -> None:
        """Check the current password of a user.

        Raises:
            IncorrectPassword: The password is incorrect.
        """
        await self.session.commit()
        ok, _ = await verify_password(password, user.password_hash)
        if not ok:
            raise IncorrectPassword

    async def delete(self, user: models.User) -> None:
        """Delete an account and all of its data.

        Raises:
            IncorrectPassword: The password was changed since it was confirmed.
            LastSuperuser: The user is the last active superuser.
        """
        await self._keep_a_superuser(user.id)
        locked = await self._require_confirmed(user)
        # Sessions are locked after their user, as everywhere.
        await self.sessions.revoke_all(locked.id)
        await self.session.delete(locked)
        await self.session.flush()

    async def change_password(self, user: models.User, current: str, password: str) -> None:
        """Change the password and revoke all sessions.

        Args:
            user: The user.
            current: Current password.
            password: New password.

        Raises:
            RequestValidationError: The new password is too weak.
            IncorrectPassword: The current password is incorrect.
        """
        require_strong(password, user.email, self.settings.app.name, field="new_password")
        await self.confirm_password(user, current)
        new_hash = await hash_password(password)
        locked = await self._require_confirmed(user)
        await self._set_password(locked, new_hash)
        await self.log.record(Event.PASSWORD_CHANGED, locked.id)

    async def set_password(self, user: models.User, password: str) -> None:
        """Set the password of a user and revoke all sessions, without the current password.

        Raises:
            RequestValidationError: The password is too weak.
            UserNotFound: The user was deleted meanwhile.
        """
        require_strong(password, user.email, self.settings.app.name)
        await self.session.commit()
        new_hash = await hash_password(password)
        locked = await self._require(user.id, UserNotFound)
        await self._set_password(locked, new_hash)
        await self.log.record(Event.PASSWORD_RESET, locked.id, client=ADMINISTRATOR)

    async def set_active(self, user: models.User, *, active: bool) -> models.User:
        """Activate or deactivate a user. Deactivating revokes all sessions.

        Raises:
            LastSuperuser: The user is the last active superuser.
            UserNotFound: The user was deleted meanwhile.
        """
        if not active:
            await self._keep_a_superuser(user.id)
        locked = await self._require(user.id, UserNotFound)
        if locked.is_active == active:
            return locked
        locked.is_active = active
        await self.session.flush()
        if not active:
            await self.sessions.revoke_all(locked.id)
        event = Event.ACTIVATED if active else Event.DEACTIVATED
        await self.log.record(event, locked.id, client=ADMINISTRATOR)
        return locked

    async def promote(self, user: models.User) -> None:
        """Promote a user to superuser.

        Raises:
            UserNotFound: The user was deleted meanwhile.
        """
        locked = await self._require(user.id, UserNotFound)
        if not locked.is_superuser:
            locked.is_superuser = True
            await self.log.record(Event.PROMOTED, locked.id, client=ADMINISTRATOR)

    async def sign_out_everywhere(self, user: models.User) -> None:
        """Revoke all sessions of a user."""
        locked = await self._require(user.id)
        await self.sessions.revoke_all(locked.id)
        await self.log.record(Event.SIGNED_OUT_EVERYWHERE, locked.id)

    async def reset_password(self, token: str, password: str) -> models.User:
        """Set a new password with the token from an email, and revoke all sessions.

        Raises:
            InvalidMailToken: The token is invalid.
            RequestValidationError: The password is too weak.
        """
        _, email = await self._redeem(Purpose.RESET_PASSWORD, token)
        require_strong(password, email, self.settings.app.name, field="new_password")
        await self.session.commit()
        new_hash = await hash_password(password)
        # The token may have been used meanwhile.
        user, _ = await self._redeem(Purpose.RESET_PASSWORD, token)
        # Receiving the email proves that the address works.
        user.email_verified_at = user.email_verified_at or datetime.now(UTC)
        await self._set_password(user, new_hash)
        await self.log.record(Event.PASSWORD_RESET, user.id)
        return user

    async def confirm_email(self, token: str) -> tuple[models.User, str]:
        """Verify an address with the token from an email.

        Returns:
            The user, and the previous address.

        Raises:
            InvalidMailToken: The token is invalid, or another account has the address by now.
        """
        user, email = await self._redeem(Purpose.VERIFY_EMAIL, token)
        previous, user.email = user.email, email
        user.email_verified_at = datetime.now(UTC)
        try:
            await self.session.flush()
        except IntegrityError as error:
            raise InvalidMailToken from error
        changed = previous != user.email
        await self.log.record(Event.EMAIL_CHANGED if changed else Event.EMAIL_VERIFIED, user.id)
        return user, previous

    async def lock(self, user_id: UUID) -> models.User | None:
        """Return a user with the current values, and lock it until the end of the transaction."""
        # FOR NO KEY UPDATE: rows that reference the user can still be inserted.
        # populate_existing: the values that were read before the lock may be outdated.
        return await self.session.get(
            models.User, user_id, with_for_update={"key_share": True}, populate_existing=True
        )

    async def _set_password(self, user: models.User, password_hash: str) -> None:
        user.password_hash = password_hash
        await self.session.flush()
        await self.sessions.revoke_all(user.id)

    async def _redeem(self, purpose: Purpose, token: str) -> tuple[models.User, str]:
        """Return the user of a token from an email, locked, and the address that received it."""
        found = MailToken.decode(token)
        # The lock makes the second of two concurrent requests see the change of the first.
        user = await self.lock(found.user_id)
        if not (user and user.is_active and found.is_valid(purpose, user, self.settings.auth)):
            raise InvalidMailToken
        return user, found.email or user.email

    async def _require(self, user_id: UUID, error: type[Problem] = NotAuthenticated) -> models.User:
        """Return a user, locked.

        Raises:
            Problem: The user was deleted meanwhile.
        """
        user = await self.lock(user_id)
        if user is None:
            raise error
        return user

    async def _require_confirmed(self, user: models.User) -> models.User:
        """Return a user, locked, whose password was confirmed and has not changed since."""
        locked = await self._require(user.id)
        if locked.password_hash != user.password_hash:
            raise IncorrectPassword
        return locked

    async def _keep_a_superuser(self, user_id: UUID) -> None:
        # All rows are locked, in one order: two superusers may deactivate each other.
        superusers = await self.session.scalars(
            select(models.User.id)
            .where(models.User.is_superuser, models.User.is_active)
            .order_by(models.User.id)
            .with_for_update(key_share=True)
        )
        if set(superusers) == {user_id}:
            raise LastSuperuser
