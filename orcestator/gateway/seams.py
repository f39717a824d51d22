"""Where features join the life of a request. Each is one small protocol; ``Gateway`` has the parts that implement them.

    authenticate → LIMITER → read → GUARDRAIL → plan → RESERVER → MIDDLEWARE around the attempts → GUARDRAIL → reply → record

Limiters and reservers are synchronous: what they decide and what they count is one step. What they hand back is a lease, which is
released exactly once, whatever becomes of the request. A seam with nobody at it costs a request nothing.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from orcestator.gateway.caller import Caller
from orcestator.json_text import Json
from orcestator.routing.events import RequestEnded
from orcestator.routing.planning.plan import Plan
from orcestator.upstream.call import Answer, UpstreamCall


class PlannedCall(NamedTuple):
    """A request that is understood and has its candidates: what reservers and middleware see."""

    caller: Caller
    order: UpstreamCall
    """What is asked. ``order.call`` is the canonical call; it is for reading only."""
    plan: Plan
    """``plan.candidates`` and ``plan.reserve``, each with its ``traits``, among them prices."""


class Lease(Protocol):
    """Something taken for the time of one request."""

    def release(self, ended: RequestEnded | None) -> None:
        """Give it back. ``ended`` is the request's record, with what was really spent; None where a bug left it without one.

        Called exactly once: on success and failure, when the caller leaves, on a shutdown, and when another seam refuses. The
        lease taken last is released first. What this raises is logged, and keeps no other lease from being released.
        """


class Limiter(Protocol):
    """Asked when the caller is known, and before its body is read: rates, how many at once, addresses."""

    def admit(self, caller: Caller, peer: str, now: float) -> Lease | None:
        """Let one request in. ``peer`` is the address at the other end of the connection, ``now`` monotonic seconds.

        None: there is nothing to give back. Raises QuotaExceeded, whose ``retry-after`` header says when to come back.
        """


class Reserver(Protocol):
    """Asked when the candidates are known, and before the first of them is tried: budgets."""

    def reserve(self, call: PlannedCall, now: float) -> Lease | None:
        """Hold what the request may cost at most. The lease settles it by the record. Raises QuotaExceeded."""


Answers = Callable[[PlannedCall], Awaitable[Answer]]
"""What answers a planned call: the attempt loop, or the next middleware in front of it."""


class Middleware(Protocol):
    """Stands around the attempt loop: a response cache, a shadow, a second opinion. The first of the gateway's is the outermost."""

    name: str
    """What the record says in ``served_by`` when it answered by itself."""

    def answer(self, call: PlannedCall, proceed: Answers) -> Awaitable[Answer]:
        """An answer, from ``proceed`` or of its own (``replay.py`` makes one of a canonical reply, whole or as a stream).

        ``proceed`` gives at most one answer; when it has failed it may be asked again, also for another order or plan.
        """


class TextGuard(Protocol):
    """Watches one text of one answer as it comes. Each candidate's answer gets guards of its own."""

    def text(self, piece: str) -> str:
        """What the caller may see now; what cannot be judged yet is held back. Raises ClientError to end the answer."""

    def rest(self) -> str:
        """What was held back: the text is over. Raises ClientError, too."""


class Guarded(NamedTuple):
    """What a guardrail makes of a request."""

    call: Json
    """The canonical call as it may go on: the very object that came, or another. It must not be changed in place."""
    guard: Callable[[], TextGuard] | None = None
    """Makes what watches the answer; None where the answer does not matter."""


class Guardrail(Protocol):
    """Sees what is asked and what is answered in canonical words, whatever the dialects of caller and upstream are."""

    def check(self, caller: Caller, endpoint: str, call: Json) -> Awaitable[Guarded]:
        """Judge a request, which may take asking somebody. Raises ClientError, whose ``param`` names what is wrong."""
