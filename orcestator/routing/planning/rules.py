"""Routing rules: a condition on the request, and the provider that it prefers. They come before the scores."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from math import inf
from typing import Any, NamedTuple

from orcestator.routing.reading.request import RoutingRequest

USUAL_URGENCY = "medium"
USUAL_QUALITY = "standard"
BOUNDS = frozenset({"min", "max"})


class Rule(NamedTuple):
    """``condition`` is as it was written; of the rules that hold, the one with the lowest ``priority`` number wins."""

    id: str
    condition: Mapping[str, Any]
    provider: str
    priority: int = 1
    is_active: bool = True


def rule_for(rules: tuple[Rule, ...], ask: RoutingRequest) -> Rule | None:
    """The rule that decides about a request, None when none holds. Of equal priorities, the one that was written first."""
    best: Rule | None = None
    for rule in rules:
        if rule.is_active and (best is None or rule.priority < best.priority) and holds(rule.condition, ask):
            best = rule
    return best


def holds(condition: Mapping[str, Any], ask: RoutingRequest) -> bool:
    """Whether all of a condition is true of a request; an empty one always is."""
    for name, wanted in condition.items():
        for value in FIELDS[name](ask):
            if _is_met(wanted, value):
                break
        else:
            return False
    return True


def check_condition(condition: Any) -> None:
    """Raises ValueError with a sentence that names what is wrong in a condition, and the remedy."""
    if not isinstance(condition, Mapping):
        raise ValueError(f"A condition must be an object with any of {', '.join(FIELDS)}.")
    for name, wanted in condition.items():
        if name not in FIELDS:
            near = get_close_matches(str(name), FIELDS, n=1, cutoff=0.5)
            hint = f"Did you mean '{near[0]}'?" if near else f"There are {', '.join(FIELDS)}."
            raise ValueError(f"A condition knows no '{str(name)[:64]}'. {hint}")
        _check_wanted(name, wanted)


def _check_wanted(name: str, wanted: Any) -> None:
    if isinstance(wanted, Mapping):
        if name not in NUMBERS:
            raise ValueError(f"The condition '{name}' takes a word or a list of words, not an object.")
        if not wanted or not BOUNDS.issuperset(wanted) or not all(_is_number(bound) for bound in wanted.values()):
            raise ValueError(f"The condition '{name}' takes an object with the numbers min, max or both.")
        if wanted.get("min", -inf) > wanted.get("max", inf):
            raise ValueError(f"The condition '{name}' has a min above its max: nothing can meet it.")
        return
    values = wanted if isinstance(wanted, list) else [wanted]
    kind, is_kind = _kind_of(name)
    if not values or not all(is_kind(value) for value in values):
        raise ValueError(f"The condition '{name}' takes {kind}, or a list of them.")
    words = WORDS.get(name)
    if words and not words.issuperset(values):
        raise ValueError(f"The condition '{name}' takes {', '.join(sorted(words))}, or a list of them.")


def _kind_of(name: str) -> tuple[str, Callable[[Any], bool]]:
    if name in NUMBERS:
        return "a number, an object with min and max", _is_number
    if name == "streamed":
        return "true or false", lambda value: type(value) is bool
    return "a word", lambda value: type(value) is str and value != ""


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_met(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, Mapping):
        return bool(wanted.get("min", value) <= value <= wanted.get("max", value))
    return value in wanted if isinstance(wanted, list) else bool(value == wanted)


FIELDS: Mapping[str, Callable[[RoutingRequest], tuple[Any, ...] | frozenset[str]]] = {
    "urgency": lambda ask: (ask.preferences.urgency or USUAL_URGENCY,),
    "quality": lambda ask: (ask.preferences.quality or USUAL_QUALITY,),
    "budget": lambda ask: () if ask.preferences.budget is None else (ask.preferences.budget,),
    "model": lambda ask: ask.names,
    "user": lambda ask: (ask.user, ask.caller),
    "caller": lambda ask: (ask.caller,),
    "type": lambda ask: (ask.preferences.type,),
    "tags": lambda ask: ask.preferences.tags,
    "min_context_size": lambda ask: (ask.preferences.min_context_size,),
    "endpoint": lambda ask: (ask.endpoint,),
    "streamed": lambda ask: (ask.streamed,),
    "tokens": lambda ask: (ask.needs.tokens,),
}
"""What a condition may speak of, and what a request has of it: one of these has to be what is wanted."""
NUMBERS = frozenset({"budget", "min_context_size", "tokens"})
WORDS: Mapping[str, frozenset[str]] = {
    "urgency": frozenset({"low", "medium", "high"}),
    "quality": frozenset({"standard", "premium"}),
}
