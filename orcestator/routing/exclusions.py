"""Why an option is not tried: what the caller asked for, what the request needs, what is known of the deployment.

What is not known excludes nobody, but where the caller asked for it in so many words: tags, a type, a size.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import inf
from typing import NamedTuple

from orcestator.errors import InvalidRequest, ModelNotFound, NothingLeft, OrcestatorError
from orcestator.routing.ask import Ask
from orcestator.routing.catalog import Option
from orcestator.routing.measures import Measure

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
PASSING = frozenset({"quota", "cooldown"})
"""Reasons that end at a time."""


class Excluded(NamedTuple):
    """An option that is not tried. ``reason`` is a low-cardinality word; ``until`` is when that ends, 0.0 for never."""

    option: Option
    reason: str
    detail: str
    until: float = 0.0


def against_wishes(option: Option, ask: Ask, record: Measure | None, now: float) -> Excluded | None:
    """What of the caller's wishes an option does not meet. A paid fallback is there for when others have failed: it need not
    be described by tags and a type."""
    found = _limits(option, ask)
    if found is None and not option.is_paid_fallback:
        found = _description(option, ask) or _success(option, ask, record, now)
    return found


def _description(option: Option, ask: Ask) -> Excluded | None:
    wishes, traits = ask.wishes, option.traits
    missing = wishes.tags - traits.tags
    if missing:
        return Excluded(option, "tags", f"It has no tag {_listed(missing)}.")
    if wishes.type and wishes.type != traits.type:
        return Excluded(option, "type", f"Its type is {traits.type or 'not known'}, not {wishes.type}.")
    if wishes.json_response and traits.is_json is False:
        return Excluded(option, "json_response", "It cannot be held to JSON.")
    return None


def _limits(option: Option, ask: Ask) -> Excluded | None:
    wishes, traits, provider = ask.wishes, option.traits, option.candidate.provider
    if wishes.only and provider not in wishes.only:
        return Excluded(option, "only", f"Only {_listed(wishes.only)} may be asked.")
    if provider in wishes.ignore:
        return Excluded(option, "ignore", f"{provider} may not be asked.")
    if wishes.min_context_size > (traits.context_length or 0):
        size = "not known" if traits.context_length is None else f"{traits.context_length} tokens"
        return Excluded(option, "min_context_size", f"Its context is {size}; {wishes.min_context_size} were asked for.")
    return _prices(option, ask)


def _prices(option: Option, ask: Ask) -> Excluded | None:
    wishes, traits = ask.wishes, option.traits
    if _is_dearer(traits.input_price, wishes.max_prompt_price):
        return Excluded(option, "max_price", f"A million prompt tokens cost {traits.input_price} dollars.")
    if _is_dearer(traits.output_price, wishes.max_completion_price):
        return Excluded(option, "max_price", f"A million completion tokens cost {traits.output_price} dollars.")
    cost = None if wishes.budget is None else traits.cost(ask.needs.tokens, ask.expected_output())
    if _is_dearer(cost, wishes.budget):
        return Excluded(option, "budget", f"This request would cost about {cost:.6f} dollars, over {wishes.budget}.")
    return None


def _is_dearer(price: float | None, limit: float | None) -> bool:
    return price is not None and limit is not None and price > limit


def _success(option: Option, ask: Ask, record: Measure | None, now: float) -> Excluded | None:
    least = ask.wishes.min_success_rate
    if least and record is not None and record.recent_calls(now) >= ENOUGH_CALLS and record.success_rate() < least:
        return Excluded(option, "min_success_rate", f"Of its recent calls {record.success_rate():.0%} went well.")
    return None


def against_needs(option: Option, ask: Ask) -> Excluded | None:
    """What a request needs and an option's model is known not to have."""
    needs, traits = ask.needs, option.traits
    missing = traits.lacks & (needs.parameters | needs.modalities)
    if missing:
        return Excluded(option, "needs", f"The model is known to lack {_listed(missing)}.")
    tokens = needs.tokens + ask.output_tokens
    if traits.context_length is not None and tokens > traits.context_length:
        return Excluded(option, "context", f"It takes {traits.context_length} tokens; this is about {tokens}.")
    return None


def refusal(ask: Ask, excluded: Sequence[Excluded], now: float) -> OrcestatorError:
    """The error of a request for which nothing is left, after why most of it was excluded.

    InvalidRequest for a field that nothing meets, NothingLeft for what ends by itself, ModelNotFound for what is gone for good.
    """
    name = ask.names[0]
    waits = [one.until - now for one in excluded if one.reason in PASSING and now < one.until < inf]
    if waits:
        wait = min(waits)
        return NothingLeft(
            f"Every deployment of '{name}' has used up what it may do for now: {_counted(excluded)}."
            f" The first is back in {max(1, round(wait))} s.",
            retry_after=wait,
        )
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


def unmet(ask: Ask, excluded: Sequence[Excluded]) -> InvalidRequest:
    """The refusal of wishes that nothing meets: the fields, and what there is."""
    reasons = Counter(one.reason for one in excluded if one.reason in DESCRIBED)
    told = "; ".join(f"'{DESCRIBED[reason]}' leaves out {count}" for reason, count in reasons.most_common())
    first = DESCRIBED[reasons.most_common(1)[0][0]]
    there = _what_there_is({DESCRIBED[reason] for reason in reasons}, [one.option for one in excluded])
    return InvalidRequest(
        f"None of the {len(excluded)} deployments of '{ask.names[0]}' is all that was asked for: {told}.{there}",
        param=first,
    )


def _what_there_is(fields: set[str], options: Iterable[Option]) -> str:
    options = list(options)
    traits = [option.traits for option in options]
    found = {
        "tags": {tag for one in traits for tag in one.tags},
        "type": {one.type for one in traits if one.type},
        "min_context_size": {str(one.context_length) for one in traits if one.context_length},
        "provider.only": {option.candidate.provider for option in options},
    }
    told = [f"{field}: {_listed(words)}" for field, words in found.items() if field in fields and words]
    return f" There are {'; '.join(told)}." if told else ""


def _counted(excluded: Iterable[Excluded]) -> str:
    return ", ".join(f"{count} by {reason}" for reason, count in Counter(one.reason for one in excluded).most_common())


def _listed(words: Iterable[str]) -> str:
    found = sorted(words)
    return ", ".join(found[:12]) + (" …" if len(found) > 12 else "")
