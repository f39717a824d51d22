"""Yandex's own completion API (https://yandex.cloud/en/docs/ai-studio/text-generation/api-ref/TextGeneration/completion,
checked 2026-11): one JSON a line, the text grows, numbers are strings.

What it refuses is that page's; the wording of a refusal is the gRPC gateway's where people posted one ("invalid
model_uri") and ours elsewhere.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from orcestator.json_text import Json
from orcestator.sandbox.call import Call, call_of, credential, json_body
from orcestator.sandbox.dialects.envelope import BAD_KEY_PREFIX
from orcestator.sandbox.problem import Refused
from orcestator.sandbox.settings import SandboxSettings
from orcestator.sandbox.turn import MODELS_THAT_REASON, Heard, Said, Tool, say
from orcestator.sandbox.wire.http import Request
from orcestator.sandbox.wire.script import JSON_TYPE, Answer, Content, Headers, Step, json_answer, line, streamed

MODEL_URI = re.compile(r"gpt://([^/]+)/(.+?)(?:/(?:latest|rc|deprecated))?", re.DOTALL)
MODEL_VERSION = "07.11.2026"
FIELDS = frozenset(
    {
        *("modelUri", "completionOptions", "messages", "tools", "toolChoice", "parallelToolCalls", "jsonObject"),
        "jsonSchema",
    }
)
OPTION_FIELDS = frozenset({"stream", "temperature", "maxTokens", "reasoningOptions"})
CONTENT_FIELDS = ("text", "toolCallList", "toolResultList")
MOST_TOKENS = 32_768
STATUSES = {"stop": "FINAL", "length": "TRUNCATED_FINAL", "tool_calls": "TOOL_CALLS"}


def invalid(message: str) -> Refused:
    """A 400 INVALID_ARGUMENT."""
    return Refused(400, message)


def read(request: Request, number: int, settings: SandboxSettings) -> Call:
    """The call in a request. Raises ``Refused`` (401 key, 400 model or folder)."""
    scheme = request.headers.get("authorization", "").partition(" ")[0]
    key = credential(request)
    if scheme not in ("Api-Key", "Bearer") or not key or key.startswith(BAD_KEY_PREFIX):
        raise Refused(401, "Unknown api key" if scheme == "Api-Key" else "The token is invalid")
    body = json_body(request.body)
    found = MODEL_URI.fullmatch(str(body.get("modelUri") or ""))
    if found is None:
        raise invalid("invalid model_uri")
    folder = request.headers.get("x-folder-id")
    if folder not in (None, found[1]):
        raise Refused(403, f"Specified folder ID '{folder}' does not match with folder ID of the model '{found[1]}'")
    options = body.get("completionOptions") or {}
    call = call_of(request, number, settings, body, found[2])
    return replace(call, wants_stream=isinstance(options, dict) and options.get("stream") is True)


def answer(call: Call) -> Answer:
    """The whole answer. Raises ``Refused`` (400)."""
    check(call.body)
    done = say(call, hear(call))
    if call.streams:
        return streamed(steps(done), call.settings.tokens_per_second, _headers(call), content_type=JSON_TYPE)
    delay = call.delay(done.tokens)
    return json_answer(result(message(done), STATUSES[done.finish], done), headers=_headers(call), delay_seconds=delay)


def check(body: Json) -> None:
    """Refuse what Yandex refuses. Raises ``Refused`` (400)."""
    for name in body:
        if name not in FIELDS:
            raise invalid(f'unknown field "{name}"')
    _check_options(body.get("completionOptions") or {})
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("empty messages")
    for place, one in enumerate(messages):
        _check_message(one, place)
    _check_pairs(messages)
    if body.get("jsonObject") and body.get("jsonSchema"):
        raise invalid("only one of json_object and json_schema may be set")
    for place, tool in enumerate(body.get("tools") or []):
        if set(tool) != {"function"} or not (tool["function"] or {}).get("name"):
            raise invalid(f"tools[{place}]: function with a name is required")
        if tool["function"].keys() - {"name", "description", "parameters", "strict"}:
            raise invalid(f"tools[{place}].function: unknown field")
    _check_choice(body.get("toolChoice"))


def _check_options(options: Json) -> None:
    for name in options:
        if name not in OPTION_FIELDS:
            raise invalid(f'completion_options: unknown field "{name}"')
    temperature = options.get("temperature", 0.3)
    if not isinstance(temperature, int | float) or not 0 <= temperature <= 1:
        raise invalid("temperature must be in range [0, 1]")
    limit = options.get("maxTokens")
    if limit is not None and (isinstance(limit, bool) or not re.fullmatch(r"\d+", str(limit))):
        raise invalid('invalid value for int64 field "maxTokens"')
    if limit is not None and not 0 < int(limit) <= MOST_TOKENS:
        raise invalid(f"max_tokens must be in range [1, {MOST_TOKENS}]")
    mode = (options.get("reasoningOptions") or {}).get("mode")
    if mode not in (None, "REASONING_MODE_UNSPECIFIED", "DISABLED", "ENABLED_HIDDEN"):
        raise invalid(f'invalid value for enum field "mode": "{mode}"')


def _check_message(one: Any, place: int) -> None:
    path = f"messages[{place}]"
    if not isinstance(one, dict) or one.get("role") not in ("system", "user", "assistant"):
        raise invalid(f"{path}: unknown role")
    held = [name for name in CONTENT_FIELDS if name in one]
    if len(held) != 1 or one.keys() - {"role", *CONTENT_FIELDS}:
        raise invalid(f"{path}: exactly one of text, tool_call_list, tool_result_list must be set")
    if held == ["text"] and (not isinstance(one["text"], str) or not one["text"]):
        raise invalid(f"{path}: empty message text")
    if held == ["toolCallList"] and one["role"] != "assistant":
        raise invalid(f"{path}: tool_call_list is only allowed for role assistant")
    for made in (one.get("toolCallList") or {}).get("toolCalls") or []:
        if not isinstance((made.get("functionCall") or {}).get("arguments", {}), dict):
            raise invalid(f"{path}: arguments must be an object")
    for given in (one.get("toolResultList") or {}).get("toolResults") or []:
        if not isinstance((given.get("functionResult") or {}).get("content"), str):
            raise invalid(f"{path}: content of a function result must be a string")


def _check_pairs(messages: list[Json]) -> None:
    """Results right after their calls, of the same functions."""
    for place, one in enumerate(messages):
        called = _names(messages[place - 1], "toolCallList", "toolCalls", "functionCall") if place else []
        given = _names(one, "toolResultList", "toolResults", "functionResult")
        if ("toolResultList" in one or called) and sorted(called) != sorted(given):
            raise invalid(f"messages[{place}]: tool results must match the tool calls of the previous message")
    if "toolCallList" in messages[-1]:
        raise invalid("tool calls must be followed by tool results")


def _names(one: Json, field: str, items: str, inner: str) -> list[str]:
    return [str((item.get(inner) or {}).get("name")) for item in (one.get(field) or {}).get(items) or []]


def _check_choice(choice: Any) -> None:
    if choice is None:
        return
    if set(choice) not in ({"mode"}, {"functionName"}):
        raise invalid("tool_choice: exactly one of mode, function_name must be set")
    if choice.get("mode") not in (None, "NONE", "AUTO", "REQUIRED"):
        raise invalid(f'invalid value for enum field "mode": "{choice["mode"]}"')


def hear(call: Call) -> Heard:
    """The conversation in a body that has been checked."""
    body = call.body
    options = body.get("completionOptions") or {}
    choice = body.get("toolChoice") or {}
    said, results, rounds = _current_turn(body["messages"])
    name = choice.get("functionName")
    return Heard(
        said=said,
        prompt="\n".join(text for one in body["messages"] for text in _texts(one)),
        results=results,
        rounds=rounds,
        tools=tuple(
            Tool(tool["function"]["name"], tool["function"].get("parameters")) for tool in body.get("tools") or []
        ),
        may_call=choice.get("mode") != "NONE",
        must_call=choice.get("mode") == "REQUIRED" or name is not None,
        only=(name,) if name else (),
        parallel=body.get("parallelToolCalls") is not False,
        limit=int(options["maxTokens"]) if options.get("maxTokens") is not None else None,
        wants_json=bool(body.get("jsonObject") or body.get("jsonSchema")),
        value_schema=(body.get("jsonSchema") or {}).get("schema"),
        reasons=_reasons(call, options),
    )


def _reasons(call: Call, options: Json) -> bool:
    asked = (options.get("reasoningOptions") or {}).get("mode") == "ENABLED_HIDDEN"
    return asked and call.model.base in MODELS_THAT_REASON


def _texts(one: Json) -> list[str]:
    if "text" in one:
        return [one["text"]]
    return [given["functionResult"]["content"] for given in (one.get("toolResultList") or {}).get("toolResults") or []]


def _current_turn(messages: list[Json]) -> tuple[str, tuple[str, ...], int]:
    results: list[str] = []
    rounds = 0
    for one in reversed(messages):
        rounds += "toolCallList" in one
        if "toolResultList" in one:
            results[:0] = _texts(one)
        elif one["role"] == "user":
            return one["text"], tuple(results), rounds
    return "", tuple(results), rounds


def message(done: Said) -> Json:
    """The assistant's message: text or calls, never both."""
    if not done.calls:
        return {"role": "assistant", "text": done.text}
    calls = [{"functionCall": {"name": made.name, "arguments": made.arguments}} for made in done.calls]
    return {"role": "assistant", "toolCallList": {"toolCalls": calls}}


def result(said: Json, status: str, done: Said, spoken: int | None = None) -> Json:
    """One answer or, of a stream, one line. ``spoken`` are the tokens so far."""
    tokens = done.tokens if spoken is None else spoken
    usage = {
        "inputTextTokens": str(done.prompt_tokens),
        "completionTokens": str(tokens),
        "totalTokens": str(done.prompt_tokens + tokens),
        "completionTokensDetails": {"reasoningTokens": str(len(done.reasoning))},
    }
    alternative = {"message": said, "status": f"ALTERNATIVE_STATUS_{status}"}
    return {"result": {"alternatives": [alternative], "usage": usage, "modelVersion": MODEL_VERSION}}


def steps(done: Said) -> Iterator[Step]:
    """The answer as lines, each with all of the text so far."""
    text = ""
    for spoken, piece in enumerate(done.pieces, 1):
        text += piece
        said = {"role": "assistant", "text": text}
        yield Content(line(result(said, "PARTIAL", done, len(done.reasoning) + spoken)))
    yield line(result(message(done), STATUSES[done.finish], done))


def _headers(call: Call) -> Headers:
    return (("x-request-id", f"req-sandbox-{call.number}"),)
