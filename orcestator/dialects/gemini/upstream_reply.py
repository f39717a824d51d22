"""A whole generateContent answer to a canonical reply."""

from typing import Any

from orcestator.dialects.canonical import ReadTerms
from orcestator.dialects.gemini.answer_facts import UNSPECIFIED, canonical_finish, canonical_logprobs, canonical_usage
from orcestator.dialects.gemini.errors import is_error, stream_failure
from orcestator.dialects.gemini.upstream_parts import delta_of, objects_of, parts_in
from orcestator.errors import UpstreamBroken
from orcestator.json_text import Json


def canonical_reply(wire: Json, terms: ReadTerms) -> Json:
    """The canonical reply. Raises UpstreamError for an error in a 200 and for an answer that says nothing at all.

    A blocked prompt is an answer, not a failure: the caller's text is refused, and asking the next provider the same
    would look for one that does not mind.
    """
    if is_error(wire):
        raise stream_failure(terms.provider, wire)
    if not isinstance(wire, dict):
        raise UpstreamBroken(f"{terms.provider} answered 200 with JSON that is not an object.", cause="not_json")
    candidates = objects_of(wire.get("candidates"))
    choices = [_choice(candidate, index, terms) for index, candidate in enumerate(candidates)]
    if not choices:
        choices = [_blocked(wire, terms)]
    reply: Json = {
        "id": _text(wire.get("responseId")) or terms.new_id("chatcmpl-"),
        "object": "chat.completion",
        "created": terms.created,
        "model": _text(wire.get("modelVersion")),
        "choices": choices,
    }
    usage = canonical_usage(wire.get("usageMetadata"))
    return reply | ({"usage": usage} if usage else {})


def refusal_of(wire: Json) -> str:
    """Why a prompt was blocked, in words; "" when it was not."""
    feedback = wire.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    if not isinstance(reason, str) or not reason:
        return ""
    told = _text(feedback.get("blockReasonMessage")) if isinstance(feedback, dict) else ""
    return f"The prompt was blocked by the provider ({reason})." + (f" {told}" if told else "")


def _blocked(wire: Json, terms: ReadTerms) -> Json:
    refusal = refusal_of(wire)
    if not refusal:
        raise UpstreamBroken(f"{terms.provider} answered without candidates.", cause="empty")
    message = {"role": "assistant", "content": None, "refusal": refusal}
    return {"index": 0, "message": message, "finish_reason": "content_filter"}


def _choice(candidate: Json, index: int, terms: ReadTerms) -> Json:
    message: Json = {"role": "assistant", "content": None}
    for part in parts_in(candidate):
        for name, value in delta_of(part, terms.new_id).items():
            message[name] = value if message.get(name) is None else message[name] + value
    spoke = bool(message["content"] or message.get("images"))
    called = bool(message.get("tool_calls"))
    reason = _text(candidate.get("finishReason"))
    if not reason and not spoke and not called:
        raise UpstreamBroken(f"{terms.provider} answered with nothing.", cause="empty")
    finish = canonical_finish(reason or UNSPECIFIED, terms.provider, called=called)
    if message["content"] is None and not called:
        message["content"] = ""
    choice: Json = {"index": index, "message": message, "finish_reason": finish}
    logprobs = canonical_logprobs(candidate.get("logprobsResult"))
    return choice | ({"logprobs": logprobs} if logprobs else {})


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
