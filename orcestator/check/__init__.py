"""``orcestator check`` and ``orcestator reload``: what a configuration means, what it would change, and to take it over."""
