"""The response object, of a whole reply or piece by piece for a stream.

Fields and which of them must be there: openai-python 3.51 ``types/responses`` (``Response``, ``ResponseUsage``,
``ResponseError``), and the order of a recorded answer of OpenAI's (checked 2026-11). What was asked for is echoed.
"""

from typing import Any

from orcestator.dialects.canonical import RESPONSES_FORMAT, WriteTerms, reasoning_of
from orcestator.dialects.custom_tools import restored_input
from orcestator.dialects.responses.tool_names import ToolBook
from orcestator.dialects.shapes import count_in, object_in, objects_in, text_in
from orcestator.errors import AttemptsExhausted, OrcestatorError, StreamInterrupted
from orcestator.json_text import Json

_ECHOED = (
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "safety_identifier",
    "service_tier",
    "temperature",
    "top_logprobs",
    "top_p",
    "user",
)
_DEFAULTS: Json = {
    "metadata": {},
    "parallel_tool_calls": True,
    "reasoning": {"effort": None, "summary": None},
    "store": True,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "truncation": "disabled",
}
_UNSAID: Json = {**dict.fromkeys(_ECHOED), **_DEFAULTS}
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_CODES = frozenset(
    {"context_length_exceeded", "insufficient_quota", "invalid_prompt", "rate_limit_exceeded", "server_error"}
)
"""Error codes inside a response that Codex or the SDKs act upon."""


def reply(body: Json, terms: WriteTerms) -> Json:
    """The caller's response of a canonical reply."""
    choice = next(iter(objects_in(body, "choices")), {})
    message = object_in(choice, "message")
    status, details = status_of(choice.get("finish_reason"))
    logprobs = objects_in(object_in(choice, "logprobs"), "content")
    output = _output(message, logprobs, terms, status)
    usage = usage_of(object_in(body, "usage"))
    response = response_of(terms, terms.new_id("resp_"), status)
    return {**response, "output": output, "usage": usage, "incomplete_details": details}


def response_of(terms: WriteTerms, response_id: str, status: str) -> Json:
    """A response without output; the fields that say what was asked for are the caller's own."""
    call = terms.call
    return {
        "id": response_id,
        "object": "response",
        "created_at": terms.created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": terms.model,
        "output": [],
        **_UNSAID,
        **{name: value for name, value in call.items() if name in _UNSAID and value is not None},
        "usage": None,
    }


def status_of(finish_reason: object) -> tuple[str, Json | None]:
    """A response's status and what is told beside it."""
    reason = _INCOMPLETE.get(finish_reason) if isinstance(finish_reason, str) else None
    return ("incomplete", {"reason": reason}) if reason else ("completed", None)


def usage_of(usage: Json) -> Json:
    """The caller's usage, with every number that a client may insist on."""
    given, made = count_in(usage, "prompt_tokens") or 0, count_in(usage, "completion_tokens") or 0
    prompt, completion = object_in(usage, "prompt_tokens_details"), object_in(usage, "completion_tokens_details")
    return {
        "input_tokens": given,
        "input_tokens_details": {
            "cached_tokens": count_in(prompt, "cached_tokens") or 0,
            "cache_write_tokens": count_in(prompt, "cache_write_tokens") or 0,
        },
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": count_in(completion, "reasoning_tokens") or 0},
        "total_tokens": given + made,
    }


def error_of(error: OrcestatorError) -> Json:
    """The error of a failed response. Codes outside the published list become the nearest one in it."""
    cause = error.failure if isinstance(error, StreamInterrupted) else error
    cause = cause.most_useful if isinstance(cause, AttemptsExhausted) else cause
    if cause.code in _CODES:
        return {"code": cause.code, "message": error.message}
    if cause.http_status == 429:
        return {"code": "rate_limit_exceeded", "message": error.message}
    return {"code": "invalid_prompt" if cause.http_status < 500 else "server_error", "message": error.message}


def message_item(item_id: str, content: list[Json], status: str) -> Json:
    """An assistant's message."""
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def text_part(text: str, annotations: list[Json], logprobs: list[Json]) -> Json:
    """The text of a message."""
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs}


def refusal_part(text: str) -> Json:
    """A refusal in place of a text."""
    return {"type": "refusal", "refusal": text}


def reasoning_item(item_id: str, summary: str, encrypted: str) -> Json:
    """Reasoning: what may be read of it, and what only its issuer can."""
    parts = [{"type": "summary_text", "text": summary}] if summary else []
    item: Json = {"id": item_id, "type": "reasoning", "summary": parts}
    return {**item, "encrypted_content": encrypted} if encrypted else item


def call_item(new_id: Any, book: ToolBook, call: Json, status: str) -> Json:
    """A tool call by the caller's own names, whatever the model knew the tool by; nothing in it yet."""
    kind = "custom" if call.get("type") == "custom" else "function"
    tool = book.tool(text_in(object_in(call, kind), "name"))
    is_custom = tool.is_custom or kind == "custom"
    head = (
        {"id": new_id("ctc_"), "type": "custom_tool_call"}
        if is_custom
        else {"id": new_id("fc_"), "type": "function_call"}
    )
    namespace = {"namespace": tool.namespace} if tool.namespace else {}
    given = {"input": ""} if is_custom else {"arguments": ""}
    return {**head, "status": status, "call_id": text_in(call, "id"), "name": tool.name, **namespace, **given}


def given_to(item: Json, call: Json, given: str) -> Json:
    """The item with what its tool is given, ``given`` being the text that the model wrote."""
    if item["type"] == "function_call":
        return {"arguments": given}
    return {"input": given if call.get("type") == "custom" else restored_input(given)}


def encrypted_in(details: Any) -> list[tuple[int, str]]:
    """The encrypted reasoning of this API with its places; that of other issuers is worth nothing to the caller."""
    if not details:
        return []
    found = [
        detail for detail in objects_in({"details": details}, "details") if detail.get("format") == RESPONSES_FORMAT
    ]
    mine = [detail for detail in found if detail.get("type") == "reasoning.encrypted" and text_in(detail, "data")]
    places = (count_in(detail, "index") for detail in mine)
    return [
        (order if place is None else place, detail["data"])
        for order, (place, detail) in enumerate(zip(places, mine, strict=True))
    ]


def citation(annotation: Json) -> Json | None:
    """A citation as this API has it; None for one that lacks a part of it."""
    cited = object_in(annotation, "url_citation")
    start, end = count_in(cited, "start_index"), count_in(cited, "end_index")
    if start is None or end is None or not text_in(cited, "url"):
        return None
    told = {"url": cited["url"], "title": text_in(cited, "title")}
    return {"type": "url_citation", "start_index": start, "end_index": end, **told}


def probability(wire: Json) -> Json:
    """A token's log probability with the lists that this API always has."""
    tops = [_token(top) for top in objects_in(wire, "top_logprobs")]
    return {**_token(wire), "top_logprobs": tops}


def _token(wire: Json) -> Json:
    logprob, codes = wire.get("logprob"), wire.get("bytes")
    return {
        "token": text_in(wire, "token"),
        "logprob": logprob if type(logprob) in (int, float) else 0.0,
        "bytes": [code for code in codes if type(code) is int] if isinstance(codes, list) else [],
    }


def _output(message: Json, logprobs: list[Json], terms: WriteTerms, status: str) -> list[Json]:
    book = ToolBook(terms.call)
    output: list[Json] = []
    text, refusal, calls = text_in(message, "content"), text_in(message, "refusal"), objects_in(message, "tool_calls")
    notes = [made for note in objects_in(message, "annotations") if (made := citation(note)) is not None]
    parts = [text_part(text, notes, list(map(probability, logprobs)))] if text or not (refusal or calls) else []
    parts += [refusal_part(refusal)] if refusal else []
    output += [message_item(terms.new_id("msg_"), parts, status)] if parts else []
    for call in calls:
        item = call_item(terms.new_id, book, call, status)
        kind, field = ("custom", "input") if call.get("type") == "custom" else ("function", "arguments")
        output.append(item | given_to(item, call, text_in(object_in(call, kind), field)))
    for place, item in _reasoning(message, terms):
        output.insert(place, item)
    return output


def _reasoning(message: Json, terms: WriteTerms) -> list[tuple[int, Json]]:
    """The reasoning items with their places. What can be read of all of them stands in the first."""
    thought, encrypted = reasoning_of(message), sorted(encrypted_in(message.get("reasoning_details")))
    found = encrypted or ([(0, "")] if thought else [])
    return [
        (place, reasoning_item(terms.new_id("rs_"), "" if order else thought, data))
        for order, (place, data) in enumerate(found)
    ]
