"""What is known of each deployment: circuit breaker, statistics, quota ledger. Synchronous state."""
