"""A whole response as a canonical reply."""

from typing import Any

from orcestator.dialects.canonical import ReadTerms
from orcestator.dialects.responses.outputs import (
    CALLS,
    call_of,
    failure_in,
    finish_of,
    given_in,
    plain_text,
    reasoning_details,
    reasoning_text,
    spoken_in,
    usage_of,
)
from orcestator.dialects.shapes import count_in, text_in
from orcestator.errors import UpstreamBroken
from orcestator.json_text import Json


def reply(wire: Json, terms: ReadTerms) -> Json:
    """The reply. Raises the error of a response that failed, and UpstreamBroken for what is no response."""
    if not isinstance(wire, dict):
        raise UpstreamBroken(f"{terms.provider} answered 200 with JSON that is not an object.", cause="not_json")
    failure = failure_in(wire, terms.provider)
    if failure is not None:
        raise failure
    if not isinstance(wire.get("output"), list):
        raise UpstreamBroken(f"{terms.provider} answered without output.", cause="empty")
    message, logprobs = _message(wire["output"])
    reason = finish_of(wire, called="tool_calls" in message)
    choice: Json = {"index": 0, "message": message, "finish_reason": reason}
    choice |= {"logprobs": {"content": logprobs}} if logprobs else {}
    usage = usage_of(wire)
    return {
        "id": text_in(wire, "id") or terms.new_id("chatcmpl-"),
        "object": "chat.completion",
        "created": count_in(wire, "created_at") or terms.created,
        "model": text_in(wire, "model"),
        "choices": [choice],
        **({"usage": usage} if usage else {}),
    }


def _message(output: list[Any]) -> tuple[Json, list[Json]]:
    """The assistant's message and its log probabilities. Items of tools that ran upstream are passed over."""
    items = [(place, item) for place, item in enumerate(output) if isinstance(item, dict)]
    if len(items) == 1 and (said := plain_text(items[0][1])) is not None:
        return {"role": "assistant", "content": said}, []
    spoken = [spoken_in(item) for _, item in items if item.get("type") == "message"]
    thoughts = [(place, item) for place, item in items if item.get("type") == "reasoning"]
    calls = [call_of(item, given_in(item)) for _, item in items if text_in(item, "type") in CALLS]
    content = "".join(said.get("content", "") for said in spoken)
    extras: Json = {
        "refusal": "".join(said.get("refusal", "") for said in spoken),
        "annotations": [note for said in spoken for note in said.get("annotations", [])],
        "reasoning_content": "\n\n".join(filter(None, (reasoning_text(item) for _, item in thoughts))),
        "reasoning_details": [detail for place, item in thoughts for detail in reasoning_details(item, place)],
        "tool_calls": calls,
    }
    message: Json = {"role": "assistant", "content": content or (None if calls or extras["refusal"] else "")}
    message |= {name: value for name, value in extras.items() if value}
    return message, [probability for said in spoken for probability in said.get("logprobs", [])]
