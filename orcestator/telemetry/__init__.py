"""Shows what happened: metrics, the traffic log and the program's log. All of it listens to events."""
