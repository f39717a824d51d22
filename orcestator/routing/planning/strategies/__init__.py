"""The strategies by name: a new one is a file here and its line in the table."""

from collections.abc import Callable, Mapping

from orcestator.routing.planning.strategies.adaptive import Adaptive
from orcestator.routing.planning.strategies.cheapest import Cheapest
from orcestator.routing.planning.strategies.fastest import Fastest
from orcestator.routing.planning.strategies.lottery import Lottery
from orcestator.routing.planning.strategies.priority import Priority
from orcestator.routing.planning.strategies.round_robin import RoundRobin
from orcestator.routing.planning.strategies.score import Score
from orcestator.routing.planning.strategies.shortest_queue import ShortestQueue
from orcestator.routing.planning.strategies.smart import Smart
from orcestator.routing.planning.strategies.sticky import Sticky
from orcestator.routing.planning.strategies.strategy import Strategy

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
