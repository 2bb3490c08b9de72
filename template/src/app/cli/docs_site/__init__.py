"""The documentation site: the pages that write themselves, and what is made of the built ones."""
