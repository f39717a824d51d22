"""What is asked: the needs and preferences of one request. Pure."""
