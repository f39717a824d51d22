"""Remembers: the rows of every request and attempt. The only folder with SQL in it."""
