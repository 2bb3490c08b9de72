"""Email: sent by SMTP after the response; in development, logged and stored in a folder."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from functools import cache
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import aiosmtplib
import structlog
from anyio import to_thread
from fastapi import BackgroundTasks, Depends
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from app.config import MailSettings, Settings
from app.kit.state import SettingsDep

log = structlog.stdlib.get_logger(__name__)

FOLDER = Path(".dev/mails")
TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class Mail:
    """The content of an email.

    Args:
        subject: Subject line.
        paragraphs: Text.
        link: URL of the button, if any.
        action: Label of the button.
    """

    subject: str
    paragraphs: tuple[str, ...]
    link: str | None = None
    action: str | None = None


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("app.kit", "mails"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def compose(mail: Mail, to: str, settings: Settings) -> EmailMessage:
    """Create the message, as plain text and as HTML."""
    sender = settings.mail.sender
    message = EmailMessage()
    message["From"] = Address(settings.app.name, addr_spec=sender)
    # One recipient: an address with a comma or a second "@" is an error.
    message["To"] = Address(addr_spec=to)
    message["Subject"] = mail.subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=sender.rsplit("@", 1)[-1])
    message.set_content(_templates().get_template("mail.txt").render(mail=mail))
    html = _templates().get_template("mail.html").render(mail=mail)
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


class Mailer:
    """The emails of a request. They are sent after the response."""

    def __init__(self, tasks: BackgroundTasks, settings: Settings) -> None:
        self.tasks = tasks
        self.settings = settings

    def send(self, mail: Mail, to: str) -> None:
        """Send an email in the background. A failure is logged."""
        self.tasks.add_task(self._send, mail, to)

    async def _send(self, mail: Mail, to: str) -> None:
        try:
            await deliver(compose(mail, to, self.settings), self.settings.mail)
        except Exception as error:
            # The text of the error may contain the address.
            code = getattr(error, "code", None)
            log.error("mail not sent", subject=mail.subject, error=type(error).__name__, code=code)


async def get_mailer(tasks: BackgroundTasks, settings: SettingsDep) -> Mailer:
    """Return the mailer of the request."""
    return Mailer(tasks, settings)


MailerDep = Annotated[Mailer, Depends(get_mailer)]
