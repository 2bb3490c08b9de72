"""`feature`: new domains, after the pattern of one that is there.

What makes a domain is read from the project's own: its files, the places that mention it, its tests.
"""
