"""Database URLs as hosting providers issue them, converted for SQLAlchemy and asyncpg."""

ADVICE = "Set it to a URL such as postgresql://user:password@host:5432/name."
# Of asyncpg and SQLAlchemy. `ssl` is `sslmode` of libpq.
PARAMETERS = {"ssl", "target_session_attrs", "prepared_statement_cache_size"}
# Hints for other drivers, for which this application has settings of its own.
IGNORED = {"application_name", "channel_binding", "connect_timeout", "pgbouncer"}
SCHEMES = {"postgres", "postgresql", "postgresql+asyncpg"}


def to_asyncpg_url(given: str) -> str:
    """Convert a database URL.

    Args:
        given: `postgres://...` or `postgresql://...`, with libpq parameters if any.

    Raises:
        ValueError: The URL is not a PostgreSQL URL, or has a parameter that asyncpg does not have.
    """
    from sqlalchemy import make_url  # noqa: PLC0415  slow, and not always needed
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        url = make_url(given)
    except (ArgumentError, ValueError) as error:
        raise ValueError(ADVICE) from error
    if url.drivername not in SCHEMES or not url.host:
        raise ValueError(ADVICE)
    query = {name: value for name, value in url.query.items() if name not in IGNORED}
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    if unknown := sorted(query.keys() - PARAMETERS):
        raise ValueError(f"has the parameter {unknown[0]}, which asyncpg does not have. Remove it.")
    database = url.database or "postgres"
    url = url.set(drivername="postgresql+asyncpg", query=query, database=database)
    return url.render_as_string(hide_password=False)
