"""The roles of the database on the server, each with the least privileges that it needs."""

from collections.abc import Mapping

ROLES = """\
-- The passwords must not be logged, not even by an error.
SET log_statement = none;
SET log_min_error_statement = panic;

SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY['app', 'migrations', 'backup']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \\gexec

-- From now on, the superuser can only connect from inside the container.
ALTER ROLE postgres PASSWORD NULL;
REVOKE ALL ON DATABASE app, postgres, template1 FROM PUBLIC;

-- `migrations` owns the database and everything in it.
ALTER DATABASE app OWNER TO migrations;

-- `backup` reads everything.
GRANT CONNECT ON DATABASE app TO backup;
GRANT pg_read_all_data TO backup;

-- `app` reads and writes rows. Default privileges also apply after a restore, which recreates the schema.
GRANT CONNECT ON DATABASE app TO app;
GRANT USAGE ON SCHEMA public TO app;
ALTER DEFAULT PRIVILEGES FOR ROLE migrations
    GRANT USAGE ON SCHEMAS TO app;
ALTER DEFAULT PRIVILEGES FOR ROLE migrations
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO app;
ALTER DEFAULT PRIVILEGES FOR ROLE migrations
    GRANT USAGE, SELECT ON SEQUENCES TO app;
"""


def script(passwords: Mapping[str, str]) -> str:
    """Return the input for psql that creates the roles and sets their passwords. It can run repeatedly.

    Args:
        passwords: Passwords, by role.
    """
    statements = (
        f"ALTER ROLE {role} PASSWORD '{password.replace("'", "''")}';\n"
        for role, password in passwords.items()
    )
    return ROLES + "".join(statements)
