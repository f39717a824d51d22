"""Why a candidate is not tried: what the caller asked for, what the request needs, what is known of the deployment.

What is not known excludes nobody, but where the caller asked for it in so many words: tags, a type, a size.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import ceil, inf
from typing import NamedTuple

from orcestator.errors import InvalidRequest, ModelNotFound, NothingLeft, OrcestatorError, UpstreamKeyRefused
from orcestator.prices import dollars
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.traits import Traits
from orcestator.routing.reading.request import RoutingRequest
from orcestator.routing.state.stats import DeploymentStats

ENOUGH_CALLS = 5
"""Recent calls before figures are held against a deployment."""
DESCRIBED = {
    "tags": "tags",
    "type": "type",
    "min_context_size": "min_context_size",
    "json_response": "json_response",
    "only": "provider.only",
    "ignore": "provider.ignore",
    "max_price": "provider.max_price",
    "budget": "budget",
}
"""Reasons that lie in a field of the request, which no waiting changes, and that field."""
KEY_REFUSED = "key_refused"
"""The reason that a key was refused just now; it is not asked again at once, whoever asks for it."""
PASSING = frozenset({"quota", "cooldown"})
"""Reasons that end at a time."""


class Excluded(NamedTuple):
    """A candidate that is not tried. ``reason`` is a low-cardinality word; ``until`` is when that ends, 0.0 for never."""

    candidate: Candidate
    reason: str
    detail: str
    until: float = 0.0


def against_preferences(
    candidate: Candidate, ask: RoutingRequest, record: DeploymentStats | None, now: float
) -> Excluded | None:
    """What of the caller's wishes a candidate does not meet. A paid fallback is there for when others have failed: it need not
    be described by tags and a type."""
    found = _limits(candidate, ask)
    if found is None and not candidate.is_paid_fallback:
        found = _description(candidate, ask) or _success(candidate, ask, record, now)
    return found


def _description(candidate: Candidate, ask: RoutingRequest) -> Excluded | None:
    preferences, traits = ask.preferences, candidate.traits
    missing = preferences.tags - traits.tags
    if missing:
        return Excluded(candidate, "tags", f"It has no tag {_listed(missing)}.")
    if preferences.type and preferences.type != traits.type:
        return Excluded(candidate, "type", f"Its type is {traits.type or 'not known'}, not {preferences.type}.")
    if preferences.json_response and traits.is_json is False:
        return Excluded(candidate, "json_response", "It cannot be held to JSON.")
    return None


def _limits(candidate: Candidate, ask: RoutingRequest) -> Excluded | None:
    preferences, traits, provider = ask.preferences, candidate.traits, candidate.deployment.provider.lower()
    if preferences.only and provider not in preferences.only:
        return Excluded(candidate, "only", f"Only {_listed(preferences.only)} may be asked.")
    if provider in preferences.ignore:
        return Excluded(candidate, "ignore", f"{provider} may not be asked.")
    if preferences.min_context_size > (traits.context_length or 0):
        size = "not known" if traits.context_length is None else f"{traits.context_length} tokens"
        return Excluded(
            candidate, "min_context_size", f"Its context is {size}; {preferences.min_context_size} were asked for."
        )
    return _prices(candidate, ask)


def _prices(candidate: Candidate, ask: RoutingRequest) -> Excluded | None:
    preferences, traits = ask.preferences, candidate.traits
    if _is_dearer(traits.input_price, preferences.max_prompt_price):
        return Excluded(candidate, "max_price", f"A million prompt tokens cost {traits.input_price} dollars.")
    if _is_dearer(traits.output_price, preferences.max_completion_price):
        return Excluded(candidate, "max_price", f"A million completion tokens cost {traits.output_price} dollars.")
    cost = None if preferences.budget is None else dollars(traits.cost(ask.needs.tokens, ask.expected_output()))
    if _is_dearer(cost, preferences.budget):
        return Excluded(
            candidate, "budget", f"This request would cost about {cost:.6f} dollars, over {preferences.budget}."
        )
    return None


def _is_dearer(price: float | None, limit: float | None) -> bool:
    return price is not None and limit is not None and price > limit


def _success(candidate: Candidate, ask: RoutingRequest, record: DeploymentStats | None, now: float) -> Excluded | None:
    least = ask.preferences.min_success_rate
    if least and record is not None and record.recent_calls(now) >= ENOUGH_CALLS and record.success_rate() < least:
        return Excluded(candidate, "min_success_rate", f"Of its recent calls {record.success_rate():.0%} went well.")
    return None


def against_needs(candidate: Candidate, ask: RoutingRequest) -> Excluded | None:
    """What a request needs and a candidate's model is known not to have."""
    needs, traits = ask.needs, candidate.traits
    missing = traits.lacks & (needs.parameters | needs.modalities)
    if missing:
        return Excluded(candidate, "needs", f"The model is known to lack {_listed(missing)}.")
    tokens = needs.tokens + ask.output_tokens
    if traits.context_length is not None and tokens > traits.context_length:
        return Excluded(candidate, "context", f"It takes {traits.context_length} tokens; this is about {tokens}.")
    return None


def refusal(ask: RoutingRequest, excluded: Sequence[Excluded], now: float) -> OrcestatorError:
    """The error of a request for which nothing is left, after why most of it was excluded.

    InvalidRequest for a field that nothing meets, NothingLeft for what ends by itself, ModelNotFound for what is gone for good.
    """
    name = ask.names[0]
    waits = [one.until - now for one in excluded if one.reason in PASSING and now < one.until < inf]
    if waits:
        wait = min(waits)
        return NothingLeft(
            f"Every deployment of '{name}' has used up what it may do for now: {_counted(excluded)}."
            f" The first is back in {max(1, ceil(wait))} s.",
            retry_after=wait,
        )
    refused = [one for one in excluded if one.reason == KEY_REFUSED]
    if refused:
        return _keys_refused(name, refused, now)
    fields = [one.reason for one in excluded if one.reason in DESCRIBED]
    if fields:
        return unmet(ask, excluded)
    if any(one.reason == "permanently_unavailable" for one in excluded):
        return ModelNotFound(
            f"The providers of '{name}' do not have it any more: {_counted(excluded)}. GET /v1/models lists what there is.",
            param="model",
        )
    if excluded and all(one.reason == "unavailable" for one in excluded):
        return ModelNotFound(
            f"The model '{name}' is switched off here: its 'available' is false in the configuration.", param="model"
        )
    return NothingLeft(f"Nothing can take a request for '{name}' now: {_counted(excluded)}.", retry_after=None)


def _keys_refused(name: str, refused: Sequence[Excluded], now: float) -> UpstreamKeyRefused:
    wait = max(0.0, min(one.until for one in refused) - now)
    told = ", ".join(sorted({f"{one.candidate.deployment.provider} ({one.detail})" for one in refused}))
    return UpstreamKeyRefused(
        f"No key for '{name}' works: {told}. They are tried again in {max(1, ceil(wait))} s.",
        cause=KEY_REFUSED,
        retry_after=wait,
        sent=False,
    )


def unmet(ask: RoutingRequest, excluded: Sequence[Excluded]) -> InvalidRequest:
    """The refusal of wishes that nothing meets: the fields, and what there is. The paid fallback is not among what was asked
    for, and a model at a provider is one deployment however many keys it has."""
    ordinary = [one for one in excluded if not one.candidate.is_paid_fallback] or excluded
    deployments = list(
        {(one.candidate.deployment.provider, one.candidate.deployment.model): one for one in ordinary}.values()
    )
    reasons = Counter(one.reason for one in deployments if one.reason in DESCRIBED)
    told = "; ".join(f"'{DESCRIBED[reason]}' leaves out {count}" for reason, count in reasons.most_common())
    count, names = len(deployments), ", ".join(f"'{name[:128]}'" for name in ask.names[:3])
    subject = (
        f"None of the {count} deployments of {names} is" if count > 1 else f"The only deployment of {names} is not"
    )
    there = _what_there_is(ask, deployments)
    return InvalidRequest(
        f"{subject} all that was asked for: {told}.{there}", param=DESCRIBED[reasons.most_common(1)[0][0]]
    )


def _what_there_is(ask: RoutingRequest, excluded: Sequence[Excluded]) -> str:
    """What a caller may ask for instead: of words all that there are, of sizes and prices the best of those left out for them."""
    traits = [one.candidate.traits for one in excluded]
    by_reason: dict[str, list[Traits]] = {}
    for one in excluded:
        by_reason.setdefault(one.reason, []).append(one.candidate.traits)
    sizes = [one.context_length for one in by_reason.get("min_context_size", ()) if one.context_length]
    prices = [(one.input_price or 0.0, one.output_price or 0.0) for one in by_reason.get("max_price", ())]
    costs = [dollars(one.cost(ask.needs.tokens, ask.expected_output())) or 0.0 for one in by_reason.get("budget", ())]
    told: list[str] = []
    if "tags" in by_reason and (tags := {tag for one in traits for tag in one.tags}):
        told.append(f"There are tags: {_listed(tags)}.")
    if "type" in by_reason and (types := {one.type for one in traits if one.type}):
        told.append(f"There are types: {_listed(types)}.")
    if sizes:
        told.append(f"The largest known context is {max(sizes)} tokens.")
    if not by_reason.keys().isdisjoint(("only", "ignore")):
        told.append(f"It is at: {_listed({one.candidate.deployment.provider for one in excluded})}.")
    if prices:
        prompt, completion = min(prices)
        told.append(f"The lowest of their prices is {prompt:g} (prompt) and {completion:g} (completion).")
    if costs:
        told.append(f"It would cost about {min(costs):.3g} dollars or more.")
    return "".join(f" {sentence}" for sentence in told)


def _counted(excluded: Iterable[Excluded]) -> str:
    return ", ".join(f"{count} by {reason}" for reason, count in Counter(one.reason for one in excluded).most_common())


def _listed(words: Iterable[str]) -> str:
    found = sorted(words)
    return ", ".join(found[:12]) + (" …" if len(found) > 12 else "")
