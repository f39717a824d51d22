"""Log probabilities of tokens, Gemini's and the canonical ones.

https://ai.google.dev/api/generate-content#LogprobsResult (checked 2026-11).
"""

from typing import Any

from orcestator.json_text import Json


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
