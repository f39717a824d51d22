"""What is put to the test: something that gets a request answered."""

from typing import Protocol

from orcestator.simulator.scenario import Request
from orcestator.simulator.upstreams import Trace


class Router(Protocol):
    """One way of serving."""

    async def serve(self, request: Request, trace: Trace) -> None:
        """Serve it to its end; ``trace.first_content`` is set when it begins. Raises OrcestatorError when it fails."""
