"""Decides: which candidates a request has, in which order, and what follows from each failure. Pure."""
