"""``/orchestrator/…``: the endpoints of the provider orchestrator, in its shapes, and the records of decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Protocol

from orcestator.errors import Conflict, InvalidRequest, NothingLeft, Overloaded, RouteNotFound, UpstreamKeyRefused
from orcestator.gateway.call_rules import CallLimits
from orcestator.json_text import Json
from orcestator.routing.decision import DecisionBook
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.explanation import explanation
from orcestator.routing.planning.plan import Plan
from orcestator.routing.planning.rules import Rule
from orcestator.server.route_table import Asked, Endpoint, Reply, number_in
from orcestator.web.admin.bodies import ProviderSpec, provider_spec, rule_of
from orcestator.web.admin.dry_run import DryRun, dry_run
from orcestator.web.admin.overview import Overview
from orcestator.web.admin.rules_book import RulesBook

DECISIONS_SHOWN = 50
MOST_DECISIONS_SHOWN = 2000
CONFIGURED, ADDED = "configuration", "api"


class AddedProviders(Protocol):
    """Providers that a person adds while the program runs, kept over a restart."""

    async def add(self, spec: ProviderSpec) -> None:
        """Keep it and put it in place. Raises InvalidRequest for what cannot be one, Conflict, and Overloaded when it cannot be kept
        or does not come up; then nothing of it stays."""

    async def remove(self, name: str) -> bool:
        """Forget it and take it out; whether it was added and not configured."""

    async def titles(self) -> Mapping[str, str]:
        """The name that people have for each one that was added, "" where they gave none."""


@dataclass(frozen=True, slots=True)
class OrchestratorRoutes:
    """``added`` is None where nobody would start a worker for a provider."""

    overview: Overview
    rules: RulesBook
    decisions: DecisionBook
    limits: CallLimits
    added: AddedProviders | None = None

    def endpoints(self) -> Sequence[Endpoint]:
        """The rows of the table."""
        return (
            Endpoint("GET", "/orchestrator/providers", self._providers),
            Endpoint("POST", "/orchestrator/providers", self._new_provider),
            Endpoint("DELETE", "/orchestrator/providers/{}", self._deleted_provider),
            Endpoint("GET", "/orchestrator/provider-status/{}", self._provider_status),
            Endpoint("GET", "/orchestrator/health/{}", self._provider_health),
            Endpoint("GET", "/orchestrator/models", self._models),
            Endpoint("GET", "/orchestrator/models/{}", self._models),
            Endpoint("POST", "/orchestrator/route-request", self._route, only_asks=True),
            Endpoint("POST", "/orchestrator/analyze-request", self._analyze, only_asks=True),
            Endpoint("GET", "/orchestrator/routing-rules", self._rules),
            Endpoint("POST", "/orchestrator/routing-rules", self._new_rule),
            Endpoint("GET", "/orchestrator/routing-rules/{}", self._rule),
            Endpoint("PUT", "/orchestrator/routing-rules/{}", self._changed_rule),
            Endpoint("DELETE", "/orchestrator/routing-rules/{}", self._deleted_rule),
            Endpoint("GET", "/orchestrator/decisions", self._decisions),
            Endpoint("GET", "/orchestrator/decisions/{}", self._decision),
        )

    async def _providers(self, _asked: Asked) -> Reply:
        titles = await self.added.titles() if self.added else None
        return Reply({"providers": [_with_source(row, titles) for row in self.overview.providers()]})

    async def _provider_status(self, asked: Asked) -> Reply:
        return Reply(self.overview.provider_status(asked.name))

    async def _provider_health(self, asked: Asked) -> Reply:
        return Reply(self.overview.provider_health(asked.name))

    async def _models(self, asked: Asked) -> Reply:
        return Reply({"models": self.overview.models(asked.name)})

    async def _new_provider(self, asked: Asked) -> Reply:
        spec = provider_spec(await asked.body())
        added = self._changeable()
        if spec.name in self._provider_names():
            raise Conflict(f"There is a provider '{spec.name}' already.", param="name", code="provider_exists")
        await added.add(spec)
        row = _with_source(self.overview.provider_row(spec.name), await added.titles())
        return Reply({"success": True, "message": "Provider added, and kept over restarts.", "provider": row}, 201)

    async def _deleted_provider(self, asked: Asked) -> Reply:
        if await self._changeable().remove(asked.name):
            return Reply({"success": True, "message": f"The provider '{asked.name}' is removed.", "id": asked.name})
        self.overview.provider_row(asked.name)
        raise Conflict(
            f"The provider '{asked.name}' is written in the configuration or the environment: take it out there and reload.",
            param="id",
            code="provider_configured",
        )

    def _changeable(self) -> AddedProviders:
        if self.added is None:
            raise Conflict(
                "The keys of providers are held by workers that were started one by one here: add the provider to the"
                " configuration and start a worker for it.",
                code="no_links_here",
            )
        return self.added

    def _provider_names(self) -> set[str]:
        return {offer.provider for offer in self.overview.planner.catalog().offers}

    async def _route(self, asked: Asked) -> Reply:
        asking, plan, now = await self._planned(asked)
        if not plan.scored:
            raise self._all_out(plan, now)
        told = self._explained(plan, now)
        chosen = plan.scored[0].candidate.deployment
        others = [
            candidate.deployment.provider
            for candidate in plan.candidates
            if candidate.deployment.provider != chosen.provider
        ]
        row = told["candidates"][0]
        return Reply(
            {
                "success": True,
                "message": "Request routed successfully",
                "provider": chosen.provider,
                "model": chosen.model,
                "estimatedCost": row.get("estimated_cost"),
                "estimatedTokens": asking.tokens,
                "responseTime": self._expected_ms(plan.scored[0].candidate, asking),
                "fallbackProvider": others[0] if others else None,
                "decision": told,
            }
        )

    async def _analyze(self, asked: Asked) -> Reply:
        asking, plan, now = await self._planned(asked, refuses=False)
        preferences, needs = asking.ask.preferences, asking.ask.needs
        told = self._explained(plan, now)
        return Reply(
            {
                "userId": asking.ask.caller,
                "model": asking.given.get("model", asking.ask.names[0]),
                "prompt": asking.given.get("prompt"),
                "expectedTokens": asking.tokens,
                "budget": preferences.budget,
                "urgency": preferences.urgency or "medium",
                "quality": preferences.quality or "standard",
                "options": asking.given.get("options"),
                "needs": {
                    "parameters": sorted(needs.parameters),
                    "modalities": sorted(needs.modalities),
                    "promptTokens": needs.tokens,
                },
                "estimatedTokens": asking.tokens,
                "rule": self._rule_shown(self.rules.get(plan.rule)) if plan.rule else None,
                "scores": [_score(row) for row in told["candidates"]],
                "decision": told,
            }
        )

    async def _planned(self, asked: Asked, *, refuses: bool = True) -> tuple[DryRun, Plan, float]:
        planner = self.overview.planner
        asking = dry_run(await asked.body(), asked.headers, planner, self.limits)
        now = self.overview.now()
        try:
            return asking, planner.plan(asking.ask, now), now
        except (NothingLeft, UpstreamKeyRefused):
            # What is out for a time is what a person wants explained.
            if refuses:
                raise
            return asking, planner.plan(asking.ask, now, refuses=False), now

    def _explained(self, plan: Plan, now: float) -> Json:
        return explanation(plan, now, self.overview.planner.stats)

    def _all_out(self, plan: Plan, now: float) -> Overloaded:
        """A real request would still try the one that is back first; who asks before it sends had better wait."""
        standings = [self.overview.planner.health.standing(candidate.deployment, now) for candidate in plan.reserve]
        wait = min((standing.until - now for standing in standings if standing is not None), default=0.0)
        names = ", ".join(dict.fromkeys(candidate.deployment.provider for candidate in plan.reserve))
        return Overloaded(
            f"All providers for '{plan.ask.names[0]}' are unavailable now: {names}.",
            code="all_unavailable",
            headers={"retry-after": str(max(1, ceil(wait)))},
        )

    def _expected_ms(self, candidate: Candidate, asking: DryRun) -> int:
        """Milliseconds to the first content of a stream or to the whole reply, as lately; 0 before the first call."""
        measure = self.overview.planner.stats.of(candidate.deployment)
        return round(1000.0 * measure.latency(streamed=asking.ask.streamed).seconds) if measure else 0

    async def _rules(self, _asked: Asked) -> Reply:
        return Reply({"rules": [self._rule_shown(rule) for rule in self.rules.rules]})

    async def _rule(self, asked: Asked) -> Reply:
        return Reply(self._rule_shown(self.rules.get(asked.name)))

    async def _new_rule(self, asked: Asked) -> Reply:
        rule = self._read_rule(await asked.body())
        return Reply(self._rule_shown(await self.rules.put(rule, is_new=True)), 201)

    async def _changed_rule(self, asked: Asked) -> Reply:
        self.rules.get(asked.name)
        body = await asked.body()
        if body.get("id", asked.name) != asked.name:
            raise InvalidRequest(
                "'id' is that of another rule than the path names: leave it out, or POST a new rule.", param="id"
            )
        rule = self._read_rule({**body, "id": asked.name})
        return Reply(self._rule_shown(await self.rules.put(rule)))

    async def _deleted_rule(self, asked: Asked) -> Reply:
        await self.rules.delete(asked.name)
        return Reply({"success": True, "message": f"The rule '{asked.name}' is deleted.", "id": asked.name})

    def _read_rule(self, body: Json) -> Rule:
        rule = rule_of(body)
        providers = self._provider_names()
        if rule.provider not in providers:
            raise InvalidRequest(
                f"'provider' must be one that is on: {', '.join(sorted(providers))}.", param="provider"
            )
        return rule

    def _rule_shown(self, rule: Rule) -> Json:
        return {
            "id": rule.id,
            "condition": dict(rule.condition),
            "provider": rule.provider,
            "priority": rule.priority,
            "isActive": rule.is_active,
            "source": self.rules.source(rule.id),
        }

    async def _decisions(self, asked: Asked) -> Reply:
        limit = number_in(asked.query, "limit", default=DECISIONS_SHOWN, most=MOST_DECISIONS_SHOWN)
        return Reply({"decisions": self.decisions.latest(limit)})

    async def _decision(self, asked: Asked) -> Reply:
        found = self.decisions.render(asked.name)
        if found is None:
            raise RouteNotFound(
                f"Nothing is known of a request '{asked.name[:128]}': each API server remembers its own last"
                f" {self.decisions.size} requests.",
                param="request_id",
                code="decision_not_found",
            )
        return Reply(found)


def _with_source(row: Json, titles: Mapping[str, str] | None) -> Json:
    """A provider's row with where it comes from; ``titles`` are those that were added, None where that is not known."""
    if titles is None:
        return row
    if row["id"] not in titles:
        return {**row, "source": CONFIGURED}
    return {**row, "name": titles[row["id"]] or row["name"], "source": ADDED}


def _score(row: Json) -> Json:
    return {name: row[name] for name in ("provider", "model", "score", "factors")}
