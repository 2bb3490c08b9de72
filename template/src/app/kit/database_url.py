"""Database URLs as hosting providers issue them, converted for SQLAlchemy and asyncpg."""

ADVICE = "Set it to a URL such as postgresql://user:password@host:5432/name."
SCHEMES = {"postgres", "postgresql", "postgresql+asyncpg"}


def to_asyncpg_url(given: str) -> str:
    """Convert a database URL.

    Args:
        given: `postgres://...` or `postgresql://...`, with libpq parameters if any.

    Raises:
        ValueError: The URL is not a PostgreSQL URL.
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
    # asyncpg calls this parameter `ssl`, and does not know `channel_binding`.
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    query.pop("channel_binding", None)
    database = url.database or "postgres"
    url = url.set(drivername="postgresql+asyncpg", query=query, database=database)
    return url.render_as_string(hide_password=False)
