"""What the sandbox does wrong on command."""
