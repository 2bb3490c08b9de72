"""The URLs that hosts hand out, as SQLAlchemy and asyncpg expect them."""

ADVICE = "set it to a URL such as postgresql://user:password@host:5432/name."
SCHEMES = {"postgres", "postgresql", "postgresql+asyncpg"}


def for_asyncpg(given: str, password: str | None = None) -> str:
    """Translate a URL.

    Args:
        given: `postgres://...` or `postgresql://...`, with the parameters of libpq if any.
        password: For a URL that has none.

    Raises:
        ValueError: It is something else; says what to set.
    """
    from sqlalchemy import make_url  # noqa: PLC0415  slow, and not always needed
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        url = make_url(given)
    except (ArgumentError, ValueError) as error:
        raise ValueError(ADVICE) from error
    if url.drivername not in SCHEMES or not url.host:
        raise ValueError(ADVICE)
    query = dict(url.query)
    # asyncpg calls it ssl, and does not know the other.
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    query.pop("channel_binding", None)
    database = url.database or "postgres"
    url = url.set(drivername="postgresql+asyncpg", query=query, database=database)
    if password and not url.password:
        url = url.set(password=password)
    return url.render_as_string(hide_password=False)
