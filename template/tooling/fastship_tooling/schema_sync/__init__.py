"""Automatic migrations in `dev`. Never in production.

A migration that was created here grows with further changes of the models, until it is committed or
edited by hand. A destructive migration is created too, but applied only by `db upgrade`. A migration
whose file is gone, because another branch was checked out, is reverted.
"""
