"""`python -m app.cli`, for scripts that do not know the name of the command."""

from app.cli.main import app

app()
