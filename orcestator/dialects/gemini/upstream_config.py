"""Everything of a canonical call that tunes the answer, to Gemini's generationConfig.

https://ai.google.dev/api/generate-content#generationconfig (checked 2026-11): at most 5 stop sequences, a thinking
budget or a thinking level but not both.
"""

from collections.abc import Mapping
from typing import Any

from orcestator.dialects.canonical import effort_of, reasoning_budget
from orcestator.dialects.canonical_call import AnswerFormat, output_limit, reasoning_wish, stops_in
from orcestator.dialects.gemini.model_traits import OUTPUT_LIMIT, ModelTraits
from orcestator.dialects.gemini.schema import declared
from orcestator.json_text import Json

MOST_STOPS = 5
DYNAMIC = -1
"""A budget that the model chooses."""
_PLAIN = {
    "temperature": "temperature", "top_p": "topP", "top_k": "topK", "seed": "seed",
    "presence_penalty": "presencePenalty", "frequency_penalty": "frequencyPenalty",
}  # fmt: skip
_LEVEL_OF = {"minimal": 0, "low": 1, "medium": 2, "high": 3, "xhigh": 3, "max": 3}
_LEVELS = ("minimal", "low", "medium", "high")


def generation_config(call: Json, traits: ModelTraits, facts: Mapping[str, Any], dropped: list[str]) -> Json:
    """The generationConfig but for what is asked of the answer's form."""
    config = {wire: call[name] for name, wire in _PLAIN.items() if call.get(name) is not None}
    limit = output_limit(call)
    if limit is not None:
        config["maxOutputTokens"] = limit
    if call.get("n") not in (None, 1):
        config["candidateCount"] = call["n"]
    if call.get("logprobs") is True:
        config["responseLogprobs"] = True
        if call.get("top_logprobs") is not None:
            config["logprobs"] = call["top_logprobs"]
    config |= _stops(call, dropped) | _modalities(call.get("modalities"), dropped)
    thinking = _thinking(call, traits, _whole(limit) or _whole(facts.get("max_output_tokens")) or OUTPUT_LIMIT, dropped)
    return config | ({"thinkingConfig": thinking} if thinking else {})


def response_form(wanted: AnswerFormat, traits: ModelTraits, dropped: list[str]) -> Json:
    """The generationConfig fields for the form that is wanted; {} for text."""
    if wanted.kind not in ("json_object", "json_schema"):
        if wanted.kind != "text":
            dropped.append("response_format")
        return {}
    form: Json = {"responseMimeType": "application/json"}
    if wanted.schema is not None:
        made = declared(
            wanted.schema,
            "responseSchema",
            "responseJsonSchema",
            knows_json_schema=traits.knows_json_schema,
            is_object=False,
        )
        form[made.field] = made.schema
        if not made.is_whole:
            dropped.append("response_format.json_schema.schema")
    return form


def _whole(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0


def _stops(call: Json, dropped: list[str]) -> Json:
    stops = [text for text in stops_in(call) if isinstance(text, str) and text]
    if len(stops) > MOST_STOPS:
        dropped.append(f"stop[{MOST_STOPS}:]")
    return {"stopSequences": stops[:MOST_STOPS]} if stops else {}


def _modalities(modalities: Any, dropped: list[str]) -> Json:
    """The kinds of answer; text alone is what there is anyway."""
    wanted = [kind for kind in modalities if isinstance(kind, str)] if isinstance(modalities, list) else []
    if "audio" in wanted:
        dropped.append("modalities.audio")
    return (
        {"responseModalities": [kind.upper() for kind in ("text", "image") if kind in wanted]}
        if "image" in wanted
        else {}
    )


def _thinking(call: Json, traits: ModelTraits, limit: int, dropped: list[str]) -> Json:
    wish = reasoning_wish(call)
    effort = wish.effort or wish.said.get("effort")
    effort = effort if isinstance(effort, str) else None
    budget = wish.budget if type(wish.budget) is int else None
    if not wish.said and effort is None:
        return {}
    if not (traits.levels or traits.has_budget):
        dropped.append("reasoning" if wish.said else "reasoning_effort")
        return {}
    is_off = wish.is_off or effort == "none" or budget == 0
    shown = {"includeThoughts": not wish.is_hidden and not is_off}
    if traits.levels:
        return _level(effort, budget, is_off, traits, limit) | shown
    return _budget(effort, budget, is_off, traits, limit) | shown


def _level(effort: str | None, budget: int | None, is_off: bool, traits: ModelTraits, limit: int) -> Json:
    """The nearest level that the model has; thinking cannot be switched off, only be the least."""
    if is_off:
        return {"thinkingLevel": traits.levels[0]}
    if budget is not None and budget > 0:
        effort = effort_of(budget, limit)
    if effort is None:
        return {}
    wanted = _LEVEL_OF.get(effort, 2)
    return {
        "thinkingLevel": min(
            traits.levels, key=lambda level: (abs(_LEVELS.index(level) - wanted), -_LEVELS.index(level))
        )
    }


def _budget(effort: str | None, budget: int | None, is_off: bool, traits: ModelTraits, limit: int) -> Json:
    if is_off:
        return {"thinkingBudget": 0 if traits.can_rest else traits.least_budget}
    if budget is not None and budget > 0:
        return {"thinkingBudget": max(traits.least_budget, min(traits.most_budget, budget))}
    if effort is None:
        return {"thinkingBudget": DYNAMIC}
    return {"thinkingBudget": reasoning_budget(effort, limit, traits.least_budget, traits.most_budget)}
