"""The Responses API (https://platform.openai.com/docs/api-reference/responses and /responses-streaming, checked 2026-11).

Responses are stored unless ``store`` is false, and then known to ``previous_response_id``. The models that reason give
reasoning items: with a summary if one was asked for, sealed if ``include`` asks for the encrypted content.
"""

import time
from collections.abc import Iterator
from typing import Any

from orcestator.json_text import Json
from orcestator.sandbox import seals
from orcestator.sandbox.call import Call, text_of
from orcestator.sandbox.rules import responses_rules
from orcestator.sandbox.speech import words
from orcestator.sandbox.turn import MODELS_THAT_REASON, Heard, Made, Said, Tool, say
from orcestator.sandbox.wire.script import Answer, Content, Event, Headers, Step, json_answer, named_event, streamed

EMPTY_ITEMS: dict[str, Json] = {
    "reasoning": {"summary": []},
    "message": {"content": []},
    "function_call": {"arguments": ""},
}
ECHOED_FIELDS = (
    "instructions",
    "max_output_tokens",
    "metadata",
    "previous_response_id",
    "temperature",
    "top_p",
    "user",
)


def answer(call: Call) -> Answer:
    """The whole answer. Raises ``Refused`` (400, 404)."""
    items = responses_rules.check(call)
    done = say(call, hear(call, items))
    if call.body.get("store") is not False:
        call.memory.keep(response_id(call), [*items, *output(call, done)])
    if call.streams:
        return streamed(steps(call, done), call.settings.tokens_per_second, _headers(call))
    return json_answer(body(call, done), headers=_headers(call), delay_seconds=call.delay(done.tokens))


def response_id(call: Call) -> str:
    """The id of this answer."""
    return f"resp_{call.number}"


def hear(call: Call, items: list[Json]) -> Heard:
    """The conversation in a body that has been checked."""
    body = call.body
    said, results, rounds = _current_turn(items)
    choice = body.get("tool_choice")
    wanted = (body.get("text") or {}).get("format") or {}
    offered = [tool for tool in body.get("tools") or [] if tool.get("type") == "function"]
    is_named = isinstance(choice, dict) and choice.get("type") == "function"
    return Heard(
        said=said,
        prompt="\n".join([str(body.get("instructions") or ""), *(_text(item) for item in items)]),
        results=results,
        rounds=rounds,
        tools=tuple(Tool(tool["name"], tool.get("parameters")) for tool in offered),
        may_call=choice != "none",
        must_call=choice == "required" or is_named,
        only=(choice["name"],) if is_named and isinstance(choice, dict) else (),
        parallel=body.get("parallel_tool_calls") is not False,
        limit=body.get("max_output_tokens"),
        wants_json=wanted.get("type") in ("json_object", "json_schema"),
        value_schema=wanted.get("schema"),
        reasons=_reasons(call),
    )


def _reasons(call: Call) -> bool:
    return call.model.base in MODELS_THAT_REASON and (call.body.get("reasoning") or {}).get("effort") != "none"


def _current_turn(items: list[Json]) -> tuple[str, tuple[str, ...], int]:
    results: list[str] = []
    rounds = 0
    for place in range(len(items) - 1, -1, -1):
        item = items[place]
        if item.get("type") == "function_call_output":
            results[:0] = [_text(item)]
        if item.get("type") == "function_call":
            rounds += place == 0 or items[place - 1].get("type") != "function_call"
        if item.get("role") == "user":
            return _text(item), tuple(results), rounds
    return "", tuple(results), rounds


def _text(item: Json) -> str:
    return text_of(item.get("content") if "content" in item else item.get("output"))


def output(call: Call, done: Said) -> list[Json]:
    """The items of an answer: reasoning, then a message or the calls."""
    items = [_reasoning(call, done)] if done.reasoning else []
    if done.pieces:
        items.append(_message(call, done))
    return items + [_function_call(call, done, made) for made in done.calls]


def _reasoning(call: Call, done: Said) -> Json:
    is_shown = bool((call.body.get("reasoning") or {}).get("summary"))
    summary = [{"type": "summary_text", "text": done.thought}] if is_shown else []
    item: Json = {"id": f"rs_reasoned{call.number}", "type": "reasoning", "summary": summary}
    if responses_rules.ENCRYPTED in (call.body.get("include") or []):
        item["encrypted_content"] = seals.seal("responses", "", call.number)
    return item


def _message(call: Call, done: Said) -> Json:
    part = {"type": "output_text", "text": done.text, "annotations": [], "logprobs": []}
    status = "incomplete" if done.finish == "length" else "completed"
    return {"id": f"msg_{call.number}", "type": "message", "status": status, "role": "assistant", "content": [part]}


def _function_call(call: Call, done: Said, made: Made) -> Json:
    kind = "fc_reasoned" if done.reasoning else "fc_plain"
    return {
        "id": f"{kind}{call.number}_{made.place}",
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{call.number}_{made.place}",
        "name": made.name,
        "arguments": made.text,
    }


def body(call: Call, done: Said) -> Json:
    """The answer as one body."""
    is_cut = done.finish == "length"
    return frame(call, "incomplete" if is_cut else "completed") | {
        "output": output(call, done),
        "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
        "completed_at": int(time.time()),
        "usage": usage(done),
    }


def frame(call: Call, status: str) -> Json:
    """A response before it has any output."""
    asked = call.body
    return {
        "id": response_id(call),
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": call.model.text,
        "output": [],
        "parallel_tool_calls": asked.get("parallel_tool_calls") is not False,
        "reasoning": {"effort": None, "summary": None, **(asked.get("reasoning") or {})},
        "store": asked.get("store") is not False,
        "text": asked.get("text") or {"format": {"type": "text"}},
        "tool_choice": asked.get("tool_choice") or "auto",
        "tools": asked.get("tools") or [],
        "truncation": asked.get("truncation") or "disabled",
        "usage": None,
        **{name: asked.get(name) for name in ECHOED_FIELDS},
    }


def usage(done: Said) -> Json:
    """The token counts; cached and reasoning tokens are part of the others."""
    return {
        "input_tokens": done.prompt_tokens,
        "input_tokens_details": {"cached_tokens": done.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": done.tokens,
        "output_tokens_details": {"reasoning_tokens": len(done.reasoning)},
        "total_tokens": done.prompt_tokens + done.tokens,
    }


def steps(call: Call, done: Said) -> Iterator[Step]:
    """The answer as events, numbered."""
    return numbered(_events(call, done))


def numbered(events: Iterator[tuple[str, Json, bool]]) -> Iterator[Step]:
    """Events with their number in the stream; the third of each says whether it carries content."""
    for number, (kind, data, is_content) in enumerate(events):
        made = event(kind, data, number)
        yield Content(made) if is_content else made


def event(kind: str, data: Json, number: int) -> Event:
    """One event."""
    return named_event(kind, {"type": kind, "sequence_number": number, **data})


def _events(call: Call, done: Said) -> Iterator[tuple[str, Json, bool]]:
    yield "response.created", {"response": frame(call, "in_progress")}, False
    yield "response.in_progress", {"response": frame(call, "in_progress")}, False
    for index, item in enumerate(output(call, done)):
        yield from _item_events(index, item, done)
    whole = body(call, done)
    yield f"response.{whole['status']}", {"response": whole}, False


def _item_events(index: int, item: Json, done: Said) -> Iterator[tuple[str, Json, bool]]:
    opened = item | EMPTY_ITEMS[item["type"]] | ({} if item["type"] == "reasoning" else {"status": "in_progress"})
    yield "response.output_item.added", {"output_index": index, "item": opened}, False
    inside = {"reasoning": _summary_events, "message": _text_events, "function_call": _argument_events}[item["type"]]
    yield from inside({"item_id": item["id"], "output_index": index}, item, done)
    yield "response.output_item.done", {"output_index": index, "item": item}, False


def _summary_events(place: Json, item: Json, done: Said) -> Iterator[tuple[str, Json, bool]]:
    if not item["summary"]:
        return
    at = place | {"summary_index": 0}
    start = "response.reasoning_summary"
    yield f"{start}_part.added", at | {"part": {"type": "summary_text", "text": ""}}, False
    for piece in done.reasoning:
        yield f"{start}_text.delta", at | {"delta": piece}, True
    yield f"{start}_text.done", at | {"text": done.thought}, False
    yield f"{start}_part.done", at | {"part": item["summary"][0]}, False


def _text_events(place: Json, item: Json, done: Said) -> Iterator[tuple[str, Json, bool]]:
    at = place | {"content_index": 0}
    part: dict[str, Any] = item["content"][0]
    yield "response.content_part.added", at | {"part": part | {"text": ""}}, False
    for piece in done.pieces:
        yield "response.output_text.delta", at | {"delta": piece, "logprobs": []}, True
    yield "response.output_text.done", at | {"text": done.text, "logprobs": []}, False
    yield "response.content_part.done", at | {"part": part}, False


def _argument_events(place: Json, item: Json, done: Said) -> Iterator[tuple[str, Json, bool]]:
    for piece in words(item["arguments"]):
        yield "response.function_call_arguments.delta", place | {"delta": piece}, True
    ended = {"arguments": item["arguments"], "name": item["name"]}
    yield "response.function_call_arguments.done", place | ended, False


def _headers(call: Call) -> Headers:
    return (("x-request-id", f"req_sandbox_{call.number}"),)
