"""orcestator: one OpenAI-compatible door on localhost for every LLM provider you have a key to."""

__version__ = "0.1.0"
