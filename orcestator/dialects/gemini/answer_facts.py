"""What stands beside the content of an answer, in Gemini's words and in the canonical ones: why it ended, tokens, log probabilities.

https://ai.google.dev/api/generate-content#FinishReason, #UsageMetadata and #LogprobsResult, and python-genai 3.4.0, types.FinishReason
(checked 2026-11): the prompt count includes cached tokens but not those of server-side tools, the candidates' count excludes the thoughts.
"""

from typing import Any

from orcestator.errors import UpstreamBroken
from orcestator.json_text import Json

_BLOCKED = frozenset(
    {
        "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "MODEL_ARMOR", "ESCALATION", "PUP_LIMITED_DISABLED",
    }
)  # fmt: skip
_CUT = frozenset({"MAX_TOKENS", "CONTINUATION"})
_FAILED = frozenset(
    {
        "OTHER", "IMAGE_OTHER", "NO_IMAGE", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE",
    }
)  # fmt: skip
"""The model or the service broke: what came before is no whole answer, and another candidate may do better."""
UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"
_WELL = frozenset({"STOP", UNSPECIFIED})
_WIRE = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}


def canonical_finish(reason: str, provider: str, *, called: bool) -> str:
    """The canonical word; one that nobody knows goes on as it is. ``called``: tool calls are part of the answer.

    Raises UpstreamBroken when the model broke, whatever it had said by then.
    """
    if reason in _FAILED:
        raise UpstreamBroken(f"{provider} broke off with {reason} before its answer was whole.", cause=reason.lower())
    if reason in _BLOCKED:
        return "content_filter"
    if reason in _CUT:
        return "length"
    if reason not in _WELL:
        return reason
    return "tool_calls" if called else "stop"


def wire_finish(reason: object) -> str:
    """Gemini's word; a call of tools is a plain stop there."""
    return _WIRE.get(reason, "STOP") if isinstance(reason, str) else "STOP"


def canonical_usage(wire: Any) -> Json | None:
    """The canonical usage, or None when there are no usable counts."""
    if not isinstance(wire, dict) or "promptTokenCount" not in wire:
        return None
    prompt = _count(wire, "promptTokenCount") + _count(wire, "toolUsePromptTokenCount")
    thoughts = _count(wire, "thoughtsTokenCount")
    completion = _count(wire, "candidatesTokenCount") + thoughts
    # Of sound in a cache no price is known: it is as cached as the rest.
    heard = max(0, _sound(wire.get("promptTokensDetails")) - _sound(wire.get("cacheTokensDetails")))
    spoken = _sound(wire.get("candidatesTokensDetails"))
    read_of: Json = {"cached_tokens": _count(wire, "cachedContentTokenCount")}
    made_of: Json = {"reasoning_tokens": thoughts}
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": read_of | ({"audio_tokens": heard} if heard else {}),
        "completion_tokens_details": made_of | ({"audio_tokens": spoken} if spoken else {}),
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


def canonical_logprobs(wire: Any) -> Json | None:
    """The canonical object of a candidate's ``logprobsResult``, None when there is none."""
    chosen = _entries(wire, "chosenCandidates")
    if not chosen:
        return None
    tops = [_entries(top, "candidates") for top in _entries(wire, "topCandidates")]
    tops += [[]] * (len(chosen) - len(tops))
    content = [
        _canonical(token) | {"top_logprobs": [_canonical(other) for other in top]}
        for token, top in zip(chosen, tops, strict=False)
    ]
    return {"content": content}


def wire_logprobs(logprobs: Any) -> Json:
    """The ``logprobsResult`` field of a candidate; {} when there is none."""
    content = _entries(logprobs, "content")
    if not content:
        return {}
    tops = [{"candidates": [_wire(other) for other in _entries(token, "top_logprobs")]} for token in content]
    return {"logprobsResult": {"topCandidates": tops, "chosenCandidates": [_wire(token) for token in content]}}


def _entries(holder: Any, name: str) -> list[Json]:
    found = holder.get(name) if isinstance(holder, dict) else None
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _canonical(token: Json) -> Json:
    text = token.get("token")
    text = text if isinstance(text, str) else ""
    return {
        "token": text,
        "logprob": _number(token.get("logProbability")),
        "bytes": list(text.encode("utf-8", "replace")),
    }


def _wire(token: Json) -> Json:
    text = token.get("token")
    return {"token": text if isinstance(text, str) else "", "logProbability": _number(token.get("logprob"))}


def _number(value: Any) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
