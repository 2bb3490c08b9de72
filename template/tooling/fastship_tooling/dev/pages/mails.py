"""The emails that development keeps in `.dev/mails/`."""

import re
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import parsedate_to_datetime
from pathlib import Path

NAME = re.compile(r"[0-9-]+")
"""Names of the files, without `.eml`."""
SHOWN = 100


@dataclass(frozen=True)
class KeptMail:
    """An email.

    Args:
        name: Name of its file, without `.eml`.
        to: Recipient.
        subject: Subject line.
        time: When it was sent.
        text: The plain text.
        html: The HTML, or an empty string.
    """

    name: str
    to: str
    subject: str
    time: datetime
    text: str
    html: str


def list_mails(folder: Path, limit: int = SHOWN) -> list[KeptMail]:
    """Return the emails, latest first.

    Args:
        folder: Folder with the emails.
        limit: Maximum number.
    """
    names = sorted((path.stem for path in folder.glob("*.eml")), reverse=True)
    return [mail for name in names[:limit] if (mail := read_mail(folder, name))]


def read_mail(folder: Path, name: str) -> KeptMail | None:
    """Return an email, or None if there is no such file.

    Args:
        folder: Folder with the emails.
        name: Name of the file, without `.eml`.
    """
    path = folder / f"{name}.eml"
    if not NAME.fullmatch(name) or not path.is_file():
        return None
    message = message_from_bytes(path.read_bytes(), policy=default)
    return KeptMail(
        name,
        str(message["To"]),
        str(message["Subject"]),
        parsedate_to_datetime(str(message["Date"])),
        _content(message, "plain"),
        _content(message, "html"),
    )


def _content(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    return str(body.get_content()) if body else ""
