"""A streamGenerateContent answer, event by event.

https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent (checked 2026-11): every event is a
partial answer; tool calls come whole; usage is cumulative and in every event; there is no last word but a finish
reason.
"""

from dataclasses import dataclass, field
from typing import Any

from orcestator.dialects.canonical import ReadTerms
from orcestator.dialects.gemini.answer_facts import UNSPECIFIED, canonical_finish, canonical_logprobs, canonical_usage
from orcestator.dialects.gemini.errors import is_error, stream_failure
from orcestator.dialects.gemini.upstream_parts import delta_of, objects_of, parts_in
from orcestator.dialects.gemini.upstream_reply import refusal_of
from orcestator.json_text import Json, loads_event

CALLS = b'"functionCall"'
"""What every answer with a tool call holds, whose arguments are an object here."""
MOST_CANDIDATES = 128
_FIELDS = frozenset({"candidates", "promptFeedback", "usageMetadata", "modelVersion", "responseId", "createTime"})
"""What a partial answer is known by."""


@dataclass(slots=True)
class _Candidate:
    spoke: bool = False
    calls: int = 0
    finished: bool = False


@dataclass(slots=True)
class GeminiReader:
    """One answer's reader; the contract is ``canonical.Reader``."""

    terms: ReadTerms
    _candidates: dict[int, _Candidate] = field(default_factory=lambda: {0: _Candidate()})

    def read(self, data: bytes) -> "str | list[Json] | None":
        """What one event means; see ``canonical.Reader``. Never None: the wire has no last word, and some models give a
        finish reason with every event.
        """
        event = loads_event(data, exactly=CALLS in data)
        text = _plain_text(event)
        if text is not None:
            self._candidates[0].spoke = True
            return text
        if is_error(event):
            raise stream_failure(self.terms.provider, event)
        if not isinstance(event, dict):
            raise ValueError("an event that is not an object")
        return [event] if _FIELDS.isdisjoint(event) else self._chunks(event)

    def _chunks(self, event: Json) -> list[Json]:
        candidates = objects_of(event.get("candidates"))
        chunks = [chunk for candidate in candidates for chunk in self._candidate(candidate)]
        refusal = "" if candidates or self._candidates[0].spoke else refusal_of(event)
        if refusal:
            self._candidates[0].finished = True
            chunks = [_chunk(0, {"refusal": refusal}), _chunk(0, {}, "content_filter")]
        if any(candidate.finished for candidate in self._candidates.values()):
            usage = canonical_usage(event.get("usageMetadata"))
            if usage and chunks:
                chunks[-1]["usage"] = usage
            elif usage:
                chunks = [{"choices": [], "usage": usage}]
        return chunks

    def _candidate(self, wire: Json) -> list[Json]:
        index = wire.get("index")
        index = index if type(index) is int and 0 <= index < MOST_CANDIDATES else 0
        state = self._candidates.setdefault(index, _Candidate())
        deltas = [delta for part in parts_in(wire) if (delta := self._delta(part, state))]
        chunks = [_chunk(index, delta) for delta in deltas]
        logprobs = canonical_logprobs(wire.get("logprobsResult"))
        if logprobs and chunks:
            chunks[0]["choices"][0]["logprobs"] = logprobs
        reason = wire.get("finishReason")
        if isinstance(reason, str) and reason and reason != UNSPECIFIED:
            word = canonical_finish(reason, self.terms.provider, called=state.calls > 0)
            state.finished = True
            chunks.append(_chunk(index, {}, word))
        return chunks

    def _delta(self, part: Json, state: _Candidate) -> Json:
        delta = delta_of(part, self.terms.new_id)
        state.spoke = state.spoke or "content" in delta or "images" in delta
        if "tool_calls" in delta:
            delta["tool_calls"] = [{"index": state.calls, **call} for call in delta["tool_calls"]]
            state.calls += 1
        return delta


def _plain_text(event: Any) -> str | None:
    """The hot path: the text of an event that is one plain text of the first candidate and nothing else."""
    try:
        (candidate,) = event["candidates"]
        ((name, text),) = candidate["content"]["parts"][0].items()
        is_plain = (
            name == "text"
            and type(text) is str
            and text
            and len(candidate["content"]["parts"]) == 1
            and "finishReason" not in candidate
            and "logprobsResult" not in candidate
            and "error" not in event
            and candidate.get("index", 0) == 0
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return None
    return text if is_plain else None


def _chunk(index: int, delta: Json, reason: str | None = None) -> Json:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": reason}]}
