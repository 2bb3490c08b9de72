"""The emails that development keeps in `.dev/mails/`."""

from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

NAME = "%Y%m%d-%H%M%S-%f"
"""Names of the files, without `.eml`: the time in UTC."""
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
    """Return an email, or None if it does not exist.

    Args:
        folder: Folder with the emails.
        name: Name of the file, without `.eml`.
    """
    try:
        time = datetime.strptime(f"{name}+0000", f"{NAME}%z")
        message = message_from_bytes((folder / f"{name}.eml").read_bytes(), policy=default)
    except (ValueError, OSError):
        return None
    if message["To"] is None:  # it is being written
        return None
    to, subject = str(message["To"]), str(message["Subject"])
    return KeptMail(name, to, subject, time, _content(message, "plain"), _content(message, "html"))


def _content(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    return str(body.get_content()) if body else ""
