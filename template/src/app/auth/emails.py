import unicodedata


def normalise_email(email: str) -> str:
    """Write an address the one way in which it is stored and looked up.

    `Ada@Example.com` and `ada@example.com` are one mailbox everywhere that matters. Compatibility
    forms (NFKC) are folded too, or a look-alike could register beside the original.
    """
    return unicodedata.normalize("NFKC", email).casefold()
