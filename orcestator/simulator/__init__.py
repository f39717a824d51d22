"""The simulator: the router's own parts in a time of their own, before upstreams that are models.

Nothing of the routing is imitated: the catalog, the planner, the attempt loop, health, measures, the retry budget and the quota book
are the ones that serve. Only the upstreams, the callers and the clock are made up.
"""
