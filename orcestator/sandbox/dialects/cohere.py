"""Cohere's ``/v2/chat`` (https://docs.cohere.com/v2/reference/chat and /chat-stream, types of cohere-python 7.3, checked
2026-11). The rules are that page's; the wording of most refusals is ours.
"""

from collections.abc import Iterator
from typing import Any

from orcestator.json_text import Json
from orcestator.sandbox.call import Call, call_of, credential, json_body, text_of
from orcestator.sandbox.dialects.anthropic import thirds
from orcestator.sandbox.dialects.envelope import BAD_KEY_PREFIX
from orcestator.sandbox.problem import Refused
from orcestator.sandbox.settings import SandboxSettings
from orcestator.sandbox.turn import MODELS_THAT_REASON, Heard, Made, Said, Tool, current_turn, say
from orcestator.sandbox.wire.http import Request
from orcestator.sandbox.wire.script import Answer, Content, Event, Headers, Step, json_answer, named_event, streamed

FIELDS = frozenset(
    {
        *("model", "messages", "stream", "tools", "strict_tools", "documents", "citation_options", "response_format"),
        *("safety_mode", "max_tokens", "stop_sequences", "temperature", "seed", "frequency_penalty"),
        *("presence_penalty", "k", "p", "logprobs", "tool_choice", "thinking", "priority"),
    }
)
MESSAGE_FIELDS = {
    "user": {"role", "content"},
    "system": {"role", "content"},
    "assistant": {"role", "content", "tool_calls", "tool_plan", "citations"},
    "tool": {"role", "content", "tool_call_id"},
}
PART_TYPES = {
    "user": ("text", "image_url"),
    "system": ("text",),
    "assistant": ("text", "thinking"),
    "tool": ("text", "document"),
}
RANGES = {
    "temperature": (0, 1),
    "p": (0.01, 0.99),
    "k": (0, 500),
    "frequency_penalty": (0, 1),
    "presence_penalty": (0, 1),
}
MOST_STOPS = 5
FINISHES = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL"}


def invalid(message: str) -> Refused:
    """A 400."""
    return Refused(400, f"invalid request: {message}")


def read(request: Request, number: int, settings: SandboxSettings) -> Call:
    """The call in a request. Raises ``Refused`` (401 key, 400 body)."""
    key = credential(request)
    if not key:
        raise Refused(401, "no api key supplied")
    if key.startswith(BAD_KEY_PREFIX):
        raise Refused(401, "invalid api token")
    body = json_body(request.body)
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise invalid("model is required")
    return call_of(request, number, settings, body, body["model"])


def answer(call: Call) -> Answer:
    """The whole answer. Raises ``Refused`` (400, 422)."""
    check(call.body)
    done = say(call, hear(call))
    if call.streams:
        return streamed(steps(call, done), call.settings.tokens_per_second, _headers(call))
    whole = {"id": _id(call), "finish_reason": finish(done), "message": message(call, done), "usage": usage(done)}
    return json_answer(whole, headers=_headers(call), delay_seconds=call.delay(done.tokens))


def check(body: Json) -> None:
    """Refuse what Cohere refuses. Raises ``Refused`` (400, 422)."""
    for name in body:
        if name not in FIELDS:
            raise Refused(422, f"unknown field: parameter '{name}' is not a valid field")
    for name, (least, most) in RANGES.items():
        number = body.get(name)
        if number is not None and not (isinstance(number, int | float) and least <= number <= most):
            raise invalid(f"{name} must be between {least} and {most} inclusive.")
    if len(body.get("stop_sequences") or []) > MOST_STOPS:
        raise invalid(f"too many stop sequences: the maximum is {MOST_STOPS}.")
    _check_words(body)
    _check_tools(body)
    _check_messages(body.get("messages"))


def _check_words(body: Json) -> None:
    wanted, thinking = body.get("response_format") or {}, body.get("thinking") or {}
    if wanted.get("type") not in (None, "text", "json_object"):
        raise invalid("response_format.type must be one of text, json_object.")
    if wanted.get("type") == "json_object" and body.get("tools"):
        raise invalid("response_format is not supported with tools.")
    if thinking.get("type") not in (None, "enabled", "disabled"):
        raise invalid("thinking.type must be one of enabled, disabled.")


def _check_tools(body: Json) -> None:
    if body.get("tool_choice") not in (None, "REQUIRED", "NONE"):
        raise invalid("tool_choice must be one of REQUIRED, NONE.")
    if body.get("tool_choice") and not body.get("tools"):
        raise invalid("tool_choice may only be specified while providing tools.")
    for tool in body.get("tools") or []:
        if tool.get("type") != "function" or not (tool.get("function") or {}).get("name"):
            raise invalid("all elements in tools must be functions with a name.")
        if tool["function"].keys() - {"name", "description", "parameters"}:
            raise Refused(422, "unknown field: parameter 'tools.function' has a field that is not valid")


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list) or not messages:
        raise invalid("messages must be at least 1 message long.")
    called: set[str] = set()
    for place, one in enumerate(messages):
        role = one.get("role") if isinstance(one, dict) else None
        if role not in MESSAGE_FIELDS:
            raise invalid(f"messages[{place}]: role must be one of 'user', 'assistant', 'system', 'tool'.")
        if one.keys() - MESSAGE_FIELDS[role]:
            raise Refused(
                422,
                f"unknown field: parameter 'messages[{place}].{min(one.keys() - MESSAGE_FIELDS[role])}' is not a valid field",
            )
        _check_content(one, role, place)
        if role == "tool" and one.get("tool_call_id") not in called:
            raise invalid(f"tool call id {one.get('tool_call_id')} not found in previous tool calls.")
        called |= {made["id"] for made in one.get("tool_calls") or []}
    if messages[-1]["role"] not in ("user", "tool"):
        raise invalid("the last message must be from the user or a tool.")


def _check_content(one: Json, role: str, place: int) -> None:
    content = one.get("content")
    if not content and not one.get("tool_calls") and role != "tool":
        raise invalid(f"messages[{place}]: must have non-empty content or tool calls.")
    for part in content if isinstance(content, list) else []:
        if part.get("type") not in PART_TYPES[role]:
            raise invalid(f"messages[{place}]: content type '{part.get('type')}' is not valid for role {role}.")
    for made in one.get("tool_calls") or []:
        if not isinstance((made.get("function") or {}).get("arguments"), str):
            raise invalid(f"messages[{place}]: tool call arguments must be a JSON string.")


def hear(call: Call) -> Heard:
    """The conversation in a body that has been checked."""
    body = call.body
    said, results, rounds = current_turn(body["messages"], _text)
    wanted = body.get("response_format") or {}
    return Heard(
        said=said,
        prompt="\n".join(_text(one) for one in body["messages"]),
        results=results,
        rounds=rounds,
        tools=tuple(
            Tool(tool["function"]["name"], tool["function"].get("parameters")) for tool in body.get("tools") or []
        ),
        may_call=body.get("tool_choice") != "NONE",
        must_call=body.get("tool_choice") == "REQUIRED",
        limit=body.get("max_tokens"),
        stops=tuple(body.get("stop_sequences") or ()),
        wants_json=wanted.get("type") == "json_object",
        value_schema=wanted.get("json_schema", wanted.get("schema")),
        reasons=_reasons(call),
    )


def _reasons(call: Call) -> bool:
    return call.model.base in MODELS_THAT_REASON and (call.body.get("thinking") or {}).get("type") != "disabled"


def _text(one: Json) -> str:
    content = one.get("content")
    if isinstance(content, list) and one["role"] == "tool":
        return " ".join(
            text_of([part]) if part["type"] == "text" else str(part["document"].get("data")) for part in content
        )
    return text_of(content)


def finish(done: Said) -> str:
    """Why it ended, in Cohere's words."""
    return "STOP_SEQUENCE" if done.met and done.finish == "stop" else FINISHES[done.finish]


def message(call: Call, done: Said) -> Json:
    """The whole message; what was thought before a call is its plan."""
    if done.calls:
        return {
            "role": "assistant",
            "tool_plan": done.thought,
            "tool_calls": [_made(call, made) for made in done.calls],
        }
    thought = [{"type": "thinking", "thinking": done.thought}] if done.reasoning else []
    return {"role": "assistant", "content": [*thought, {"type": "text", "text": done.text}]}


def _made(call: Call, made: Made) -> Json:
    function = {"name": made.name, "arguments": made.text}
    return {"id": f"{made.name}_{call.number}_{made.place}", "type": "function", "function": function}


def usage(done: Said) -> Json:
    """The token counts."""
    counts = {"input_tokens": done.prompt_tokens, "output_tokens": done.tokens}
    return {"billed_units": counts, "tokens": counts, "cached_tokens": done.cached_tokens}


def steps(call: Call, done: Said) -> Iterator[Step]:
    """The answer as events."""
    opened: Json = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield event("message-start", {"id": _id(call), "delta": {"message": opened}})
    if done.calls:
        for piece in done.reasoning:
            yield Content(event("tool-plan-delta", {"delta": {"message": {"tool_plan": piece}}}))
        for made in done.calls:
            yield from _call_steps(call, made)
    else:
        blocks = [("thinking", done.reasoning)] if done.reasoning else []
        for index, (kind, pieces) in enumerate([*blocks, ("text", done.pieces)]):
            yield from _content_steps(index, kind, pieces)
    yield event("message-end", {"id": _id(call), "delta": {"finish_reason": finish(done), "usage": usage(done)}})


def _content_steps(index: int, kind: str, pieces: tuple[str, ...]) -> Iterator[Step]:
    yield event("content-start", {"index": index, "delta": {"message": {"content": {"type": kind, kind: ""}}}})
    for piece in pieces:
        yield Content(event("content-delta", {"index": index, "delta": {"message": {"content": {kind: piece}}}}))
    yield event("content-end", {"index": index})


def _call_steps(call: Call, made: Made) -> Iterator[Step]:
    whole = _made(call, made)
    opened = whole | {"function": {"name": made.name, "arguments": ""}}
    yield Content(event("tool-call-start", {"index": made.place, "delta": {"message": {"tool_calls": opened}}}))
    for piece in thirds(made.text):
        delta = {"message": {"tool_calls": {"function": {"arguments": piece}}}}
        yield Content(event("tool-call-delta", {"index": made.place, "delta": delta}))
    yield event("tool-call-end", {"index": made.place})


def event(kind: str, data: Json) -> Event:
    """One event, its name in both places."""
    return named_event(kind, {"type": kind, **data})


def _id(call: Call) -> str:
    return f"sandbox-{call.number}"


def _headers(call: Call) -> Headers:
    return (("x-request-id", f"req_sandbox_{call.number}"),)
