"""What is known about providers, as data: one row each, and the facts about their models. Pure."""
