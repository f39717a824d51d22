"""A plan in words and figures: for ``explain``, for dry runs and for the record of a decision."""

from math import inf

from orcestator.json_text import Json
from orcestator.prices import dollars
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.exclusions import Excluded
from orcestator.routing.planning.plan import Plan
from orcestator.routing.planning.strategies.score import factors_of
from orcestator.routing.planning.strategies.strategy import Scored, Situation
from orcestator.routing.reading.preferences import NO_PREFERENCES, Preferences
from orcestator.routing.reading.request import RoutingRequest
from orcestator.routing.state.stats import Stats


def explanation(plan: Plan, now: float, stats: Stats, *, is_shortened: bool = False) -> Json:
    """Why a request goes where it goes. Costs are US dollars, latencies and remaining times seconds; None is not known.

    The factors of candidates whose strategy does not work with them are those that ``score`` would see. ``is_shortened``: the plan
    has lost candidates, so that it no longer tells which names led to none.
    """
    situation = Situation(plan.ask, now, _no_draw, stats)
    unwell = {one.candidate: one for one in plan.unwell}
    return {
        "asked": {**_asked(plan.ask), "unused_names": None if is_shortened else _unused_names(plan)},
        "strategy": plan.strategy,
        "rule": plan.rule or None,
        "candidates": [_deployment(scored, place, situation) for place, scored in enumerate(plan.scored, 1)],
        "reserve": [
            {**_described(candidate, situation), **_why(unwell.get(candidate), now)} for candidate in plan.reserve
        ],
        "excluded": [{**_named(one.candidate), **_why(one, now)} for one in plan.excluded],
        "not_considered": plan.unconsidered,
    }


def _why(one: Excluded | None, now: float) -> Json:
    if one is None:
        return {"reason": "", "detail": "", "seconds_left": None}
    seconds = round(max(0.0, one.until - now), 3) if 0.0 < one.until < inf else None
    return {"reason": one.reason, "detail": one.detail, "seconds_left": seconds}


def _asked(ask: RoutingRequest) -> Json:
    """``prompt_tokens`` is None where nobody needed the estimate, ``output_tokens`` where the caller set no limit."""
    return {
        "names": list(ask.names),
        "endpoint": ask.endpoint,
        "wishes": _wished(ask.preferences),
        "needs": sorted(ask.needs.parameters | ask.needs.modalities),
        "prompt_tokens": ask.needs.tokens or None,
        "output_tokens": ask.output_tokens or None,
    }


def _wished(preferences: Preferences) -> Json:
    """Those that ask for something."""
    asking = {name: value for name, value in preferences._asdict().items() if value != getattr(NO_PREFERENCES, name)}
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in asking.items()}


def _unused_names(plan: Plan) -> list[str]:
    """The names that led to no candidate: nobody has them, or names before them led to the same."""
    candidates = [scored.candidate for scored in plan.scored]
    candidates += [*plan.reserve, *(one.candidate for one in plan.excluded)]
    ranks = {candidate.rank for candidate in candidates if not candidate.is_paid_fallback}
    return [name for rank, name in enumerate(plan.ask.names) if rank not in ranks]


def _deployment(scored: Scored, place: int, situation: Situation) -> Json:
    candidate = scored.candidate
    factors = scored.factors or factors_of(candidate, situation.stats.of(candidate.deployment), situation)
    return {
        "place": place,
        **_described(candidate, situation),
        "score": round(scored.score, 4) if abs(scored.score) < inf else None,
        "factors": {name: round(value, 1) for name, value in factors._asdict().items()},
    }


def _described(candidate: Candidate, situation: Situation) -> Json:
    ask = situation.ask
    record = situation.stats.of(candidate.deployment)
    latency = record.mean_seconds(ask.streamed) if record else 0.0
    return {
        **_named(candidate),
        "is_free": candidate.traits.is_free,
        "estimated_cost": dollars(candidate.traits.cost(ask.needs.tokens, ask.expected_output())),
        "success_rate": round(record.success_rate(), 4) if record and record.total_calls else None,
        "latency": round(latency, 4) if latency else None,
        "in_flight": record.in_flight if record else 0,
        "calls": record.total_calls if record else 0,
    }


def _named(candidate: Candidate) -> Json:
    deployment = candidate.deployment
    return {
        "name": candidate.name,
        "provider": deployment.provider,
        "model": deployment.model,
        "worker": deployment.worker,
        "credential": deployment.credential,
        "tier": candidate.tier,
        "is_paid_fallback": candidate.is_paid_fallback,
    }


def _no_draw() -> float:
    """Factors draw no lots."""
    return 0.5
