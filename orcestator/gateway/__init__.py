"""The life of one request, from its headers to its one record."""
