"""Everything FastChat, and what crosses process borders: the controller's table, and the carriers of attempts."""
