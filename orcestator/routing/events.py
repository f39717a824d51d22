"""What happened, as immutable facts. The core emits them; telemetry and the store subscribe.

Named tuples rather than frozen dataclasses: they are as immutable and cost a fifth to build, and one or two are
built for every request. All durations are in seconds; ``started_at`` is wall-clock epoch seconds.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

HEDGE_WON, HEDGE_LOST = "hedge_won", "hedge_lost"
"""The verdict on the one of two attempts that spoke first, where that is the second, and on the one that did not."""
Outcome = Literal["ok", "client_error", "upstream_error", "cancelled", "shed"]
"""The one terminal outcome of a request."""


class AttemptEnded(NamedTuple):
    """One try at one candidate is over (for a stream: it reached its first content, or failed before it)."""

    request_id: str
    number: int  # 1 for the first attempt of the request
    provider: str
    model: str  # the upstream's name for it
    error: str  # error class name, "" when it went well
    cause: str  # short low-cardinality word, "" when it went well
    upstream_status: int  # 0 when no status was received
    verdict: str  # what the loop does next: "", "retry", "fall_back", "give_up"; or "hedge_won", "hedge_lost"
    latency_s: float  # from the start of the attempt to its head (first content or whole reply) or failure
    maybe_billed: bool  # it failed after the request had left us


class RequestEnded(NamedTuple):
    """A caller's request has its one terminal outcome."""

    request_id: str
    started_at: float
    route: str  # "chat", "completions", "embeddings", "images", "audio", "moderations"
    streamed: bool
    outcome: Outcome
    status: int  # HTTP status sent to the caller; 499 when the caller left before one was sent
    error: str  # error class name or ""
    message: str  # error message (already sanitised) or ""
    caller: str  # id of the caller key, "" when anonymous
    requested_model: str  # what the caller asked for, and what the answer's model field says
    provider: str  # "" when no attempt succeeded
    model: str  # the upstream's name of the model that served it, "" when none did
    user_text: str  # last user message, capped
    assistant_text: str  # the answer's text, capped
    prompt_tokens: int
    completion_tokens: int
    tokens_estimated: bool  # the upstream gave no usable usage
    latency_s: float
    first_content_s: float  # time to first content; -1.0 when there was none
    attempts: int
    fallbacks: int
    parse_s: float  # our own time: reading and checking the request
    plan_s: float  # our own time: choosing the candidates
    relay_s: float  # our own time: turning the upstream's bytes into the caller's
    served_by: str = ""  # the middleware that answered in place of an upstream


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


Event = AttemptEnded | RequestEnded | QuotaRefused | HealthChanged | Waited
EventSink = Callable[[Event], None]
