"""Rows in a SQLite file: the only files that know SQLite."""
