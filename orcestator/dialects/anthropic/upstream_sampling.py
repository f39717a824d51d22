"""Temperature and its kin, and stop sequences, as Anthropic takes them.

platform.claude.com/docs/en/api/messages and the migration guides (checked 2026-11): ``temperature`` is 0 to 1; models
from 4.7 on take no sampling parameters, those from 4.0 on not ``temperature`` and ``top_p`` together; manual thinking
goes with neither ``temperature`` nor ``top_k``, and with ``top_p`` only from 0.95. Stop sequences need a visible
character (github.com/BerriAI/litellm/issues/3286).
"""

from typing import Any

from orcestator.dialects.anthropic.dropped import Dropped
from orcestator.dialects.anthropic.models import Traits
from orcestator.dialects.anthropic.upstream_thinking import Thinking
from orcestator.dialects.canonical_call import stops_in

Json = dict[str, Any]

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
