"""The strategies by name: a new one is a file here and its line in the table."""

from collections.abc import Callable, Mapping

from orcestator.routing.strategies.adaptive import Adaptive
from orcestator.routing.strategies.cheapest import Cheapest
from orcestator.routing.strategies.fastest import Fastest
from orcestator.routing.strategies.lottery import Lottery
from orcestator.routing.strategies.priority import Priority
from orcestator.routing.strategies.round_robin import RoundRobin
from orcestator.routing.strategies.score import Score
from orcestator.routing.strategies.shortest_queue import ShortestQueue
from orcestator.routing.strategies.smart import Smart
from orcestator.routing.strategies.sticky import Sticky
from orcestator.routing.strategies.strategy import Strategy

STRATEGIES: Mapping[str, Callable[[], Strategy]] = {
    "priority": Priority,
    "score": Score,
    "smart": Smart,
    "round_robin": RoundRobin,
    "shortest_queue": ShortestQueue,
    "lottery": Lottery,
    "cheapest": Cheapest,
    "fastest": Fastest,
    "sticky": Sticky,
    "adaptive": Adaptive,
}
"""Each makes a strategy with a memory of its own."""
