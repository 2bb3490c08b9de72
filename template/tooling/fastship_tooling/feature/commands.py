"""The commands `feature new` and `feature remove`."""

from typing import Annotated

import typer

from app.cli.console import console
from fastship_tooling.confirmation import confirm
from fastship_tooling.errors import require_valid_syntax
from fastship_tooling.progress import step
from fastship_tooling.project import command_line

app = typer.Typer(help="Create and remove domains.", no_args_is_help=True)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the domain, in the plural: invoices.")],
    fields: Annotated[
        list[str] | None,
        typer.Argument(help="Fields: title:str price:decimal=0 due:date? item:ref\\[items]."),
    ] = None,
    like: Annotated[
        str | None, typer.Option(help="Copy this domain instead of the built-in pattern.")
    ] = None,
    singular: Annotated[
        str | None, typer.Option(help="Singular of the name, if it is irregular.")
    ] = None,
    public: Annotated[
        bool,
        typer.Option("--public", help="Everyone can read all records, also without an account."),
    ] = False,
    superuser: Annotated[
        bool,
        typer.Option("--superuser", help="Only superusers have access. Records have no owner."),
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Overwrite the code of a domain, after an update changed the features. Its fields can be omitted.",
        ),
    ] = False,
) -> None:
    r"""Create a domain: code, routes, tests, documentation and migration.

    Types are str, text, int, float, decimal, bool, date, datetime, uuid,
    enum[VALUE,...], ref[DOMAIN] and many[DOMAIN]. A question mark makes a field
    optional, and =VALUE gives it a default. Options follow the type, as in
    due_at:datetime:filter:sort. They are unique (no two records of a user have the same
    value), filter and sort (query parameters of the list).

    With --public and --superuser, everyone can read and superusers can change the
    records.

    Example: feature new invoices number:str:unique 'status:enum\[draft,paid]:filter=draft' due:date?
    """
    from fastship_tooling.feature.create import create, create_again
    from fastship_tooling.feature.names import kebab
    from fastship_tooling.feature.project import FeatureError

    if again:
        if like or singular:
            raise FeatureError("--again uses the built-in pattern. Omit --like and --singular.")
        for path in create_again(name, fields or [], public=public, superuser=superuser):
            console.print(f"  {path.as_posix()}", markup=False)
        console.print(
            f"Wrote the domain {name} again. Your edits of these files are in git diff: review it. "
            f"Then check the rest: {command_line('doctor')}"
        )
        return
    require_valid_syntax()
    with step(f"Creating {name}"):
        files = create(
            name, fields or [], pattern=like, singular=singular, public=public, superuser=superuser
        )
    for path in files:
        console.print(f"  {path.as_posix()}", markup=False)
    console.print(f"Created the domain {name}: /api/v1/{kebab(name)}")


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="Name of the domain.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a domain, including its table and its data.

    Example: feature remove items
    """
    from fastship_tooling.feature import create as domains
    from fastship_tooling.feature.project import (
        files_of,
        get_domain,
        mentions_of,
        migrations_that_drop,
        require_unused,
        tables_of,
    )

    require_valid_syntax()
    names = get_domain(name)
    require_unused(names)
    if not yes:
        for path in files_of(names):
            console.print(f"  {path.as_posix()}", markup=False)
    confirm(f"Delete these files and all stored {name}?", yes=yes)
    tables = tables_of(names)
    before = migrations_that_drop(tables)
    with step(f"Removing {name}"):
        domains.remove(names)
    console.print(f"Removed the domain {name}.")
    # If its table was never committed, its migration is gone.
    if migrations_that_drop(tables) - before:
        console.print(
            f"Commit the new migration with the code. In production, it deletes all stored {name}. To keep a "
            f"copy, run this before you deploy it: {command_line('db backup --production')}",
            soft_wrap=True,
        )
    if mentions := mentions_of(names):
        console.print(f"These pages contain the name {name}. Remove what describes the domain:")
        for path in mentions:
            console.print(f"  {path.as_posix()}", markup=False)
