"""Database URLs as hosting providers issue them, converted for SQLAlchemy and asyncpg."""

ADVICE = "Set it to a URL such as postgresql://user:password@host:5432/name."
PARAMETERS = {"ssl", "target_session_attrs", "user", "password", "passfile", "direct_tls"}
# This application has settings for these, or asyncpg decides.
IGNORED = {"application_name", "channel_binding", "command_timeout", "connect_timeout"}
SSL = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}
MAX_PORT = 65_535
SCHEMES = {"postgres", "postgresql", "postgresql+asyncpg"}


def to_asyncpg_url(given: str) -> str:
    """Convert a database URL.

    Args:
        given: `postgres://...` or `postgresql://...`, with libpq parameters if any.

    Raises:
        ValueError: The URL is not a PostgreSQL URL, or has a parameter that is not supported.
    """
    from sqlalchemy import make_url  # noqa: PLC0415  slow, and not always needed
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        url = make_url(given)
    except (ArgumentError, ValueError) as error:
        raise ValueError(ADVICE) from error
    valid_port = url.port is None or 0 < url.port <= MAX_PORT
    if url.drivername not in SCHEMES or not url.host or not valid_port:
        raise ValueError(ADVICE)
    query = {name: value for name, value in url.query.items() if name not in IGNORED}
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    if query.get("ssl") == "true":
        query["ssl"] = "require"
    if query.get("ssl", "require") not in SSL:
        raise ValueError(f"has an invalid sslmode. Use one of {', '.join(sorted(SSL))}.")
    if unknown := sorted(query.keys() - PARAMETERS):
        raise ValueError(f"has the unsupported parameter {unknown[0]}. Remove it.")
    database = url.database or "postgres"
    url = url.set(drivername="postgresql+asyncpg", query=query, database=database)
    return url.render_as_string(hide_password=False)
