from email_validator import validate_email

MAX_EMAIL_LENGTH = 254  # RFC 5321, section 4.5.3.1


def normalize_email(email: str) -> str:
    """Return the form in which an address is stored, looked up and used as a recipient.

    `Ada@Example.com` and `ada@example.com` are the same mailbox in practice. The domain is in its
    ASCII form (IDNA), and the part before it must be ASCII too: not every mail server supports more.

    Args:
        email: Address, as it was entered.

    Raises:
        ValueError: It is not one valid address.
    """
    valid = validate_email(email, check_deliverability=False, allow_smtputf8=False)
    return f"{valid.local_part.lower()}@{valid.ascii_domain}"
