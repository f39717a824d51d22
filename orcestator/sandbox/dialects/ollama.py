"""Ollama's own API (https://docs.ollama.com/api/chat, /tags, /show, /version, checked 2026-11): one JSON a line.

Unknown fields are ignored, as Go does it; a field of a wrong type is refused in the words of Go's decoder.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from orcestator.json_text import Json
from orcestator.sandbox.call import Call, call_of, json_body
from orcestator.sandbox.models import CHAT_MODELS, CONTEXT_TOKENS
from orcestator.sandbox.problem import Refused
from orcestator.sandbox.settings import SandboxSettings
from orcestator.sandbox.turn import MODELS_THAT_REASON, Heard, Made, Said, Tool, current_turn, say
from orcestator.sandbox.wire.http import Request
from orcestator.sandbox.wire.script import Answer, Content, Headers, Step, json_answer, line, streamed

VERSION = "0.14.1"
LINES_TYPE = "application/x-ndjson"
CREATED_AT = "2026-01-01T00:00:00Z"
KINDS = {str: "string", list: "array", dict: "object", bool: "bool", int: "number", float: "number"}
MESSAGE_FIELDS: dict[str, tuple[type, str]] = {
    "role": (str, "string"),
    "content": (str, "string"),
    "thinking": (str, "string"),
    "images": (list, "[]api.ImageData"),
    "tool_calls": (list, "[]api.ToolCall"),
    "tool_name": (str, "string"),
    "tool_call_id": (str, "string"),
}


def read(request: Request, number: int, settings: SandboxSettings) -> Call:
    """The call in a request; it streams unless told otherwise. Raises ``Refused`` (400)."""
    body = json_body(request.body)
    name = body.get("model") or body.get("name")
    if not isinstance(name, str) or not name:
        raise Refused(400, "model is required")
    call = call_of(request, number, settings, body, name.removesuffix(":latest"))
    return replace(call, wants_stream=body.get("stream") is not False)


def answer(call: Call) -> Answer:
    """The whole answer. Raises ``Refused`` (400)."""
    check(call)
    done = say(call, hear(call))
    if call.streams:
        return streamed(steps(call, done), call.settings.tokens_per_second, _headers(call), content_type=LINES_TYPE)
    message: Json = {"role": "assistant", "content": done.text}
    if done.reasoning:
        message["thinking"] = done.thought
    if done.calls:
        message["tool_calls"] = [_made(call, made) for made in done.calls]
    return json_answer(
        _line(call, message) | ending(done), headers=_headers(call), delay_seconds=call.delay(done.tokens)
    )


def tags(request: Request) -> Answer:
    """``GET /api/tags``."""
    return json_answer({"models": [_tag(name) for name in CHAT_MODELS]})


def version(request: Request) -> Answer:
    """``GET /api/version``."""
    return json_answer({"version": VERSION})


def show(call: Call) -> Answer:
    """``POST /api/show``."""
    capabilities = ["completion", "tools", "vision", *(["thinking"] if call.model.base in MODELS_THAT_REASON else [])]
    facts = {
        "general.architecture": "sandbox",
        "general.basename": call.model.text,
        "sandbox.context_length": CONTEXT_TOKENS,
    }
    body = {"template": "{{ .Prompt }}", "details": _details(), "model_info": facts, "capabilities": capabilities}
    return json_answer(body | {"modelfile": "", "parameters": "", "modified_at": CREATED_AT})


def check(call: Call) -> None:
    """Refuse what Ollama refuses. Raises ``Refused`` (400)."""
    body = call.body
    messages = body.get("messages") or []
    if not isinstance(messages, list):
        raise _go_type(messages, "messages", "[]api.Message")
    for one in messages:
        _check_message(one)
    if body.get("format") not in (None, "", "json") and not isinstance(body.get("format"), dict):
        raise Refused(400, f'invalid format: "{body["format"]}"; expected "json" or a valid JSON Schema object')
    if body.get("options") is not None and not isinstance(body["options"], dict):
        raise _go_type(body["options"], "options", "map[string]interface {}")
    think = body.get("think")
    if think not in (None, True, False, "low", "medium", "high", "max"):
        raise Refused(400, f'invalid think value: "{think}" (must be "high", "medium", "low", "max", true, or false)')
    if think and call.model.base not in MODELS_THAT_REASON:
        raise Refused(400, f'"{call.model.text}" does not support thinking')


def _check_message(one: Any) -> None:
    if not isinstance(one, dict):
        raise _go_type(one, "messages", "api.Message")
    for name, (kind, go) in MESSAGE_FIELDS.items():
        if one.get(name) is not None and not isinstance(one[name], kind):
            raise _go_type(one[name], f"messages.{name}", go)
    if one.get("role") not in ("system", "user", "assistant", "tool"):
        raise Refused(400, f"invalid role {one.get('role')!r}: must be one of 'system', 'user', 'assistant' or 'tool'")
    for image in one.get("images") or []:
        if not isinstance(image, str) or image.startswith("data:"):
            raise Refused(400, "illegal base64 data at input byte 4")
    for made in one.get("tool_calls") or []:
        arguments = (made.get("function") or {}).get("arguments")
        if not isinstance(arguments, dict):
            raise _go_type(arguments, "messages.tool_calls.function.arguments", "api.ToolCallFunctionArguments")


def _go_type(value: Any, field: str, go: str) -> Refused:
    kind = KINDS.get(type(value), "null")
    return Refused(400, f"json: cannot unmarshal {kind} into Go struct field ChatRequest.{field} of type {go}")


def hear(call: Call) -> Heard:
    """The conversation in a body that has been checked."""
    body = call.body
    options = body.get("options") or {}
    messages: list[Json] = body.get("messages") or []
    said, results, rounds = current_turn(messages, _text)
    stops = options.get("stop") or []
    limit = options.get("num_predict")
    return Heard(
        said=said,
        prompt="\n".join(_text(one) for one in messages),
        results=results,
        rounds=rounds,
        tools=tuple(
            Tool(tool["function"]["name"], tool["function"].get("parameters")) for tool in body.get("tools") or []
        ),
        limit=limit if isinstance(limit, int) and limit > 0 else None,
        stops=(stops,) if isinstance(stops, str) else tuple(stops),
        wants_json=bool(body.get("format")),
        value_schema=body["format"] if isinstance(body.get("format"), dict) else None,
        reasons=call.model.base in MODELS_THAT_REASON and body.get("think") is not False,
    )


def _text(one: Json) -> str:
    return " ".join([str(one.get("content") or ""), *("[image]" for _ in one.get("images") or [])]).strip()


def _line(call: Call, message: Json) -> Json:
    return {"model": call.model.text, "created_at": CREATED_AT, "message": message, "done": False}


def ending(done: Said) -> Json:
    """What the last line has; a stop for tools is a stop like any other."""
    return {
        "done": True,
        "done_reason": "length" if done.finish == "length" else "stop",
        "total_duration": 1_000_000,
        "load_duration": 1_000,
        "prompt_eval_count": done.prompt_tokens,
        "prompt_eval_duration": 1_000,
        "eval_count": done.tokens,
        "eval_duration": 1_000_000,
    }


def _made(call: Call, made: Made) -> Json:
    function = {"index": made.place, "name": made.name, "arguments": made.arguments}
    return {"id": f"call_{call.number}_{made.place}", "function": function}


def steps(call: Call, done: Said) -> Iterator[Step]:
    """The answer as lines."""
    for piece in done.reasoning:
        yield Content(line(_line(call, {"role": "assistant", "content": "", "thinking": piece})))
    for piece in done.pieces:
        yield Content(line(_line(call, {"role": "assistant", "content": piece})))
    for made in done.calls:
        yield Content(line(_line(call, {"role": "assistant", "content": "", "tool_calls": [_made(call, made)]})))
    yield line(_line(call, {"role": "assistant", "content": ""}) | ending(done))


def _tag(name: str) -> Json:
    return {
        "name": name,
        "model": name,
        "modified_at": CREATED_AT,
        "size": 1,
        "digest": "0" * 64,
        "details": _details(),
    }


def _details() -> Json:
    return {
        "parent_model": "",
        "format": "gguf",
        "family": "sandbox",
        "families": ["sandbox"],
        "parameter_size": "1B",
        "quantization_level": "F16",
    }


def _headers(call: Call) -> Headers:
    return (("x-request-id", f"req_sandbox_{call.number}"),)
