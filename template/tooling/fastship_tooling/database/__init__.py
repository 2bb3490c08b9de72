"""The development database, and the commands of `db`."""
