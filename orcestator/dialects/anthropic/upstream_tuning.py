"""How the answer is tuned, by what the model's generation takes: a thinking budget, an effort or neither; temperature and its kin; stop sequences.

platform.claude.com/docs/en/build-with-claude/thinking, …/effort, …/api/messages and the migration guides (checked 2026-11): a budget is at
least 1024 tokens and below ``max_tokens``; models from 4.6 on think adaptively and take an effort. ``temperature`` is 0 to 1; models from 4.7
on take no sampling parameters, those from 4.0 on not ``temperature`` and ``top_p`` together; manual thinking goes with neither
``temperature`` nor ``top_k``, and with ``top_p`` only from 0.95. Stop sequences need a visible character
(github.com/BerriAI/litellm/issues/3286).
"""

from typing import NamedTuple

from orcestator.dialects.anthropic.dropped import Dropped
from orcestator.dialects.anthropic.models import ADAPTIVE, NO_THINKING, Traits
from orcestator.dialects.canonical import EFFORT_SHARES, effort_of, reasoning_budget
from orcestator.dialects.canonical_call import reasoning_wish, stops_in
from orcestator.json_text import Json

LEAST_BUDGET = 1024
MOST_BUDGET = 128_000
USUAL_EFFORT = "medium"
"""For a budget where reasoning is asked for without a measure."""
_WEAKER = {"minimal": "low", "max": "xhigh", "xhigh": "high", "high": "medium", "medium": "low"}


class Thinking(NamedTuple):
    """``wire`` is the ``thinking`` field, None to leave it out; ``effort`` goes into ``output_config``."""

    wire: Json | None = None
    effort: str | None = None

    @property
    def is_manual(self) -> bool:
        """Whether the model gets a budget."""
        return self.wire is not None and self.wire["type"] == "enabled"

    @property
    def is_on(self) -> bool:
        """Whether thinking was asked for."""
        return self.wire is not None and self.wire["type"] in ("enabled", "adaptive")


class _Wish(NamedTuple):
    """What the call says of reasoning. ``name`` is the field that said it."""

    name: str
    effort: str | None
    budget: int | None
    is_off: bool
    is_hidden: bool


def thinking_of(call: Json, traits: Traits, max_tokens: int, dropped: Dropped) -> Thinking:
    """The thinking that the call asks for, as this model takes it."""
    wish = _wish_of(call)
    if wish is None:
        return Thinking()
    if wish.is_off:
        return _off(wish, traits, dropped)
    if traits.thinking == NO_THINKING:
        dropped.add(wish.name)
        return Thinking()
    if traits.thinking == ADAPTIVE:
        return _adaptive(wish, traits, max_tokens)
    return _manual(wish, max_tokens, dropped)


def _wish_of(call: Json) -> _Wish | None:
    wish = reasoning_wish(call)
    said, effort, budget = wish.said, wish.effort, wish.budget
    name = "reasoning_effort" if isinstance(effort, str) else "reasoning"
    effort = effort if isinstance(effort, str) else said.get("effort")
    effort = effort if isinstance(effort, str) and (effort in EFFORT_SHARES or effort == "none") else None
    budget = budget if type(budget) is int and budget > 0 else None
    is_off = effort == "none" or wish.is_off
    if effort is None and budget is None and not is_off and said.get("enabled") is not True:
        return None
    return _Wish(name, effort, budget, is_off, wish.is_hidden)


def _off(wish: _Wish, traits: Traits, dropped: Dropped) -> Thinking:
    if traits.thinking_off is None:
        dropped.add(wish.name)
        return Thinking(effort=traits.efforts[0])
    return Thinking({"type": traits.thinking_off} if traits.thinking_off else None)


def _adaptive(wish: _Wish, traits: Traits, max_tokens: int) -> Thinking:
    wire: Json = {"type": "adaptive"}
    if wish.is_hidden:
        wire["display"] = "omitted"
    elif traits.hides_thinking:
        wire["display"] = "summarized"
    effort = wish.effort or (effort_of(wish.budget, max_tokens) if wish.budget else None)
    while effort is not None and effort not in traits.efforts:
        effort = _WEAKER[effort]
    return Thinking(wire, effort)


def _manual(wish: _Wish, max_tokens: int, dropped: Dropped) -> Thinking:
    budget = wish.budget or reasoning_budget(wish.effort or USUAL_EFFORT, max_tokens, LEAST_BUDGET, MOST_BUDGET)
    budget = min(max(budget, LEAST_BUDGET), max_tokens - 1)
    if budget < LEAST_BUDGET:
        dropped.add(wish.name)
        return Thinking()
    wire: Json = {"type": "enabled", "budget_tokens": budget}
    return Thinking({**wire, "display": "omitted"} if wish.is_hidden else wire)


HOTTEST = 1.0
LEAST_TOP_P_OF_THINKING = 0.95


def sampling_of(call: Json, traits: Traits, thinking: Thinking, dropped: Dropped) -> Json:
    """The sampling fields that the model takes. What would have changed the answer and is left out is named."""
    if not ("temperature" in call or "top_p" in call or "top_k" in call):
        return {}
    wanted = {name: value for name in ("temperature", "top_p", "top_k") if _is_number(value := call.get(name))}
    made: Json = {}
    temperature, top_p, top_k = (wanted.get(name) for name in ("temperature", "top_p", "top_k"))
    may_sample = traits.takes_sampling and not thinking.is_on
    if temperature is not None and may_sample:
        made["temperature"] = min(max(temperature, 0), HOTTEST)
    if top_p is not None and traits.takes_sampling and 0 <= top_p <= 1:
        is_alone = traits.takes_both_sampling or "temperature" not in made
        if is_alone and (not thinking.is_on or top_p >= LEAST_TOP_P_OF_THINKING):
            made["top_p"] = top_p
    if type(top_k) is int and top_k > 0 and may_sample:
        made["top_k"] = top_k
    _name_the_missing(wanted, made, dropped)
    return made


def stop_sequences_of(call: Json, dropped: Dropped) -> Json:
    """``stop_sequences``; {} when there are none. White space alone is refused, and named as ``stop``."""
    given = stops_in(call)
    kept = [one for one in given if isinstance(one, str) and one.strip()]
    if len(kept) != len(given):
        dropped.add("stop")
    return {"stop_sequences": kept} if kept else {}


def _name_the_missing(wanted: Json, made: Json, dropped: Dropped) -> None:
    usual = {"temperature": 1, "top_p": 1}
    for name, value in wanted.items():
        if made.get(name) != value and value != usual.get(name) and not (name == "top_k" and value <= 0):
            dropped.add(name)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
