"""A caller's generationConfig to the canonical fields.

https://ai.google.dev/api/generate-content#generationconfig (checked 2026-11).
"""

from typing import Any

from orcestator.dialects.gemini.caller_schema import json_schema
from orcestator.dialects.gemini.fields import field, object_field, others
from orcestator.errors import InvalidRequest
from orcestator.json_text import Json

_NUMBERS = {
    "temperature": "temperature", "topP": "top_p", "topK": "top_k", "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
}  # fmt: skip
_WHOLE = {"seed": "seed", "candidateCount": "n", "maxOutputTokens": "max_completion_tokens", "logprobs": "top_logprobs"}
_COUNTED = _NUMBERS | _WHOLE
_READ = frozenset(
    {
        *_NUMBERS, *_WHOLE, "stopSequences", "responseLogprobs", "responseMimeType", "responseSchema",
        "responseJsonSchema", "responseModalities", "thinkingConfig",
    }
)  # fmt: skip
_KINDS = frozenset({"text", "image", "audio"})
SCHEMA_NAME = "response"
"""What a schema is called that has no name: the canonical form wants one."""


def canonical_config(body: Json, dropped: list[str]) -> Json:
    """The canonical fields. Raises InvalidRequest for a field of the wrong type."""
    config = object_field(body, "generationConfig", "generationConfig")
    if not config:
        return {}
    call: Json = {}
    for name, ours in _COUNTED.items():
        value = field(config, name)
        if value is not None:
            call[ours] = _number(value, f"generationConfig.{name}", is_whole=name in _WHOLE)
    if field(config, "responseLogprobs") is True:
        call["logprobs"] = True
    call |= _stops(field(config, "stopSequences")) | _modalities(field(config, "responseModalities"))
    call |= _response_format(config, dropped)
    call |= _reasoning(object_field(config, "thinkingConfig", "generationConfig.thinkingConfig"))
    dropped += [f"generationConfig.{name}" for name in others(config, _READ)]
    return call


def shows_thoughts(body: Any) -> bool:
    """Whether the caller asked to see thoughts; the API hides them otherwise."""
    for name in ("generationConfig", "thinkingConfig", "includeThoughts"):
        body = field(body, name) if isinstance(body, dict) else None
    return body is True


def _number(value: Any, param: str, *, is_whole: bool) -> Any:
    if isinstance(value, float) and is_whole and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int if is_whole else int | float):
        kind = "a whole number" if is_whole else "a number"
        raise InvalidRequest(f"{param} must be {kind}; send it without quotes.", param=param)
    return value


def _stops(stops: Any) -> Json:
    if stops is None:
        return {}
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        param = "generationConfig.stopSequences"
        raise InvalidRequest(f'{param} must be a list of texts, for example ["END"].', param=param)
    return {"stop": stops} if stops else {}


def _modalities(kinds: Any) -> Json:
    wanted = [kind.lower() for kind in kinds if isinstance(kind, str)] if isinstance(kinds, list) else []
    wanted = [kind for kind in wanted if kind in _KINDS]
    return {"modalities": wanted} if wanted and wanted != ["text"] else {}


def _response_format(config: Json, dropped: list[str]) -> Json:
    kind = field(config, "responseMimeType")
    if kind in (None, "text/plain"):
        return {}
    if kind != "application/json":
        dropped.append("generationConfig.responseMimeType")
        return {}
    whole = field(config, "responseJsonSchema")
    schema = whole if isinstance(whole, dict) else json_schema(field(config, "responseSchema"))
    if not isinstance(schema, dict):
        return {"response_format": {"type": "json_object"}}
    return {"response_format": {"type": "json_schema", "json_schema": {"name": SCHEMA_NAME, "schema": schema}}}


def _reasoning(thinking: Json) -> Json:
    """``reasoning`` and ``reasoning_effort``: a budget of 0 is none, one of -1 is the model's own choice."""
    if not thinking:
        return {}
    budget, level = field(thinking, "thinkingBudget"), field(thinking, "thinkingLevel")
    reasoning: Json = {}
    if budget is not None:
        budget = _number(budget, "generationConfig.thinkingConfig.thinkingBudget", is_whole=True)
        reasoning = {"max_tokens": budget} if budget > 0 else {"enabled": budget < 0}
    if field(thinking, "includeThoughts") is not True:
        reasoning["exclude"] = True
    call: Json = {"reasoning": reasoning} if reasoning else {}
    if isinstance(level, str) and level.upper() != "THINKING_LEVEL_UNSPECIFIED":
        call["reasoning_effort"] = level.lower()
    elif not reasoning:
        call["reasoning"] = {"enabled": True}
    return call
