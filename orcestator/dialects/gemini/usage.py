"""Token counts, Gemini's and the canonical ones.

https://ai.google.dev/api/generate-content#UsageMetadata (checked 2026-11): the prompt count includes cached tokens
but not those of server-side tools, the candidates' count excludes the thoughts.
"""

from typing import Any

Json = dict[str, Any]


def canonical_usage(wire: Any) -> Json | None:
    """The canonical usage, or None when there are no usable counts."""
    if not isinstance(wire, dict) or "promptTokenCount" not in wire:
        return None
    prompt = _count(wire, "promptTokenCount") + _count(wire, "toolUsePromptTokenCount")
    thoughts = _count(wire, "thoughtsTokenCount")
    completion = _count(wire, "candidatesTokenCount") + thoughts
    heard, spoken = _sound(wire.get("promptTokensDetails")), _sound(wire.get("candidatesTokensDetails"))
    # Of the sound in a cache we know no price: it is as cached as the rest of it.
    heard = max(0, heard - _sound(wire.get("cacheTokensDetails")))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": _count(wire, "cachedContentTokenCount"),
            **({"audio_tokens": heard} if heard else {}),
        },
        "completion_tokens_details": {
            "reasoning_tokens": thoughts,
            **({"audio_tokens": spoken} if spoken else {}),
        },
    }


def wire_usage(usage: Any) -> Json:
    """Gemini's usage metadata of the canonical usage."""
    usage = usage if isinstance(usage, dict) else {}
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    thoughts = min(_count(usage.get("completion_tokens_details"), "reasoning_tokens"), completion)
    cached = _count(usage.get("prompt_tokens_details"), "cached_tokens")
    wire: Json = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": completion - thoughts,
        "totalTokenCount": prompt + completion,
    }
    if thoughts:
        wire["thoughtsTokenCount"] = thoughts
    if cached:
        wire["cachedContentTokenCount"] = cached
    return wire


def _sound(counts: Any) -> int:
    """The tokens of sound in a list by modality."""
    listed = counts if isinstance(counts, list) else []
    return sum(
        _count(each, "tokenCount") for each in listed if isinstance(each, dict) and each.get("modality") == "AUDIO"
    )


def _count(wire: Any, name: str) -> int:
    value = wire.get(name) if isinstance(wire, dict) else None
    return value if type(value) is int and value > 0 else 0
