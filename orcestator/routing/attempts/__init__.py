"""The attempt loop and what follows from each failure: retry, fallback, hedging, waiting. Pure."""
