"""The rules of squawk that concern an application that is in use, and the safe way for each."""

UNCHECKED = "unchecked"
"""Rule for a migration that cannot be written as SQL, for example because it reads from the database."""
VALIDATE = """\
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE {table} VALIDATE CONSTRAINT NAME")"""
INDEX = """\
    with op.get_context().autocommit_block():
        op.create_index("NAME", "{table}", [...], postgresql_concurrently=True{unique})"""
EXPAND = "Add a new column, write both, copy the values, and drop the old one in a later version."
# Other rules of squawk are about style, or about locks that are released at once. The migrations do
# not wait long for these.
RULES = {
    "adding-field-with-default": (
        "It rewrites {table}, since each row gets a value of its own. Reads and writes wait.",
        "Add the column as nullable and without the default. Fill it in batches, then set the default.",
    ),
    "adding-foreign-key-constraint": (
        "Writes to both tables wait while each row of {table} is checked.",
        f'    op.create_foreign_key("NAME", "{{table}}", ..., postgresql_not_valid=True)\n{VALIDATE}',
    ),
    "adding-not-nullable-field": (
        "Reads and writes of {table} wait while each row is checked.",
        '    op.execute("ALTER TABLE {table} ADD CONSTRAINT NAME CHECK (COLUMN IS NOT NULL) NOT VALID")\n'
        f'{VALIDATE}\n    op.alter_column("{{table}}", "COLUMN", nullable=False)\n'
        '    op.execute("ALTER TABLE {table} DROP CONSTRAINT NAME")',
    ),
    "adding-required-field": (
        "Existing rows of {table} have no value, and the version that is still serving inserts none.",
        "Add the column with a server_default, or as nullable.",
    ),
    "adding-serial-primary-key-field": (
        "Reads and writes of {table} wait until the index is built.",
        f"{INDEX.replace('{unique}', ', unique=True')}\n"
        '    op.execute("ALTER TABLE {table} ADD PRIMARY KEY USING INDEX NAME")',
    ),
    "ban-concurrent-index-creation-in-transaction": (
        "PostgreSQL does not build an index concurrently in a transaction.",
        INDEX.replace("{unique}", ""),
    ),
    "ban-drop-column": (
        "The version that is still serving may use the column.",
        "Deploy a version that does not use it first, then drop it in the next one.",
    ),
    "ban-drop-table": (
        "The version that is still serving may use {table}.",
        "Deploy a version that does not use it first, then drop it in the next one.",
    ),
    "changing-column-type": (
        "It may rewrite {table} while reads and writes wait, and the version that is still serving "
        "expects the old type.",
        f"{EXPAND} A longer VARCHAR, or TEXT instead of VARCHAR, rewrites nothing: accept it.",
    ),
    "constraint-missing-not-valid": (
        "Reads and writes of {table} wait while each row is checked.",
        f'    op.create_check_constraint(op.f("NAME"), "{{table}}", ..., postgresql_not_valid=True)\n{VALIDATE}',
    ),
    "disallowed-unique-constraint": (
        "Reads and writes of {table} wait until the index is built.",
        f"{INDEX.replace('{unique}', ', unique=True')}\n"
        '    op.execute("ALTER TABLE {table} ADD CONSTRAINT NAME UNIQUE USING INDEX NAME")',
    ),
    "renaming-column": (
        "The version that is still serving uses the old name.",
        f'Rename it in Python only: new: Mapped[...] = mapped_column("old"). Or: {EXPAND}',
    ),
    "renaming-table": (
        "The version that is still serving uses the old name.",
        "Rename the class only, and keep its __tablename__.",
    ),
    "require-concurrent-index-creation": (
        "Writes to {table} wait until the index is built.",
        INDEX.replace("{unique}", ""),
    ),
    UNCHECKED: (
        "It cannot be written as SQL, which is checked: it reads from the database, or a column of a "
        "bulk_insert has no type.",
        "Compute the values in SQL: op.execute(...). Or check it by hand.",
    ),
}
"""What each rule finds, and the safe way."""
GENERAL = "constraint-missing-not-valid"
"""Rule that squawk reports in addition to one that says more."""
