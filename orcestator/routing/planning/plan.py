"""The plan of a request: its candidates in the order in which they are tried, and why others are not among them.

One code for requests, for ``explain`` and for the simulator. It calls nobody.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import NamedTuple

from orcestator.routing.planning.catalog import Candidate, Catalog, HedgeLimit, Tier
from orcestator.routing.planning.exclusions import (
    DESCRIBED,
    KEY_REFUSED,
    Excluded,
    against_needs,
    against_preferences,
    refusal,
    unmet,
)
from orcestator.routing.planning.key_rotation import KeyRotation
from orcestator.routing.planning.ordering import as_wished, fallen_behind, full, ruled, with_last, with_twins_as_in
from orcestator.routing.planning.rules import Rule, rule_for
from orcestator.routing.planning.strategies import STRATEGIES
from orcestator.routing.planning.strategies.strategy import Scored, Situation, Strategy
from orcestator.routing.reading.preferences import NO_PREFERENCES
from orcestator.routing.reading.request import RoutingRequest
from orcestator.routing.state.circuit_breaker import CircuitBreakers
from orcestator.routing.state.quota import QuotaBook
from orcestator.routing.state.stats import Stats

DEFAULT_STRATEGY = "adaptive"
FASTEST = "fastest"
STICKY = "sticky"
MANY = 24
"""A tier with more candidates than this is looked at in part."""
SAMPLE = 6
"""About how many of them are looked at, drawn anew for each request."""
FAVOURITES = 3
"""How many of those that came first last time are looked at besides: so the best are found, a few at a time."""
MOST_WRITTEN = 4096
"""Names whose plan is known beforehand; a caller cannot grow the table beyond it."""
MOST_TIERS = 8
"""Large tiers whose favourites are remembered."""


@dataclass(slots=True)
class Plan:
    """``scored`` in the order of trying. ``reserve`` are unwell: they are tried when nothing else is left, soonest back first.

    ``strategy`` is that of the tier from which the first comes.
    ``unconsidered`` counts the candidates of very large tiers that nobody looked at; every other one is in one of the three.
    ``hedge_limit`` is that of the alias that the caller asked for, where it has its own.
    """

    ask: RoutingRequest
    scored: tuple[Scored, ...]
    reserve: tuple[Candidate, ...] = ()
    excluded: tuple[Excluded, ...] = ()
    strategy: str = ""
    rule: str = ""
    unconsidered: int = 0
    hedge_limit: HedgeLimit | None = None
    unwell: tuple[Excluded, ...] = ()
    """Why those in the reserve are there, as they were met."""

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """What is tried, in its order, without the reserve."""
        return tuple([scored.candidate for scored in self.scored])

    @property
    def has_any(self) -> bool:
        """Whether there is anything to try."""
        return bool(self.scored or self.reserve)

    @property
    def has_one(self) -> bool:
        """Whether there is no choice at all."""
        return len(self.scored) + len(self.reserve) == 1

    def is_last_resort(self, candidate: Candidate) -> bool:
        """Whether a candidate is only tried for want of another."""
        return self.has_one or candidate in self.reserve


@dataclass(frozen=True, slots=True)
class PlanPolicy:
    """``strategy`` is used where an alias names none. Conditions of falling back are 0.0 where they are not set: a candidate that
    is slower (seconds to first content), or fails more, than they allow goes behind the others."""

    strategy: str = DEFAULT_STRATEGY
    rules: tuple[Rule, ...] = ()
    free_first: bool = False
    max_response_seconds: float = 0.0
    min_success_rate: float = 0.0
    max_error_rate: float = 0.0

    @property
    def has_conditions(self) -> bool:
        """Whether there is any condition of falling back."""
        return bool(self.max_response_seconds or self.min_success_rate or self.max_error_rate)


@dataclass(slots=True)
class _Draft:
    """A plan in the making. ``recovering`` have been unwell lately: their share of what they would get."""

    situation: Situation
    heeds_needs: bool = True
    scored: list[Scored] = field(default_factory=list)
    reserve: list[tuple[float, Candidate]] = field(default_factory=list)
    excluded: list[Excluded] = field(default_factory=list)
    recovering: dict[Candidate, float] = field(default_factory=dict)
    unwell: list[Excluded] = field(default_factory=list)
    unconsidered: int = 0

    def is_empty(self) -> bool:
        """Whether there is nothing to try."""
        return not self.scored and not self.reserve


class _Written(NamedTuple):
    """The plan of tiers of one candidate each, in which there is nothing to choose: it is the same as long as all is well.

    ``lacks`` and ``least_context`` are those of all tiers together.
    """

    tiers: Sequence[Tier]
    scored: tuple[Scored, ...] | None
    lacks: frozenset[str]
    least_context: float

    def meets(self, ask: RoutingRequest) -> bool:
        """Whether no candidate is known to lack anything that the request needs."""
        needs, lacks = ask.needs, self.lacks
        return (
            needs.tokens + ask.output_tokens <= self.least_context
            and lacks.isdisjoint(needs.parameters)
            and lacks.isdisjoint(needs.modalities)
        )


@dataclass(slots=True)
class Planner:
    """Makes plans over the current catalog. ``now`` is monotonic seconds; ``rng`` draws from [0, 1)."""

    catalog: Callable[[], Catalog]
    health: CircuitBreakers
    stats: Stats
    quota: QuotaBook
    rng: Callable[[], float]
    policy: PlanPolicy = field(default_factory=PlanPolicy)
    strategies: Mapping[str, Strategy] = field(
        default_factory=lambda: {name: make() for name, make in STRATEGIES.items()}
    )
    _turns: KeyRotation = field(default_factory=KeyRotation)
    _favourites: dict[int, tuple[Tier, list[Candidate]]] = field(default_factory=dict)
    _written: dict[int, _Written] = field(default_factory=dict)

    @property
    def keeps_conversations(self) -> bool:
        """Whether any strategy wants to know which conversation a request belongs to."""
        return self.policy.strategy == STICKY or self.catalog().uses(STICKY)

    def plan(self, ask: RoutingRequest, now: float, *, refuses: bool = True) -> Plan:
        """The plan. Raises ModelNotFound and InvalidRequest for what nobody offers, NothingLeft for what nobody can take now, and
        UpstreamKeyRefused where no key works; without ``refuses`` a plan with nothing to try tells why instead."""
        tiers = self.catalog().tiers(ask.names, ask.endpoint)
        written = self._written_plan(tiers)
        if written.scored is not None and self._is_all_well(ask) and written.meets(ask):
            strategy = tiers[0].strategy or self.policy.strategy
            return Plan(ask, written.scored, strategy=strategy, hedge_limit=tiers[0].hedge_limit)
        draft = self._drafted(tiers, ask, now)
        if refuses and (draft.is_empty() or (draft.excluded and ask.preferences is not NO_PREFERENCES)):
            self._refuse(draft, tiers)
        rules = self.policy.rules
        rule = rule_for(rules, ask) if rules else None
        scored = draft.scored
        if ask.preferences is not NO_PREFERENCES:
            scored = as_wished(scored, draft.situation)
        if rule is not None:
            scored = ruled(scored, rule)
        if len(scored) > 1:
            scored = self._with_laggards_last(draft, tiers, scored)
        reserve = draft.reserve
        if len(reserve) > 1:
            reserve.sort(key=_back_at)
        plan = Plan(
            ask,
            tuple(scored),
            tuple([candidate for _, candidate in reserve]),
            tuple(draft.excluded),
            self._strategy_of(tiers[scored[0].candidate.tier if scored else 0], ask),
            rule.id if rule else "",
            draft.unconsidered,
            tiers[0].hedge_limit,
            tuple(draft.unwell),
        )
        return plan if ask.preferences.allow_fallbacks or not plan.has_any else _alone(plan)

    def precomputed_plan(self, ask: RoutingRequest) -> Plan | None:
        """The plan where there is one candidate, which is well: whatever the request needs, it is tried. None elsewhere.

        ``ask`` without what the request needs, which is not worked out for such a plan. Raises as ``plan`` does.
        """
        tiers = self.catalog().tiers(ask.names, ask.endpoint)
        if len(tiers) > 1:
            return None
        scored = self._written_plan(tiers).scored
        if scored is None or not self._is_all_well(ask):
            return None
        return Plan(ask, scored, strategy=self._strategy_of(tiers[0], ask))

    def _written_plan(self, tiers: Sequence[Tier]) -> _Written:
        """What is known beforehand of the plans over these tiers, which are the same object for every request for a name."""
        known = self._written.get(id(tiers))
        if known is None or known.tiers is not tiers:
            if len(self._written) >= MOST_WRITTEN:
                self._written.clear()
            known = self._written[id(tiers)] = _written_over(tiers)
        return known

    def _is_all_well(self, ask: RoutingRequest) -> bool:
        """Whether nothing anywhere could change the order that the strategies make, or leave anybody out, but a need."""
        return (
            ask.preferences is NO_PREFERENCES
            and self.health.is_quiet
            and self.quota.is_empty
            and not self.policy.rules
            and not self.policy.has_conditions
        )

    def served(self, plan: Plan, candidate: Candidate, now: float) -> None:
        """A candidate of a plan answered: what keeps conversations together remembers where. To be told where ``keeps_conversations``."""
        for strategy in self.strategies.values():
            strategy.served(plan.ask, candidate, now)

    def _with_laggards_last(self, draft: _Draft, tiers: Sequence[Tier], scored: list[Scored]) -> list[Scored]:
        """Behind all others but the paid fallback: who has fallen behind or is still recovering, and after them who is full."""
        policy = self.policy
        if policy.has_conditions:
            conditions = (policy.max_response_seconds, policy.min_success_rate, policy.max_error_rate)
            scored = with_last(scored, fallen_behind(draft.situation, *conditions))
        if draft.recovering:
            unlucky = {candidate for candidate, share in draft.recovering.items() if self.rng() >= share}
            scored = with_last(scored, unlucky.__contains__)
        if any([tier.has_limits for tier in tiers]):
            scored = with_last(scored, full(self.stats))
        return scored

    def _drafted(self, tiers: Sequence[Tier], ask: RoutingRequest, now: float) -> _Draft:
        """Every tier in order. Where each candidate is known to lack what the request needs, none is left out for that: facts
        are incomplete, and an upstream's own refusal is the better answer."""
        situation = Situation(ask, now, self.rng, self.stats)
        draft = _Draft(situation)
        for tier in tiers:
            self._add(draft, tier)
        if draft.is_empty() and _all_lack(draft):
            draft = _Draft(situation, heeds_needs=False)
            for tier in tiers:
                self._add(draft, tier)
        return draft

    def _add(self, draft: _Draft, tier: Tier) -> None:
        """The candidates of one tier that can be tried, in their order."""
        name = self._strategy_of(tier, draft.situation.ask)
        strategy = self.strategies[name]
        if len(tier.candidates) > MANY:
            candidates = self._found_among_many(draft, tier, strategy)
        else:
            candidates = self._well(draft, tier, tier.candidates)
        if candidates:
            if tier.has_twins:
                is_question = draft.situation.ask.is_question
                candidates = self._turns.twins_in_turn(candidates, self.stats, is_question=is_question)
            scored = strategy.order(candidates, draft.situation)
            if tier.has_twins and not (name == STICKY and draft.situation.ask.conversation):
                scored = with_twins_as_in(candidates, scored)
            if self.policy.free_first and tier.is_partly_free:
                scored.sort(key=_is_paid)
            draft.scored += scored
            if len(tier.candidates) > MANY:
                self._remember(tier, scored)

    def _strategy_of(self, tier: Tier, ask: RoutingRequest) -> str:
        return FASTEST if ask.preferences.prefer_fast else tier.strategy or self.policy.strategy

    def _well(self, draft: _Draft, tier: Tier, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Those that can be tried and are well. For most requests a look at the tier tells that this is all of them."""
        ask = draft.situation.ask
        needs = ask.needs
        if not (
            tier.all_available
            and self.quota.is_empty
            and ask.preferences is NO_PREFERENCES
            and needs.tokens + ask.output_tokens <= tier.least_context
            and tier.lacks.isdisjoint(needs.parameters)
            and tier.lacks.isdisjoint(needs.modalities)
        ):
            candidates = [candidate for candidate in candidates if self._may_be_tried(draft, candidate)]
        if self.health.is_quiet:
            return candidates
        return [candidate for candidate in candidates if self._is_well(draft, candidate)]

    def _is_well(self, draft: _Draft, candidate: Candidate) -> bool:
        now = draft.situation.now
        standing = self.health.standing(candidate.deployment, now)
        if standing is None:
            return True
        if standing.until <= now:
            if standing.share < 1.0:
                draft.recovering[candidate] = standing.share
            return True
        if standing.is_final:
            draft.excluded.append(Excluded(candidate, standing.state, standing.reason))
        elif standing.is_told:
            until = standing.until if not standing.tried_at else standing.tried_at
            reason = KEY_REFUSED if standing.state == KEY_REFUSED else "cooldown"
            draft.excluded.append(Excluded(candidate, reason, standing.reason, until))
        else:
            draft.reserve.append((standing.until, candidate))
            draft.unwell.append(Excluded(candidate, standing.state, standing.reason, standing.until))
        return False

    def _may_be_tried(self, draft: _Draft, candidate: Candidate) -> bool:
        excluded = self._excluded(draft, candidate)
        if excluded is None:
            return True
        if excluded.reason == "quota" and self._is_guessed(draft, candidate):
            draft.reserve.append((excluded.until, candidate))
            draft.unwell.append(excluded._replace(detail="It was refused for its rate lately."))
        else:
            draft.excluded.append(excluded)
        return False

    def _is_guessed(self, draft: _Draft, candidate: Candidate) -> bool:
        ask, now = draft.situation.ask, draft.situation.now
        return self.quota.is_guessed(candidate.deployment, ask.needs.tokens + ask.output_tokens, now)

    def _excluded(self, draft: _Draft, candidate: Candidate) -> Excluded | None:
        """Why a candidate cannot be tried, however well it is."""
        ask, now = draft.situation.ask, draft.situation.now
        if not candidate.traits.is_available:
            return Excluded(candidate, "unavailable", "It is switched off in the configuration.")
        if ask.preferences is not NO_PREFERENCES:
            found = against_preferences(candidate, ask, self.stats.of(candidate.deployment), now)
            if found is not None:
                return found
        if draft.heeds_needs:
            found = against_needs(candidate, ask)
            if found is not None:
                return found
        if not self.quota.is_empty:
            until = self.quota.back_at(candidate.deployment, ask.needs.tokens + ask.output_tokens, now)
            if until > now:
                return Excluded(candidate, "quota", "What it may do for now is used up.", until)
        return None

    def _found_among_many(self, draft: _Draft, tier: Tier, strategy: Strategy) -> Sequence[Candidate]:
        """Some of a large tier: its favourites and a random sample, or as many portions as it takes to find one that is well."""
        favourites = () if strategy.keeps_order else self._favourites_of(tier)
        found = list(self._well(draft, tier, favourites))
        looked_at = len(favourites)
        for portion in self._portions(tier, strategy):
            fresh = _without(portion, favourites)
            found += self._well(draft, tier, fresh)
            looked_at += len(fresh)
            if found:
                break
        draft.unconsidered += len(tier.candidates) - looked_at
        return found

    def _portions(self, tier: Tier, strategy: Strategy) -> Iterator[Sequence[Candidate]]:
        """The candidates in portions: as they stand where their order counts, else every so many of them from a random start."""
        candidates = tier.candidates
        portions = ceil(len(candidates) / SAMPLE)
        if strategy.keeps_order:
            yield from (candidates[start : start + SAMPLE] for start in range(0, len(candidates), SAMPLE))
        else:
            first = int(self.rng() * portions)
            yield from (candidates[(first + more) % portions :: portions] for more in range(portions))

    def _favourites_of(self, tier: Tier) -> Sequence[Candidate]:
        remembered = self._favourites.get(id(tier))
        return remembered[1] if remembered is not None and remembered[0] is tier else ()

    def _remember(self, tier: Tier, scored: Sequence[Scored]) -> None:
        if len(self._favourites) >= MOST_TIERS and id(tier) not in self._favourites:
            self._favourites.clear()
        self._favourites[id(tier)] = tier, [one.candidate for one in scored[:FAVOURITES]]

    def _refuse(self, draft: _Draft, tiers: Sequence[Tier]) -> None:
        """Raise where nothing is left, or only the paid fallback because nothing else is what the caller described."""
        ask, now = draft.situation.ask, draft.situation.now
        if draft.is_empty():
            raise refusal(ask, draft.excluded, now)
        ordinary = [one for one in draft.excluded if not one.candidate.is_paid_fallback]
        left = [one.candidate for one in draft.scored] + [candidate for _, candidate in draft.reserve]
        if (
            all(candidate.is_paid_fallback for candidate in left)
            and all(one.reason in DESCRIBED for one in ordinary)
            and not tiers[0].candidates[0].is_paid_fallback
        ):
            raise unmet(ask, ordinary)


def _written_over(tiers: Sequence[Tier]) -> _Written:
    has_no_choice = all(len(tier.candidates) == 1 and tier.all_available and not tier.has_limits for tier in tiers)
    scored = tuple(Scored(tier.candidates[0], 100.0) for tier in tiers) if has_no_choice else None
    lacks = frozenset[str]().union(*(tier.lacks for tier in tiers))
    return _Written(tiers, scored, lacks, min(tier.least_context for tier in tiers))


def _is_paid(scored: Scored) -> bool:
    return not scored.candidate.traits.is_free


def _back_at(entry: tuple[float, Candidate]) -> float:
    return entry[0]


def _without(candidates: Sequence[Candidate], others: Sequence[Candidate]) -> Sequence[Candidate]:
    if not others:
        return candidates
    known = {id(candidate) for candidate in others}
    return [candidate for candidate in candidates if id(candidate) not in known]


def _all_lack(draft: _Draft) -> bool:
    """Whether all that is what the caller asked for was left out for what the request needs."""
    reasons = {one.reason for one in draft.excluded}.difference(DESCRIBED, ("unavailable",))
    return bool(reasons) and reasons <= {"needs", "context"}


def _alone(plan: Plan) -> Plan:
    """The plan with its first candidate only: of the caller's first name, also when only those of another one are well."""
    candidates = [*plan.candidates, *plan.reserve]
    first = min(candidates, key=lambda candidate: candidate.rank)
    detail = "The caller allows no fallbacks."
    plan.excluded += tuple(
        [Excluded(candidate, "no_fallbacks", detail) for candidate in candidates if candidate is not first]
    )
    plan.scored = tuple([scored for scored in plan.scored if scored.candidate is first])
    plan.reserve = () if plan.scored else (first,)
    return plan
