"""`client`: typed clients, generated from the OpenAPI schema."""

from typing import Annotated

import typer

from app.cli.console import console, errors, fail
from fastship_tooling import openapi
from fastship_tooling.progress import step

app = typer.Typer(help="Generate typed clients.", no_args_is_help=True)


@app.command()
def generate(
    languages: Annotated[
        list[str] | None, typer.Argument(help="python, typescript; by default both.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail if a client is outdated.")
    ] = False,
) -> None:
    """Write `clients/python` and `clients/typescript`. The generators need no installation.

    Example: client generate python
    """
    from fastship_tooling.client_generators import CLIENTS, GENERATORS, ClientError, generate_client

    wanted = languages or list(GENERATORS)
    if unknown := set(wanted) - set(GENERATORS):
        fail(
            f"There is no generator for {', '.join(sorted(unknown))}. "
            f"Choose from {', '.join(GENERATORS)}."
        )
    openapi.openapi(check=check)
    if check:
        wanted = [language for language in wanted if (CLIENTS / language).exists()]
    failed = []
    for language in wanted:
        try:
            with step(f"Generating the {language} client"):
                unchanged = generate_client(language, check=check)
        except ClientError as error:
            failed.append(language)
            errors.print(str(error), style="red", markup=False, soft_wrap=True)
            continue
        state = "is up to date" if unchanged or check else "was updated"
        console.print(f"{CLIENTS / language} {state}.")
    if failed:
        raise typer.Exit(1)
