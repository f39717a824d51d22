"""What happened, as immutable facts. The core emits them; telemetry and the store subscribe.

Named tuples rather than frozen dataclasses: they are as immutable and cost a fifth to build, and a few are built for every
request. All durations are in seconds; ``started_at`` is wall-clock epoch seconds.
"""

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from orcestator.usage import NOTHING, Usage

HEDGE_WON, HEDGE_LOST = "hedge_won", "hedge_lost"
"""The verdict on the one of two attempts that spoke first, where that is the second, and on the one that did not."""
ABANDONED, BROKE = "abandoned", "broke"
"""The verdict on an attempt whose caller left before there was an answer, and on one whose answer broke after its first content."""
SERVING = frozenset({"", HEDGE_WON, BROKE})
"""Verdicts on an attempt whose answer the caller got."""
Outcome = Literal["ok", "client_error", "upstream_error", "cancelled", "shed"]
"""The one terminal outcome of a request."""


class AttemptEnded(NamedTuple):
    """One try at one candidate, as its request's end tells it."""

    number: int  # 1 for the first attempt of the request
    provider: str
    model: str  # the upstream's name for it
    worker: str  # the address of the worker that called, "" for this process
    credential: str  # which of the provider's keys: "" for the first
    name: str  # the name that led to it: a model's or an alias's
    kind: str  # why it was made: "" first, "retry" of the same candidate, "fallback" to another, "hedge" beside a slow one
    is_probe: bool  # the first one after the deployment was taken out
    error: str  # error class name, "" when it went well
    cause: str  # short low-cardinality word, "" when it went well
    upstream_status: int  # 0 when no status was received
    verdict: str  # what followed: "" it served, "retry", "fall_back", "give_up", "hedge_won", "hedge_lost", "abandoned", "broke"
    started_s: float  # from the request's arrival to its start
    latency_s: float  # from its start to its head (first content or whole reply) or failure
    total_s: float  # from its start to the end of its answer
    maybe_billed: bool  # it served nobody, and had left us
    usage: Usage
    nano_usd: int | None  # what that costs, None when nobody knows


def cost_of_serving(tried: Iterable[AttemptEnded]) -> int | None:
    """Nano-dollars of the answers that a caller got, one after the other; None where one of them is not known."""
    costs = [attempt.nano_usd for attempt in tried if attempt.verdict in SERVING]
    return None if None in costs else sum(cost or 0 for cost in costs)


class RequestEnded(NamedTuple):
    """A caller's request has its one terminal outcome. What callers and models said stands at the end."""

    request_id: str
    started_at: float
    route: str  # "chat", "completions", "embeddings", "images", "audio", "moderations"
    streamed: bool
    outcome: Outcome
    status: int  # HTTP status sent to the caller; 499 when the caller left before one was sent
    error: str  # error class name or ""
    caller: str  # id of the caller key, "" when anonymous
    requested_model: str  # what the caller asked for, and what the answer's model field says
    served_by: str = ""  # "attempt", or the middleware that answered in place of one; "" when there was no answer
    provider: str = ""  # "" when no attempt succeeded
    model: str = ""  # the upstream's name of the model that served it, "" when none did
    usage: Usage = NOTHING  # of the answer that the caller got
    nano_usd: int | None = 0  # what that costs in nano-dollars, None when nobody knows
    latency_s: float = 0.0
    first_content_s: float = -1.0  # time to first content; -1.0 when there was none
    attempts: int = 0
    retries: int = 0
    fallbacks: int = 0
    hedges: int = 0
    is_paid_fallback: bool = False  # the paid fallback served
    parse_s: float = 0.0  # our own time: reading and checking the request
    plan_s: float = 0.0  # our own time: choosing the candidates
    relay_s: float = 0.0  # our own time: turning the upstream's bytes into the caller's
    tried: tuple[AttemptEnded, ...] = ()  # every attempt, in the order of their starts
    planned_at: float = 0.0  # monotonic seconds
    plan: object = None  # the ``Plan`` that it went by, for whoever explains it; None when there was none
    message: str = ""  # error message (already sanitised) or ""
    user_text: str = ""  # last user message, capped
    assistant_text: str = ""  # the answer's text, capped


TEXTS = 3
"""Fields at the end of a ``RequestEnded`` that hold what somebody said."""
NOT_FACTS = frozenset({"tried", "planned_at", "plan"})
"""Its fields that are not written with it: the attempts are told one by one, the rest is for this process alone."""


class QuotaRefused(NamedTuple):
    """A candidate was passed over because a quota ledger of ours knows that its upstream would refuse: nobody was asked."""

    request_id: str
    provider: str
    model: str
    cause: str  # "quota", "quota_guessed" or "quota_size"
    seconds: float  # until its upstream would take the request


class Waited(NamedTuple):
    """A request waited for a permit, because every deployment for it was full."""

    seconds: float
    was_served: bool


class HealthChanged(NamedTuple):
    """A deployment was taken out of, or put back into, routing."""

    provider: str
    model: str
    state: str  # "open", "half_open", "closed", "cooldown", "key_refused", "permanently_unavailable"
    seconds: float  # how long it stays out; 0.0 when it is back, or when nobody knows
    reason: str
    credential: str = ""  # the id of the provider's key that it is about


Event = RequestEnded | QuotaRefused | HealthChanged | Waited
EventSink = Callable[[Event], None]
