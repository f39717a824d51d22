"""Upstream answers of every shape, good and bad, against the whole product: a caller's answer is whole, or the caller is told."""
