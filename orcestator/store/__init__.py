"""Remembers. Rows of every request and attempt, kept responses and quotas stand behind one small protocol (``rows``), documents behind
another (``documents``); the engines below them are the only places that know a database or replace a file."""
