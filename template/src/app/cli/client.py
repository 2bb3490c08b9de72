"""`client`: typed clients of the API, made from its description."""

from typing import Annotated

import typer

from app.cli import openapi
from app.cli.console import console, errors, fail

app = typer.Typer(help="Typed clients of the API.", no_args_is_help=True)


@app.command()
def generate(
    languages: Annotated[
        list[str] | None, typer.Argument(help="python, typescript; by default both.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail if one that is there is stale.")
    ] = False,
) -> None:
    """Write `clients/python` and `clients/typescript`. Nothing has to run, or to be installed.

    Example: client generate python
    """
    from app.cli.clients import CLIENTS, GENERATORS, ClientError, make  # noqa: PLC0415

    wanted = languages or list(GENERATORS)
    if unknown := set(wanted) - set(GENERATORS):
        fail(
            f"There is no generator for {', '.join(sorted(unknown))}. There are python, typescript."
        )
    openapi.openapi(check=check)
    if check:
        wanted = [language for language in wanted if (CLIENTS / language).exists()]
    failed = []
    for language in wanted:
        try:
            with console.status(f"Making the {language} client ..."):
                fresh = make(language, check=check)
        except ClientError as error:
            failed.append(language)
            errors.print(str(error), style="red", markup=False, soft_wrap=True)
            continue
        console.print(f"{CLIENTS / language} is {'current' if fresh or check else 'renewed'}.")
    if failed:
        raise typer.Exit(1)
