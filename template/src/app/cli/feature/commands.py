"""The commands `feature new` and `feature remove`."""

from collections.abc import Callable
from typing import Annotated

import typer

from app.cli.console import console

app = typer.Typer(help="New domains, after the pattern of one that is there.", no_args_is_help=True)

after_change: list[Callable[[list[str]], None]] = []
"""What follows from new or removed models; is given what may be lost, in words."""


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The domain, in the plural: invoices.")],
    fields: Annotated[
        list[str] | None,
        typer.Argument(help="Fields: title:str price:decimal author:ref\\[users]."),
    ] = None,
    like: Annotated[str, typer.Option(help="The domain that it is made after.")] = "items",
    singular: Annotated[
        str | None, typer.Option(help="One of its things, where the plural does not tell.")
    ] = None,
) -> None:
    """Make a domain: code, routes, tests, documentation, and what the database needs.

    Types are str, text, int, float, decimal, bool, date, datetime, uuid and ref[DOMAIN].

    Example: feature new invoices number:str total:decimal paid:bool
    """
    from app.cli.feature.build import make  # noqa: PLC0415

    with console.status(f"Making {name} ..."):
        made = make(name, fields or [], like, singular, after_change)
    for path in made:
        console.print(f"  {path.as_posix()}", markup=False)
    console.print(f"Made {name} after {like}. Its routes are in `routes`, its tests in `test`.")


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="The domain.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Take back what `feature new` made, while it is not committed.

    Example: feature remove invoices
    """
    from app.cli.feature.build import made_here, unmake  # noqa: PLC0415
    from app.cli.feature.project import files_of  # noqa: PLC0415

    names = made_here(name)
    if not yes:
        for path in files_of(names):
            console.print(f"  {path.as_posix()}", markup=False)
        typer.confirm(f"Remove these, and all that is stored of {name}?", abort=True)
    with console.status(f"Removing {name} ..."):
        unmake(names, after_change)
    console.print(f"Removed {name}.")
