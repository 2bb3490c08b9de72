"""Prompts before something is deleted."""

import typer

from app.cli.console import CLIError


def confirm(question: str, *, yes: bool) -> None:
    """Prompt for confirmation.

    Args:
        question: The question.
        yes: Whether it was confirmed on the command line.

    Raises:
        CLIError: It was declined, or there is no terminal to ask in.
    """
    if yes:
        return
    try:
        confirmed = typer.confirm(question)
    except typer.Abort as error:  # the end of the input, or Ctrl-C
        raise CLIError(
            "\nNothing was changed, because it was not confirmed. Without a terminal, pass --yes."
        ) from error
    if not confirmed:
        raise CLIError("Nothing was changed.")
