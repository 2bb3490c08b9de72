"""The command line. The template's: `copier update` renews it.

A command imports what it needs when it runs, so that `--help` is instant and production needs no
development packages.
"""
