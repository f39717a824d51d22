"""How many bytes of large request bodies one process holds at a time, in all and of one caller.

A body is there for as long as its request may be tried again, and beside it stands what it was parsed to. It must never know
a connection: who holds a body says so, and says when it is gone.
"""

from orcestator.errors import Overloaded, QuotaExceeded

RETRY_SECONDS = "1"


class BodyBudget:
    """Bytes of bodies in hand. One caller may hold half of them. A limit of 0 means no limit."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._by_caller: dict[str, int] = {}
        self.held = 0

    def take(self, caller: str, more: int) -> None:
        """``caller`` holds so many bytes more. Raises QuotaExceeded when that is over its half, Overloaded over the whole."""
        mine = self._by_caller.get(caller, 0) + more
        if self._limit and 2 * mine > self._limit:
            raise QuotaExceeded(
                f"Your requests that run have {mine} bytes in their bodies together; the limit is {self._limit // 2}.",
                code="bodies_too_large",
                headers={"retry-after": RETRY_SECONDS},
            )
        if self._limit and self.held + more > self._limit:
            raise Overloaded(
                "Too many large requests run at this moment.",
                code="bodies_too_large",
                headers={"retry-after": RETRY_SECONDS},
            )
        self._by_caller[caller] = mine
        self.held += more

    def give_back(self, caller: str, size: int) -> None:
        """So many bytes of its bodies are gone."""
        self.held -= size
        left = self._by_caller[caller] - size
        if left:
            self._by_caller[caller] = left
        else:
            del self._by_caller[caller]
