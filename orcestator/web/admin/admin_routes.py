"""``/admin/…`` (also under ``/api/v1``, where the free LLM router has it) and ``/metrics``: the state of this process."""

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from orcestator.bridge.ledgers import Ledgers, LocalLedgers
from orcestator.errors import InvalidRequest, Overloaded
from orcestator.json_text import Json
from orcestator.routing.decision import REMEMBERED_REQUESTS
from orcestator.server.route_table import Asked, Endpoint, Reply, number_in
from orcestator.web.admin.overview import AVAILABLE, Overview

BASES = ("", "/api/v1")
DEFAULT_REQUESTS = 500
EXPOSITION_TYPES = ("text/plain", "application/openmetrics-text")
"""What Prometheus asks for (https://prometheus.io/docs/instrumenting/content_negotiation/, checked 2026-11)."""
_WEIGHT = re.compile(r"[01](\.\d{0,3})?")


@dataclass(frozen=True, slots=True)
class Figures:
    """What the process counted. ``totals`` since its start; ``exposition`` is Prometheus's text, of ``exposition_type``."""

    totals: Callable[[], Json]
    exposition: Callable[[], bytes | Awaitable[bytes]]
    exposition_type: str


@dataclass(frozen=True, slots=True)
class AdminRoutes:
    """``configuration`` is the running one without its secrets; ``reload`` tells ``applied``, ``needs_restart`` and
    ``problems``, with which it changed nothing; ``preview`` what it would change and where the last so many requests would go."""

    overview: Overview
    figures: Figures
    configuration: Callable[[], Json]
    reload: Callable[[], Awaitable[Json]]
    preview: Callable[[int], Awaitable[Json]]
    ledgers: Ledgers | None = None
    """Where quotas are known; None for the planner's own."""

    def endpoints(self) -> Sequence[Endpoint]:
        """The rows of the table."""
        rows = (
            Endpoint("GET", "/admin/state", self._state),
            Endpoint("POST", "/admin/state/{}/reset", self._reset),
            Endpoint("POST", "/admin/state/reset", self._reset_many),
            Endpoint("GET", "/admin/metrics", self._totals),
            Endpoint("GET", "/admin/rate-limits", self._rate_limits),
            Endpoint("GET", "/admin/config", self._configuration),
            Endpoint("POST", "/admin/reload", self._reload),
            Endpoint("POST", "/admin/check", self._check, only_asks=True),
            Endpoint("GET", "/metrics", self._metrics),
        )
        return [row._replace(path=base + row.path) for base in BASES for row in rows]

    async def _state(self, _asked: Asked) -> Reply:
        limits = await self._ledgers().limits()
        return Reply({"models": self.overview.states(limits), "timestamp": self.overview.timestamp()})

    async def _reset(self, asked: Asked) -> Reply:
        found = self.overview.reset(asked.name)
        heard = [await self._ledgers().reset(provider, model) for provider, model in found]
        return _forgotten(f"State for model {asked.name} reset", found, is_whole=all(heard))

    async def _reset_many(self, asked: Asked) -> Reply:
        provider = asked.query.get("provider", "")
        found = self.overview.reset_provider(provider)
        is_whole = await self._ledgers().reset(provider, "")
        return _forgotten(f"State of {provider or 'all providers'} reset", found, is_whole=is_whole)

    def _ledgers(self) -> Ledgers:
        return self.ledgers or LocalLedgers(self.overview.planner.quota, self.overview.now)

    async def _totals(self, _asked: Asked) -> Reply:
        totals = self.figures.totals()
        circuits = [state["circuitState"] for state in self.overview.states()]
        models = self.overview.models()
        return Reply(
            {
                "uptime": totals["uptime"],
                "totalRequests": totals["requests"]["total"],
                "successfulRequests": totals["requests"]["success"],
                "failedRequests": totals["requests"]["failed"],
                "fallbacksUsed": totals["paid_fallbacks"],
                "avgLatency": round(1000.0 * totals["performance"]["avg_response_time"]),
                "modelsAvailable": sum(model["status"] == AVAILABLE for model in models),
                "modelsInOpenState": circuits.count("OPEN"),
                "modelsPermanentlyUnavailable": circuits.count("PERMANENTLY_UNAVAILABLE"),
                "activeConnections": sum(measure.in_flight for measure in self.overview.planner.stats.records.values()),
            }
        )

    async def _rate_limits(self, _asked: Asked) -> Reply:
        limits = await self._ledgers().limits()
        return Reply({"enabled": bool(limits), "limits": limits})

    async def _configuration(self, _asked: Asked) -> Reply:
        return Reply(self.configuration())

    async def _reload(self, _asked: Asked) -> Reply:
        return _reply("The configuration was not changed.", await self.reload())

    async def _check(self, asked: Asked) -> Reply:
        limit = number_in(asked.query, "requests", default=DEFAULT_REQUESTS, most=REMEMBERED_REQUESTS)
        return _reply("The configuration is not valid.", await self.preview(limit))

    async def _metrics(self, asked: Asked) -> Reply:
        if not wants_exposition(asked.headers):
            totals = self.figures.totals()
            return Reply({"requests": totals["requests"], "performance": totals["performance"]})
        # Rendering thousands of series takes milliseconds.
        rendered = await asyncio.to_thread(self.figures.exposition)
        body = await rendered if inspect.isawaitable(rendered) else rendered
        return Reply(body, content_type=self.figures.exposition_type)


def _forgotten(message: str, found: Sequence[tuple[str, str]], *, is_whole: bool) -> Reply:
    if not is_whole:
        raise Overloaded("A worker did not answer: what it holds against its models is not forgotten. Try again.")
    return Reply({"success": True, "message": message, "reset": [f"{provider}/{model}" for provider, model in found]})


def _reply(trouble: str, outcome: Json) -> Reply:
    problems = outcome["problems"]
    if not problems:
        return Reply(outcome)
    error = InvalidRequest(f"{trouble} {problems[0]}", code="bad_configuration")
    return Reply({**outcome, **error.body()}, error.http_status)


def wants_exposition(headers: Mapping[bytes, bytes]) -> bool:
    """Whether Prometheus's text is asked for; whoever takes anything gets JSON."""
    accepted = _accepted(headers.get(b"accept", b"").decode("latin-1").lower())
    return max(_weight(accepted, kind) for kind in EXPOSITION_TYPES) > _weight(accepted, "application/json")


def _accepted(accept: str) -> dict[str, float]:
    """The ranges of an ``Accept`` header with their weights (RFC 9110, 12.5.1); a weight that makes no sense is 1."""
    found: dict[str, float] = {}
    for part in accept.split(","):
        name, *parameters = (word.strip() for word in part.split(";"))
        weights = [word[2:] for word in parameters if word.startswith("q=")]
        found[name] = float(weights[0]) if weights and _WEIGHT.fullmatch(weights[0]) else 1.0
    return found


def _weight(accepted: Mapping[str, float], kind: str) -> float:
    """The weight of a media type by the range that fits it best; 0.0 where none does."""
    ranges = (kind, f"{kind.partition('/')[0]}/*", "*/*")
    return next((accepted[name] for name in ranges if name in accepted), 0.0)
