import pytest
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import mails
from app.auth.models import User
from app.auth.tokens import MailToken, Purpose
from app.config import Settings
from tests.auth.factories import AUTH, PASSWORD, create_user, refresh, same, sign_in
from tests.auth.fixtures import Outbox

NEW_PASSWORD = "a brand new secret"


async def confirm(client: AsyncClient, token: str) -> int:
    return (await client.post(f"{AUTH}/verify-email/confirm", json={"token": token})).status_code


async def reset(client: AsyncClient, token: str, password: str = NEW_PASSWORD) -> int:
    body = {"token": token, "new_password": password}
    return (await client.post(f"{AUTH}/reset-password", json=body)).status_code


class TestMe:
    async def test_no_secret_in_the_response(self, client: AsyncClient) -> None:
        me = (await client.get(f"{AUTH}/me")).json()

        assert set(me) == {"id", "email", "email_verified", "is_superuser", "created_at"}

    async def test_address_changes_after_verification(
        self, client: AsyncClient, outbox: Outbox
    ) -> None:
        body = {"email": "Countess@example.com", "current_password": PASSWORD}

        asked = await client.patch(f"{AUTH}/me", json=body)
        before = (await client.get(f"{AUTH}/me")).json()["email"]
        confirmed = await confirm(client, outbox.token_to("countess@example.com"))
        after = (await client.get(f"{AUTH}/me")).json()

        assert (asked.status_code, confirmed) == (202, 204)
        assert before == "ada@example.com"
        assert (after["email"], after["email_verified"]) == ("countess@example.com", True)
        assert "countess@example.com" in str(outbox.to("ada@example.com"))

    async def test_address_of_another_account(
        self, client: AsyncClient, session: AsyncSession, outbox: Outbox
    ) -> None:
        await create_user(session, email="grace@example.com")

        taken, free = [
            await client.patch(f"{AUTH}/me", json={"email": email, "current_password": PASSWORD})
            for email in ("grace@example.com", "free@example.com")
        ]

        assert same(taken, free)
        assert [message["To"] for message in outbox] == ["free@example.com"]

    async def test_address_in_the_token_is_signed(
        self, client: AsyncClient, outbox: Outbox
    ) -> None:
        body = {"email": "mine@example.com", "current_password": PASSWORD}
        await client.patch(f"{AUTH}/me", json=body)
        token = MailToken.decode(outbox.token_to("mine@example.com"))
        forged = MailToken(token.signature, token.content.replace(b"mine", b"your"))

        assert await confirm(client, forged.encode()) == 400
        assert await confirm(client, token.encode()) == 204

    async def test_address_registered_meanwhile(
        self, client: AsyncClient, session: AsyncSession, outbox: Outbox
    ) -> None:
        body = {"email": "grace@example.com", "current_password": PASSWORD}
        await client.patch(f"{AUTH}/me", json=body)
        await create_user(session, email="grace@example.com")

        assert await confirm(client, outbox.token_to("grace@example.com")) == 400

    @pytest.mark.parametrize("field", ["is_superuser", "is_active", "id", "password_hash"])
    async def test_other_fields(self, client: AsyncClient, field: str) -> None:
        body = {"email": "ada@example.com", "current_password": PASSWORD, field: True}

        response = await client.patch(f"{AUTH}/me", json=body)

        assert response.status_code == 422
        assert response.json()["errors"][0]["pointer"] == f"/{field}"

    async def test_deletion(self, client: AsyncClient, session: AsyncSession) -> None:
        body = {"current_password": PASSWORD}
        response = await client.request("DELETE", f"{AUTH}/me", json=body)

        assert response.status_code == 204
        assert (await session.scalars(select(User))).all() == []
        assert (await client.get(f"{AUTH}/me")).status_code == 401

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("PATCH", "/me", {"email": "new@example.com"}),
            ("DELETE", "/me", {}),
            ("PUT", "/me/password", {"new_password": NEW_PASSWORD}),
        ],
    )
    async def test_incorrect_password(
        self, client: AsyncClient, outbox: Outbox, method: str, path: str, body: dict[str, str]
    ) -> None:
        given = body | {"current_password": "wrong password"}

        response = await client.request(method, AUTH + path, json=given)

        assert response.status_code == 403
        assert response.json()["type"] == "urn:problem-type:incorrect-password"
        assert outbox == []


class TestPassword:
    async def test_change_revokes_all_sessions(
        self, client: AsyncClient, anonymous: AsyncClient, outbox: Outbox
    ) -> None:
        token = (await sign_in(anonymous, "ada@example.com")).json()["refresh_token"]
        body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}

        response = await client.put(f"{AUTH}/me/password", json=body)

        assert response.status_code == 204
        assert (await client.get(f"{AUTH}/me")).status_code == 401
        assert (await refresh(anonymous, token)).status_code == 401
        assert (await sign_in(anonymous, "ada@example.com")).status_code == 401
        signed_in = await sign_in(anonymous, "ada@example.com", NEW_PASSWORD)
        assert signed_in.status_code == 200
        assert outbox.to("ada@example.com")["Subject"] == "Your password was changed"


@pytest.mark.usefixtures("user")
class TestForgottenPassword:
    @staticmethod
    async def ask(client: AsyncClient, outbox: Outbox) -> str:
        await client.post(f"{AUTH}/forgot-password", json={"email": "ada@example.com"})
        return outbox.token_to("ada@example.com")

    async def test_reset_revokes_all_sessions(self, anonymous: AsyncClient, outbox: Outbox) -> None:
        token = (await sign_in(anonymous, "ada@example.com")).json()["refresh_token"]

        assert await reset(anonymous, await self.ask(anonymous, outbox)) == 204

        assert (await refresh(anonymous, token)).status_code == 401
        assert (await sign_in(anonymous, "ada@example.com")).status_code == 401
        signed_in = await sign_in(anonymous, "ada@example.com", NEW_PASSWORD)
        assert signed_in.status_code == 200

    async def test_token_is_single_use(self, anonymous: AsyncClient, outbox: Outbox) -> None:
        token = await self.ask(anonymous, outbox)

        assert len(token) == 48
        assert await reset(anonymous, token) == 204
        assert await reset(anonymous, token, "yet another secret") == 400

    async def test_after_a_change_of_password(
        self, client: AsyncClient, anonymous: AsyncClient, outbox: Outbox
    ) -> None:
        token = await self.ask(anonymous, outbox)
        body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        await client.put(f"{AUTH}/me/password", json=body)

        assert await reset(anonymous, token) == 400

    async def test_token_for_another_purpose(
        self, anonymous: AsyncClient, user: User, settings: Settings
    ) -> None:
        verify, reset_token = [MailToken.create(kind, user, settings.auth) for kind in Purpose]

        assert await reset(anonymous, verify.encode()) == 400
        assert await confirm(anonymous, reset_token.encode()) == 400

    async def test_expired(self, anonymous: AsyncClient, user: User, settings: Settings) -> None:
        past = settings.auth.model_copy(update={"mail_token_minutes": -1})

        token = MailToken.create(Purpose.RESET_PASSWORD, user, past)

        assert await reset(anonymous, token.encode()) == 400

    @pytest.mark.parametrize(
        ("minutes", "text"), [(60, "in 1 hour."), (90, "in 90 minutes."), (120, "in 2 hours.")]
    )
    def test_lifetime(self, user: User, settings: Settings, minutes: int, text: str) -> None:
        auth = settings.auth.model_copy(update={"mail_token_minutes": minutes})
        mail = mails.reset_password(settings.model_copy(update={"auth": auth}), user)

        assert mail.notes[0].endswith(text)

    async def test_same_response_for_all(
        self, anonymous: AsyncClient, session: AsyncSession, outbox: Outbox
    ) -> None:
        await create_user(session, email="gone@example.com", is_active=False)

        answers = [
            await anonymous.post(f"{AUTH}/forgot-password", json={"email": f"{name}@example.com"})
            for name in ("ada", "nobody", "gone")
        ]

        assert same(*answers)
        assert [message["To"] for message in outbox] == ["ada@example.com"]


@pytest.mark.usefixtures("user")
class TestVerification:
    @staticmethod
    async def ask(client: AsyncClient) -> int:
        body = {"email": "ada@example.com"}
        return (await client.post(f"{AUTH}/verify-email/request", json=body)).status_code

    async def test_token_is_single_use(self, anonymous: AsyncClient, outbox: Outbox) -> None:
        await self.ask(anonymous)
        token = outbox.token_to("ada@example.com")

        assert await confirm(anonymous, token) == 204
        assert await confirm(anonymous, token) == 400

    async def test_no_email_to_verified_or_unknown_addresses(
        self, anonymous: AsyncClient, outbox: Outbox
    ) -> None:
        await self.ask(anonymous)
        await confirm(anonymous, outbox.token_to("ada@example.com"))

        confirmed, unknown = [
            await anonymous.post(f"{AUTH}/verify-email/request", json={"email": email})
            for email in ("ada@example.com", "nobody@example.com")
        ]

        assert same(confirmed, unknown)
        assert outbox == []

    @pytest.mark.parametrize("token", ["", "nonsense", "a.b.c", "x" * 48, "é", "x" * 2_000])
    async def test_invalid(self, anonymous: AsyncClient, token: str) -> None:
        assert await confirm(anonymous, token) == 400
