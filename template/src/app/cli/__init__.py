"""The commands that a server needs. The package in `tooling/` adds those for development."""
