"""How every provider and model is: read from what routing already knows, calling nobody.

The shapes are those of the routers that this one replaces: times in milliseconds, prices in US dollars a token.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from itertools import chain
from math import inf
from typing import Any, NamedTuple

from orcestator.errors import InvalidRequest, ModelNotFound, Overloaded, RouteNotFound
from orcestator.json_text import Json
from orcestator.prices import INPUT, TOKENS_A_PRICE
from orcestator.providers.rows import ROWS
from orcestator.routing.offer import Deployment, Offer
from orcestator.routing.planning.catalog import Catalog, deployments_of
from orcestator.routing.planning.plan import Planner
from orcestator.routing.state.circuit_breaker import HealthState, Standing
from orcestator.routing.state.quota import FREE, GUESSED, PAUSED
from orcestator.routing.state.stats import DeploymentStats
from orcestator.upstream.health_checks import UNKNOWN, Check
from orcestator.web.admin.performance import Performance, performance_of

TITLES = {row.name: row.title for row in ROWS}
_MESSAGES = {
    "operational": "Provider is operational",
    "degraded": "Some models of the provider are out",
    "down": "All that was called at the provider is out",
}
USUAL_CAPACITY = 100
"""Requests in hand that count as full load where nothing says how many a deployment takes."""
OPERATIONAL, DEGRADED, DOWN = "operational", "degraded", "down"
AVAILABLE, RATE_LIMITED, UNAVAILABLE = "available", "rate_limited", "unavailable"
RECOVERING = "recovering"
MOST_UNLISTED = 200
"""Models that nobody lists of which a page tells: callers make names up."""
CIRCUITS = {
    "open": "OPEN",
    "cooldown": "OPEN",
    "key_refused": "OPEN",
    "half_open": "HALF_OPEN",
    "permanently_unavailable": "PERMANENTLY_UNAVAILABLE",
}
"""Our words for a deployment that is unwell in the four of the free LLM router; any other is CLOSED."""


class ServedModel(NamedTuple):
    """One model of one provider with everything that may serve it: replicas and credentials."""

    provider: str
    model: str
    facts: Mapping[str, Any]
    deployments: tuple[Deployment, ...]


@dataclass(slots=True)
class Overview:
    """``now`` is monotonic and ``wall`` epoch seconds; ``check`` gives the last background check of a provider."""

    planner: Planner
    now: Callable[[], float]
    wall: Callable[[], float]
    check: Callable[[str], Check] = lambda _provider: UNKNOWN
    _listed: tuple[Catalog, tuple[ServedModel, ...]] | None = field(default=None, init=False)

    def providers(self) -> list[Json]:
        """A row a provider."""
        return [self.provider_row(name) for name in self._offers()]

    def provider_row(self, provider: str) -> Json:
        """One provider with its models. Raises RouteNotFound."""
        offers = self._offers_of(provider)
        figures = performance_of(self._stats(provider))
        return {
            "id": provider,
            "name": TITLES.get(provider, provider),
            "status": self._status(provider),
            "models": list(dict.fromkeys(chain.from_iterable(offer.models for offer in offers))),
            "responseTime": self._response_ms(provider, figures),
            "successRate": round(figures.success_rate, 4),
            "costPerToken": _token_price(offers[0].models.get(offers[0].default_model, {})),
            "priority": offers[0].order,
            "dialects": list(offers[0].dialects),
            "workers": [offer.worker for offer in offers if offer.worker],
            "credentials": max(len(offer.credentials) for offer in offers),
        }

    def provider_status(self, provider: str) -> Json:
        """How a provider does, in per cent. Raises RouteNotFound."""
        self._offers_of(provider)
        figures = performance_of(self._stats(provider))
        status = self._status(provider)
        return {
            "provider": provider,
            "status": status,
            "responseTime": self._response_ms(provider, figures),
            "successRate": round(100.0 * figures.success_rate, 2),
            "errorRate": round(100.0 * (1.0 - figures.success_rate), 2),
            "lastCheck": self._last_check(provider, figures),
            "message": self._message(provider, status),
        }

    def provider_health(self, provider: str) -> Json:
        """Whether a provider is well. Raises RouteNotFound."""
        self._offers_of(provider)
        figures = performance_of(self._stats(provider))
        words = {"operational": "healthy", "degraded": "degraded"}
        return {
            "provider": provider,
            "status": words.get(self._status(provider), "unhealthy"),
            "responseTime": self._response_ms(provider, figures),
            "lastCheck": self._last_check(provider, figures),
            "uptime": f"{self._uptime(provider, figures):.1f}%",
        }

    def models(self, provider: str = "") -> list[Json]:
        """A row a deployment, of one provider or of all. Raises RouteNotFound."""
        if provider:
            self._offers_of(provider)
        return [self._model_row(found) for found in self.served_models() if provider in ("", found.provider)]

    def named_models(self) -> list[Json]:
        """A row for each public name, aliases first, as the free LLM router lists them."""
        rows = {f"{found.provider}/{found.model}": found for found in self.served_models()}
        return [
            self._named_row(name, facts, rows.get(name) or self._first_behind(name, rows))
            for name, _, facts in self.planner.catalog().cards()
        ]

    def model_status(self, name: str) -> Json:
        """How the deployments behind a name are, together. Raises ModelNotFound."""
        found = self._behind(name)
        figures = [performance_of(self._figures(served)) for served in found]
        limits = [_capacity(served) for served in found]
        in_flight = sum(one.in_flight for one in figures)
        return {
            "name": name,
            "status": min(
                (self._availability(one, self._standing(one)) for one in found),
                key=(AVAILABLE, RATE_LIMITED, UNAVAILABLE).index,
            ),
            "load": round(min(1.0, in_flight / sum(limits)), 4),
            "errors": sum(one.failures for one in figures),
            "requests": sum(one.calls for one in figures),
            "activeRequests": in_flight,
        }

    def states(self, limits: Sequence[Json] = ()) -> list[Json]:
        """Every deployment's breaker and figures; ``limits`` are what the quota ledgers know."""
        failing = {state[:3]: state for state in self.planner.health.states(self.now()) if not state.credential}
        held = [limit for limit in limits if limit["secondsLeft"] > 0.0]
        found = (*self.served_models(), *self._unlisted())
        return [
            _held_longer(self._state_row(one, failing), one, held) if held else self._state_row(one, failing)
            for one in found
        ]

    def reset(self, name: str) -> list[tuple[str, str]]:
        """Forget what this process holds against the deployments behind a name; their (provider, model). Raises ModelNotFound."""
        return self._forgotten(self._behind(name))

    def reset_provider(self, provider: str) -> list[tuple[str, str]]:
        """The same for everything of a provider, or of all where none is named. Raises RouteNotFound."""
        if provider:
            self._offers_of(provider)
        for name in [provider] if provider else list(self._offers()):
            self.planner.health.reset(name)
        found = (*self.served_models(), *self._unlisted())
        return self._forgotten([one for one in found if provider in ("", one.provider)])

    def _forgotten(self, found: Sequence[ServedModel]) -> list[tuple[str, str]]:
        for served in found:
            self.planner.health.reset(served.provider, served.model)
            self.planner.quota.forget_elsewhere(served.provider, served.model)
            for deployment in served.deployments:
                self.planner.stats.forget(deployment)
        return [(served.provider, served.model) for served in found]

    def timestamp(self) -> str:
        """The present moment."""
        return _moment(self.wall())

    def served_models(self) -> tuple[ServedModel, ...]:
        """Every listed model of every provider; replicas at several workers are one. Worked out once a snapshot."""
        catalog = self.planner.catalog()
        if self._listed is None or self._listed[0] is not catalog:
            self._listed = catalog, _served_models_in(catalog)
        return self._listed[1]

    def _unlisted(self) -> list[ServedModel]:
        """Models that nobody lists and callers have named all the same."""
        listed = {(one.provider, one.model) for one in self.served_models()}
        found: dict[tuple[str, str], ServedModel] = {}
        for one in reversed(self.planner.stats.records):
            key = (one.provider, one.model)
            if len(found) >= MOST_UNLISTED and key not in found:
                break
            if key not in listed:
                found[key] = ServedModel(*key, {}, (*(found[key].deployments if key in found else ()), one))
        return list(found.values())

    def _offers(self) -> dict[str, list[Offer]]:
        offers: dict[str, list[Offer]] = {}
        for offer in self.planner.catalog().offers:
            offers.setdefault(offer.provider, []).append(offer)
        return offers

    def _offers_of(self, provider: str) -> list[Offer]:
        offers = self._offers()
        if provider not in offers:
            raise RouteNotFound(_no_provider(provider, list(offers)), param="provider", code="provider_not_found")
        return offers[provider]

    def _behind(self, name: str) -> list[ServedModel]:
        """The deployments that a name leads to, its paid fallback aside. Raises ModelNotFound."""
        listed = {(one.provider, one.model): one for one in self.served_models()}
        deployments = {(one.provider, one.model): one for one in self._deployments(name)}
        return [listed.get(key) or ServedModel(*key, {}, (one,)) for key, one in deployments.items()]

    def _deployments(self, name: str) -> list[Deployment]:
        """What a name leads to at the first endpoint where it leads anywhere. Raises ModelNotFound."""
        catalog = self.planner.catalog()
        for endpoint in dict.fromkeys(chain(["chat"], *(sorted(offer.endpoints) for offer in catalog.offers))):
            try:
                tiers = catalog.tiers((name,), endpoint)
            except InvalidRequest:
                continue
            return [
                candidate.deployment
                for tier in tiers
                for candidate in tier.candidates
                if not candidate.is_paid_fallback
            ]
        return []

    def _first_behind(self, name: str, rows: Mapping[str, ServedModel]) -> ServedModel | None:
        """The first deployment of an alias; None where it names only what is not on."""
        try:
            first = self._deployments(name)[:1]
        except (ModelNotFound, Overloaded):
            return None
        return next(
            (rows.get(f"{one.provider}/{one.model}") or ServedModel(*one[:2], {}, (one,)) for one in first), None
        )

    def _named_row(self, name: str, facts: Mapping[str, Any], found: ServedModel | None) -> Json:
        standing = self._standing(found) if found else None
        return {
            "name": name,
            "provider": found.provider if found else "",
            "type": facts.get("type", ""),
            "contextSize": facts.get("context_length"),
            "tags": list(facts.get("tags", ())),
            "available": found is not None and self._is_on_offer(found, standing),
            "status": self._availability(found, standing) if found else UNAVAILABLE,
            "capabilities": _capabilities(facts),
        }

    def _model_row(self, found: ServedModel) -> Json:
        facts, standing = found.facts, self._standing(found)
        figures = performance_of(self._figures(found))
        return {
            "id": f"{found.provider}/{found.model}",
            "name": found.model,
            "displayName": facts.get("public_name") or found.model,
            "provider": found.provider,
            "costPerToken": _token_price(facts),
            "maxTokens": facts.get("max_output_tokens"),
            "contextSize": facts.get("context_length"),
            "isActive": self._is_on_offer(found, standing),
            "status": self._availability(found, standing),
            "responseTime": round(1000.0 * figures.mean_seconds),
            "successRate": round(figures.success_rate, 4),
            "capabilities": _capabilities(facts),
        }

    def _state_row(self, found: ServedModel, failing: Mapping[tuple[str, str, str], HealthState]) -> Json:
        standing, figures = self._standing(found), performance_of(self._figures(found))
        known = [failing[one[:3]] for one in found.deployments if one[:3] in failing]
        return {
            "name": f"{found.provider}/{found.model}",
            "modelName": found.facts.get("public_name") or found.model,
            "providerName": found.provider,
            "circuitState": CIRCUITS.get(standing.state, "CLOSED") if standing else "CLOSED",
            "state": standing.state if standing else "closed",
            "reason": standing.reason if standing else "",
            "secondsLeft": _seconds_left(standing, self.now()),
            "consecutiveFailures": max((state.consecutive_failures for state in known), default=0),
            "timesOpened": max((state.times_opened for state in known), default=0),
            "activeRequests": figures.in_flight,
            "stats": {
                "totalRequests": figures.calls,
                "successCount": figures.calls - figures.failures,
                "errorCount": figures.failures,
                "avgLatency": round(1000.0 * figures.mean_seconds),
                "p95Latency": round(1000.0 * figures.slow_seconds),
                "successRate": round(figures.success_rate, 4),
            },
        }

    def _status(self, provider: str) -> str:
        """ "operational", "degraded" (some of what was called is out), or "down" (all of it, or its check says so)."""
        check = self.check(provider)
        if check.status in (DEGRADED, DOWN):
            return check.status
        known = [deployment for deployment in self.planner.stats.records if deployment.provider == provider]
        found = [(deployment, self._troubled(deployment)) for deployment in known]
        missing = [deployment for deployment, standing in found if standing is not None and standing.is_final]
        there = [standing for _, standing in found if standing is None or not standing.is_final]
        out = [standing for standing in there if standing is not None]
        if out and len(out) == len(there) and all(one.until > self.now() for one in out):
            return DOWN
        # A name that the provider does not know tells of it only where its list has that name: callers make names up.
        return DEGRADED if out or any(map(self._is_listed, missing)) else OPERATIONAL

    def _is_listed(self, deployment: Deployment) -> bool:
        return any((one.provider, one.model) == (deployment.provider, deployment.model) for one in self.served_models())

    def _troubled(self, deployment: Deployment) -> Standing | None:
        """Its standing, but for one that is only getting its traffic back."""
        standing = self.planner.health.standing(deployment, self.now())
        return None if standing is not None and standing.state == RECOVERING else standing

    def _is_on_offer(self, found: ServedModel, standing: Standing | None) -> bool:
        """Whether its configuration and its provider say that it exists."""
        return found.facts.get("available", True) is True and not (standing and standing.is_final)

    def _availability(self, found: ServedModel, standing: Standing | None) -> str:
        """ "available", "rate_limited" (its quota is used up, or its upstream asked for a pause) or "unavailable"."""
        if not self._is_on_offer(found, standing):
            return UNAVAILABLE
        if standing is not None and standing.until > self.now() and standing.state != RECOVERING:
            return RATE_LIMITED if standing.state == "cooldown" else UNAVAILABLE
        now, quota = self.now(), self.planner.quota
        if not quota.is_empty and all(quota.back_at(one, 0, now) > now for one in found.deployments):
            return RATE_LIMITED
        return AVAILABLE

    def _standing(self, found: ServedModel) -> Standing | None:
        """How it is: None as soon as one candidate is well, else the standing that ends first."""
        if self.planner.health.is_quiet:
            return None
        standings: list[Standing] = []
        for deployment in found.deployments:
            standing = self.planner.health.standing(deployment, self.now())
            if standing is None:
                return None
            standings.append(standing)
        return min(standings, key=lambda one: (one.is_final, one.until))

    def _stats(self, provider: str) -> list[DeploymentStats]:
        return [one for deployment, one in self.planner.stats.records.items() if deployment.provider == provider]

    def _figures(self, found: ServedModel) -> list[DeploymentStats]:
        stats = (self.planner.stats.of(deployment) for deployment in found.deployments)
        return [one for one in stats if one is not None]

    def _response_ms(self, provider: str, figures: Performance) -> int:
        """Milliseconds to an answer lately; those of the last check before the first call, 0 before both."""
        check = self.check(provider)
        if figures.mean_seconds == 0.0 and check.response_ms >= 0.0:
            return round(check.response_ms)
        return round(1000.0 * figures.mean_seconds)

    def _last_check(self, provider: str, figures: Performance) -> str | None:
        """When anything was last learned of the provider: by a check or by a request."""
        called = self.wall() - (self.now() - figures.last_call_at) if figures.last_call_at else 0.0
        at = max(called, self.check(provider).checked_at)
        return _moment(at) if at else None

    def _uptime(self, provider: str, figures: Performance) -> float:
        """Per cent of the last day in which it worked, or of calls where that is not known."""
        uptime = self.check(provider).uptime_percent
        if uptime >= 0.0:
            return uptime
        return 100.0 * (figures.calls - figures.failures) / figures.calls if figures.calls else 100.0

    def _message(self, provider: str, status: str) -> str:
        check = self.check(provider)
        return check.message if check.source == "check" else _MESSAGES[status]


def _held_longer(row: Json, found: ServedModel, held: Sequence[Json]) -> Json:
    """The row with what the ledger holds against all keys of a deployment, where that lasts longer than what the row tells."""
    longest: list[Json] = []
    for credential in {deployment.credential for deployment in found.deployments}:
        against = [
            limit
            for limit in held
            if (limit["provider"], limit["credential"]) == (found.provider, credential)
            and (limit["model"] in ("", found.model) or (limit["model"] == FREE and found.model.endswith(FREE)))
        ]
        if not against:
            return row
        longest.append(max(against, key=lambda limit: limit["secondsLeft"]))
    soonest = min(longest, key=lambda limit: limit["secondsLeft"])
    if row["secondsLeft"] is None or soonest["secondsLeft"] <= row["secondsLeft"]:
        return row
    is_pause = soonest["source"] in (PAUSED, GUESSED)
    told = {"state": "cooldown", "circuitState": CIRCUITS["cooldown"]} if is_pause else {"state": "quota"}
    reason = row["reason"] or f"quota: {soonest['source']}"
    return {**row, **told, "reason": reason, "secondsLeft": soonest["secondsLeft"]}


def _seconds_left(standing: Standing | None, now: float) -> float | None:
    """Seconds until an attempt may start; None when nobody knows."""
    if standing is None:
        return 0.0
    return None if standing.until == inf else round(max(0.0, standing.until - now), 3)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _served_models_in(catalog: Catalog) -> tuple[ServedModel, ...]:
    found: dict[tuple[str, str], ServedModel] = {}
    for offer in catalog.offers:
        for model, facts in offer.models.items():
            known = found.get((offer.provider, model))
            deployments = (known.deployments if known else ()) + deployments_of(offer, model)
            found[offer.provider, model] = ServedModel(offer.provider, model, facts, deployments)
    return tuple(found.values())


def _capacity(found: ServedModel) -> int:
    limit = found.facts.get("max_concurrent", 0) * len(found.deployments)
    return limit or USUAL_CAPACITY


def _capabilities(facts: Mapping[str, Any]) -> list[str]:
    """What the configuration says, else what the model's facts tell."""
    said = list(facts.get("capabilities", ()))
    if said:
        return said
    seen = [f"{modality}-input" for modality in facts.get("input_modalities") or () if modality != "text"]
    return ["text-generation", *(["tools"] if "tools" in (facts.get("supported_parameters") or ()) else []), *seen]


def _token_price(facts: Mapping[str, Any]) -> float | None:
    """US dollars for a token of input, None where nobody said."""
    price = (facts.get("pricing") or {}).get(INPUT)
    return None if price is None else round(price / TOKENS_A_PRICE, 12)


def _no_provider(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name[:128], known, n=1, cutoff=0.4)
    hint = f" Did you mean '{near[0]}'?" if near else " GET /orchestrator/providers lists them."
    return f"There is no provider '{name[:128]}' here.{hint}"
