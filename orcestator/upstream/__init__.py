"""Providers as we reach them. The only holder of their keys."""
