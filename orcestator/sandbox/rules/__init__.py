"""What the real APIs refuse, and the sandbox with them. Pure."""
