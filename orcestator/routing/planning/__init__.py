"""Which candidates a request has, in which order, and why others are not among them. Pure."""
