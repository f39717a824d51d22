"""Everything that speaks with programs of the stock FastChat package."""
