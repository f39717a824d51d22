"""The OpenAI dialect: the pass-through. The body travels intact; only model and credentials change."""
