"""Migrations that write themselves while `dev` runs. Never in production.

What is written here grows with further changes, as one revision, until it is committed or edited by
hand. What could lose data is written too, but waits for `db upgrade`.
"""
