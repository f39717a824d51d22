"""``orcestator explain``: asks a running server why a request went where it went, or where one would go."""
