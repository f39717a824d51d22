"""The HTTP surfaces: what callers, workers and operators reach. Each file serves one group of routes."""
