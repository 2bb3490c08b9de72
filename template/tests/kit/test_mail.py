import asyncio
import json
import socket
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.config import MailSettings, Settings
from app.kit.mail import Mail, MailNotSent, compose, deliver, send

MAIL = Mail(
    subject="Grüße & more",
    paragraphs=("First <b>line</b>.", "Second."),
    link="https://example.com/x?token=a.b",
    action="Confirm",
    notes=("It expires.",),
)


class Server:
    """An SMTP server that stores all messages."""

    def __init__(self) -> None:
        self.received: list[bytes] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test ESMTP\r\n")
        async for line in reader:
            command = line[:4].upper()
            if command == b"DATA":
                writer.write(b"354 start\r\n")
                self.received.append(await reader.readuntil(b"\r\n.\r\n"))
            if command == b"QUIT":
                break
            writer.write(b"250 test\r\n")
        writer.write(b"221 bye\r\n")
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, MailSettings]]:
    smtp = Server()
    async with await asyncio.start_server(smtp.handle, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield smtp, MailSettings(smtp_url=SecretStr(f"smtp://127.0.0.1:{port}"))


def test_text_and_html(settings: Settings) -> None:
    message = compose(MAIL, "ada@example.com", settings, "1")

    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text
    assert html
    assert text.get_content() == (
        f"{settings.app.name}\n\nHello,\n\nFirst <b>line</b>.\n\nSecond.\n\n"
        "Confirm:\nhttps://example.com/x?token=a.b\n\nIt expires.\n\n"
        f"-- \n{settings.app.name} sent this email to ada@example.com.\n"
    )
    assert "First &lt;b&gt;line&lt;/b&gt;." in html.get_content()
    assert 'href="https://example.com/x?token=a.b"' in html.get_content()


async def test_smtp(server: tuple[Server, MailSettings], settings: Settings) -> None:
    smtp, mail_settings = server

    await deliver(compose(MAIL, "ada@example.com", settings, "1"), mail_settings)

    (received,) = smtp.received
    message = message_from_bytes(received, policy=default)
    assert message["Subject"] == "Grüße & more"
    assert message["To"] == "ada@example.com"
    assert message["Message-ID"] == "<1@localhost>"


async def test_development(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    await deliver(compose(MAIL, "ada@example.com", settings, "1"), settings.mail)

    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "https://example.com/x?token=a.b" in line["text"]
    stored = Path(line["file"])
    assert message_from_bytes(stored.read_bytes(), policy=default)["Subject"] == "Grüße & more"
    assert "Confirm" in stored.with_suffix(".html").read_text()


async def test_failure(settings: Settings) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # it does not listen
        gone = MailSettings(smtp_url=SecretStr(f"smtp://127.0.0.1:{unused.getsockname()[1]}"))

        with pytest.raises(MailNotSent, match="SMTPConnectError"):
            await send(
                MAIL,
                "ada@example.com",
                settings.model_copy(update={"mail": gone}),
                message_id="1",
            )


@pytest.mark.parametrize("url", ["localhost:25", "http://localhost", "smtp://"])
def test_invalid_url(url: str) -> None:
    with pytest.raises(ValueError, match="such as smtp://"):
        MailSettings(smtp_url=SecretStr(url))


def test_production() -> None:
    issues = {issue.variable for issue in MailSettings().production_issues()}

    assert issues == {"MAIL_SMTP_URL", "MAIL_SENDER", "MAIL_LINKS_TO"}
