"""The HTTP kit: it takes requests off the wire and puts answers onto it. It has no word about models."""
