"""What every exchange of an API server uses, and what a model route is. Values and parts only: nothing here runs."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from orcestator.dialects.canonical import CallerDialect, WriteTerms
from orcestator.dialects.sse import KEEP_ALIVE
from orcestator.gateway.admission import Admission
from orcestator.gateway.call_rules import CallLimits
from orcestator.gateway.conversations import Conversations
from orcestator.gateway.seams import Guardrail, Limiter, Middleware, Reserver
from orcestator.json_text import Json
from orcestator.routing.attempts.loop import AttemptLoop
from orcestator.routing.events import EventSink
from orcestator.routing.offer import Deployment
from orcestator.routing.planning.catalog import Catalog
from orcestator.routing.planning.plan import Planner
from orcestator.server.body_budget import BodyBudget
from orcestator.server.drain import Drain
from orcestator.upstream.call import Answer, UpstreamCall

EVENT_ENDPOINTS = frozenset({"chat", "completions"})
"""Endpoints whose streams are chat events, so that a comment may be sent before the upstream has answered."""


@dataclass(frozen=True, slots=True)
class ExchangePolicy:
    """Settings of an exchange; seconds, bytes, characters."""

    max_body_bytes: int = 32 << 20
    max_json_depth: int = 64
    total_timeout: float = 600.0
    keepalive_interval: float = 15.0
    text_chars: int = 2000
    expose_router: bool = False
    is_strict: bool = False
    continues: bool = False
    key_refused_status: int = 424
    limits: CallLimits = field(default_factory=CallLimits)


@dataclass(slots=True)
class Gateway:
    """The parts that every exchange uses."""

    policy: ExchangePolicy
    admission: Admission
    catalog: Callable[[], Catalog]
    planner: Planner
    attempts: AttemptLoop[Answer]
    carry: Callable[[Deployment, UpstreamCall, float], Awaitable[Answer]]
    emit: EventSink
    drain: Drain
    conversations: Conversations
    bodies: BodyBudget
    wall: Callable[[], float] = time.time
    limiters: tuple[Limiter, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()
    reservers: tuple[Reserver, ...] = ()
    middleware: tuple[Middleware, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """A model route: what it is called in metrics, its endpoint, and its path at an OpenAI upstream.

    ``caller`` is the dialect spoken there, None for OpenAI's. ``keeps``: answers are kept for the next turn.
    ``tells_cost``: whole answers say what they cost, who gave them and how long that took. ``at_once`` gives the answer to
    a request that asks nothing of a model, else None.
    """

    name: str
    endpoint: str
    path: str
    multipart: bool = False
    caller: CallerDialect | None = None
    keeps: bool = False
    tells_cost: bool = False
    at_once: Callable[[Json, WriteTerms], Json | None] | None = None
    keep_alive: bytes = field(init=False)
    """What may be sent on a stream while nothing comes; b"" where the format has no such thing."""
    id_header: bytes = field(init=False)
    """The header in which the answer has the request's id."""

    def __post_init__(self) -> None:
        caller = self.caller
        plain = KEEP_ALIVE if self.endpoint in EVENT_ENDPOINTS else b""
        object.__setattr__(self, "keep_alive", plain if caller is None else caller.keep_alive)
        object.__setattr__(self, "id_header", b"x-request-id" if caller is None else caller.id_header.encode())
