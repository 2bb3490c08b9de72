"""Email: sent by SMTP; in development, logged and stored in a folder, which `dev` shows at `/dev/mails`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import structlog
from anyio import to_thread

from app.config import MailSettings, Settings

log = structlog.stdlib.get_logger(__name__)

FOLDER = Path(".dev/mails")
TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class Mail:
    """The content of an email.

    Args:
        subject: Subject line.
        paragraphs: Text before the button.
        link: URL of the button, if any.
        action: Label of the button.
        notes: Text after the button: how long the link works, and what to do if it was not requested.
    """

    subject: str
    paragraphs: tuple[str, ...]
    link: str | None = None
    action: str | None = None
    notes: tuple[str, ...] = ()


@cache
def _templates() -> list[Callable[..., str]]:
    # Here and below: 2 MB less in the processes of the server. Workers send emails.
    from jinja2 import (  # noqa: PLC0415
        Environment,
        PackageLoader,
        StrictUndefined,
        select_autoescape,
    )

    environment = Environment(
        loader=PackageLoader("app.kit", "mails"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return [environment.get_template(f"mail.{kind}").render for kind in ("txt", "html")]


def compose(mail: Mail, to: str, settings: Settings, message_id: str) -> EmailMessage:
    """Create the message, as plain text and as HTML."""
    sender = settings.mail.sender
    message = EmailMessage()
    message["From"] = Address(settings.app.name, addr_spec=sender)
    # One recipient: an address with a comma or a second "@" is an error.
    message["To"] = Address(addr_spec=to)
    message["Subject"] = mail.subject
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{message_id}@{sender.rsplit('@', 1)[-1]}>"
    text, html = [render(mail=mail, name=settings.app.name, to=to) for render in _templates()]
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    return message


async def deliver(message: EmailMessage, settings: MailSettings) -> None:
    """Send a message by SMTP. Without a server, store it in `.dev/mails/`.

    Args:
        message: The message.
        settings: SMTP server.

    Raises:
        OSError: The server does not answer, or the folder is not writable.
        aiosmtplib.SMTPException: The server rejects the message.
    """
    if settings.smtp_url is None:
        path = await to_thread.run_sync(_store, message)
        text = message.get_body(("plain",))
        log.info("mail", to=message["To"], file=str(path), text=text and text.get_content())
        return
    import aiosmtplib  # noqa: PLC0415

    url = urlsplit(settings.smtp_url.get_secret_value())
    await aiosmtplib.send(
        message,
        sender=settings.sender,
        recipients=[message["To"].addresses[0].addr_spec],
        hostname=url.hostname,
        port=url.port,
        username=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
        use_tls=url.scheme == "smtps",
        # A password requires encryption; otherwise STARTTLS is used if the server offers it.
        start_tls=True if url.scheme == "smtp" and url.password else None,
        timeout=TIMEOUT_SECONDS,
    )


def _store(message: EmailMessage) -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.eml"
    path.write_bytes(message.as_bytes())
    html = message.get_body(("html",))
    if html:
        path.with_suffix(".html").write_text(html.get_content(), encoding="utf-8")
    return path


class MailNotSent(Exception):
    """The mail server did not accept an email."""


async def send(mail: Mail, to: str, settings: Settings, *, message_id: str) -> None:
    """Send an email.

    Args:
        mail: The content.
        to: Recipient.
        settings: SMTP server, and sender.
        message_id: Unique identifier of the email.

    Raises:
        MailNotSent: Try again later.
    """
    try:
        await deliver(compose(mail, to, settings, message_id), settings.mail)
    except Exception as error:
        # The text of the error may contain the address.
        code = getattr(error, "code", "")
        raise MailNotSent(f"{type(error).__name__} {code}".strip()) from None
