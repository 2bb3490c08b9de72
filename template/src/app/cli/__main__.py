"""`python -m app.cli`, for those who cannot know the command's name."""

from app.cli.main import app

app()
