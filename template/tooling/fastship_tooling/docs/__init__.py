"""`docs`: the documentation site."""
