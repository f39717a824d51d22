"""Translates: wire formats to and from the canonical call, which is the OpenAI chat body. Pure."""
