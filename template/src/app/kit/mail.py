"""E-mail: sent by SMTP after the response; in development shown in the log and kept in a folder."""

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
from app.kit.routing import async_dependency
from app.kit.state import SettingsDep

log = structlog.stdlib.get_logger(__name__)

FOLDER = Path(".dev/mails")
TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class Mail:
    """What to tell somebody.

    Args:
        subject: In a line.
        paragraphs: The text.
        link: What to follow, if anything.
        action: What following it does, in two or three words.
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
    """Make the message: plain text, and the same as HTML."""
    sender = settings.mail.sender
    message = EmailMessage()
    message["From"] = Address(settings.app.name, addr_spec=sender)
    message["To"] = to
    message["Subject"] = mail.subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=sender.rsplit("@", 1)[-1])
    message.set_content(_templates().get_template("mail.txt").render(mail=mail))
    html = _templates().get_template("mail.html").render(mail=mail)
    message.add_alternative(html, subtype="html")
    return message


async def deliver(message: EmailMessage, settings: MailSettings) -> None:
    """Send a message, or keep it where it can be looked at.

    Args:
        message: What to send.
        settings: By which server. Without one, the message goes into `.dev/mails/`.

    Raises:
        OSError: The server does not answer, or the folder cannot be written.
        aiosmtplib.SMTPException: The server refuses.
    """
    if settings.smtp_url is None:
        path = await to_thread.run_sync(_keep, message)
        text = message.get_body(("plain",))
        log.info("mail", to=message["To"], file=str(path), text=text and text.get_content())
        return
    url = urlsplit(settings.smtp_url.get_secret_value())
    await aiosmtplib.send(
        message,
        hostname=url.hostname,
        port=url.port,
        username=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
        use_tls=url.scheme == "smtps",
        # Where a password would go over the line, encryption is a must; else it is taken if offered.
        start_tls=True if url.scheme == "smtp" and url.password else None,
        timeout=TIMEOUT_SECONDS,
    )


def _keep(message: EmailMessage) -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.eml"
    path.write_bytes(message.as_bytes())
    html = message.get_body(("html",))
    if html:
        path.with_suffix(".html").write_text(html.get_content(), encoding="utf-8")
    return path


class Mailer:
    """Sends mails when the response is out."""

    def __init__(self, tasks: BackgroundTasks, settings: SettingsDep) -> None:
        self.tasks = tasks
        self.settings = settings

    def send(self, mail: Mail, to: str) -> None:
        """Have a mail sent; a failure is logged, and nobody's error."""
        self.tasks.add_task(self._send, mail, to)

    async def _send(self, mail: Mail, to: str) -> None:
        try:
            await deliver(compose(mail, to, self.settings), self.settings.mail)
        except Exception:
            log.exception("mail not sent", subject=mail.subject)


MailerDep = Annotated[Mailer, Depends(async_dependency(Mailer))]
