"""`dev`: run everything that development needs."""
