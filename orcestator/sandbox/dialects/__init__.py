"""What the sandbox answers in each dialect."""
