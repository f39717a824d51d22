"""``generateContent`` and its relatives (https://ai.google.dev/api/generate-content, checked 2026-11).

A model may be asked for as ``gemini-3-agent`` or ``gemini-2.5-agent``: the generation decides about thought signatures.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import orjson

from orcestator.json_text import Json
from orcestator.sandbox import models, seals
from orcestator.sandbox.call import Call, call_of, credential, json_body
from orcestator.sandbox.dialects.envelope import BAD_KEY_PREFIX
from orcestator.sandbox.model_name import ModelName
from orcestator.sandbox.problem import Refused
from orcestator.sandbox.rules import gemini_rules
from orcestator.sandbox.rules.gemini_proto import parsed
from orcestator.sandbox.settings import SandboxSettings
from orcestator.sandbox.turn import MODELS_THAT_REASON, Heard, Made, Said, Tool, say
from orcestator.sandbox.wire.http import Request
from orcestator.sandbox.wire.script import (
    JSON_TYPE,
    STREAM_TYPE,
    Answer,
    Content,
    Event,
    Headers,
    Step,
    event,
    json_answer,
    streamed,
)

MODEL_PATH = "/v1beta/models/"
METHODS = ("generateContent", "streamGenerateContent", "countTokens")
FINISH_REASONS = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP"}
GENERATION = re.compile(r"^(?:models/)?(?:gemini-\d+(?:\.\d+)?-)?")


def model_and_action(path: str) -> tuple[str, str]:
    """The model of a path and what is asked of it; no action when the path names none."""
    rest = path.removeprefix(MODEL_PATH)
    name, colon, action = rest.rpartition(":")
    return (name, action) if colon and action in METHODS else (rest, "")


def read(request: Request, number: int, settings: SandboxSettings) -> Call:
    """The call in a request, its body in camelCase. Raises ``Refused`` (400 body or key, 403 no key)."""
    check_key(request)
    name, action = model_and_action(request.path)
    body = parsed(json_body(request.body), "CountRequest" if action == "countTokens" else "Request")
    call = call_of(request, number, settings, body, name)
    return replace(call, model=without_generation(call.model), wants_stream=action == "streamGenerateContent")


def check_key(request: Request) -> None:
    """Raises ``Refused`` for a request without a key, or with a wrong one."""
    key = credential(request)
    if not key:
        raise gemini_rules.no_key()
    if key.startswith(BAD_KEY_PREFIX):
        raise gemini_rules.bad_key()


def without_generation(model: ModelName) -> ModelName:
    """The model that stands behind a name of some generation."""
    return replace(model, base=GENERATION.sub("", model.base))


def is_sse(query: str) -> bool:
    """Whether a stream comes as events; otherwise it is one JSON array."""
    return parse_qs(query).get("alt") == ["sse"]


def answer(call: Call) -> Answer:
    """The whole answer. Raises ``Refused`` (400)."""
    gemini_rules.check(call)
    done = say(call, hear(call))
    if not call.streams:
        return json_answer(whole_body(call, done), headers=headers(call), delay_seconds=call.delay(done.tokens))
    pace = call.settings.tokens_per_second
    if is_sse(call.query):
        return streamed(steps(call, done), pace, headers(call), content_type=STREAM_TYPE)
    return streamed(as_array(steps(call, done)), pace, headers(call), content_type=JSON_TYPE)


def count_tokens(call: Call) -> Answer:
    """How many tokens a request has. Raises ``Refused`` (400)."""
    inner = call.body.get("generateContentRequest") or {"contents": call.body.get("contents")}
    asked = replace(call, body=inner)
    gemini_rules.check(asked)
    tokens = say(asked, hear(asked)).prompt_tokens
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    return json_answer({"totalTokens": tokens, "promptTokensDetails": details}, headers=headers(call))


def listed(request: Request) -> Answer:
    """``GET /v1beta/models``. Raises ``Refused`` without a good key."""
    check_key(request)
    return json_answer({"models": [_card(name) for name in models.CHAT_MODELS]})


def card(request: Request) -> Answer:
    """``GET /v1beta/models/{model}``. Raises ``Refused`` (404)."""
    check_key(request)
    name = request.path.removeprefix(MODEL_PATH)
    base = GENERATION.sub("", name.partition("?")[0])
    if base not in models.CHAT_MODELS and not base.startswith("fault:"):
        raise Refused(
            404,
            f"models/{name} is not found for API version v1beta, or is not supported for generateContent. Call "
            "ListModels to see the list of available models and their supported methods.",
        )
    return json_answer(_card(name))


def _card(name: str) -> Json:
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": f"Sandbox {name}",
        "description": "A scripted model.",
        "inputTokenLimit": models.CONTEXT_TOKENS,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "temperature": 1,
        "maxTemperature": 2,
        "topP": 0.95,
        "topK": 64,
        "thinking": name in MODELS_THAT_REASON,
    }


def hear(call: Call) -> Heard:
    """The conversation in a body that has been checked."""
    body = call.body
    contents: list[Json] = body["contents"]
    config = body.get("generationConfig") or {}
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    mode = str(calling.get("mode", "AUTO")).upper()
    said, results, rounds = _current_turn(contents)
    system = [body["systemInstruction"]] if body.get("systemInstruction") else []
    schema = config.get("responseJsonSchema", config.get("responseSchema"))
    return Heard(
        said=said,
        prompt="\n".join(_text(content) for content in [*system, *contents]),
        results=results,
        rounds=rounds,
        tools=_tools(body),
        may_call=mode != "NONE",
        must_call=mode == "ANY",
        only=tuple(calling.get("allowedFunctionNames") or ()),
        limit=int(config["maxOutputTokens"]) if "maxOutputTokens" in config else None,
        stops=tuple(config.get("stopSequences") or ()),
        wants_json=config.get("responseMimeType") == "application/json",
        value_schema=_lowered(schema),
        reasons=_reasons(call, config.get("thinkingConfig") or {}),
    )


def _reasons(call: Call, thinking: Json) -> bool:
    return int(thinking.get("thinkingBudget", -1)) != 0 and gemini_rules.signs(call)


def _tools(body: Json) -> tuple[Tool, ...]:
    declared = [one for tool in body.get("tools") or [] for one in tool.get("functionDeclarations") or []]
    return tuple(
        Tool(one["name"], one.get("parametersJsonSchema") or _lowered(one.get("parameters"))) for one in declared
    )


def _lowered(schema: Any) -> Any:
    """Google's schema as JSON Schema: its types are in capitals."""
    if isinstance(schema, list):
        return [_lowered(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    lowered = {name: _lowered(value) for name, value in schema.items()}
    if isinstance(schema.get("type"), str):
        lowered["type"] = schema["type"].lower()
    return lowered


def _current_turn(contents: list[Json]) -> tuple[str, tuple[str, ...], int]:
    results: list[str] = []
    rounds = 0
    for content in reversed(contents):
        responses = gemini_rules.parts_of(content, "functionResponse")
        results[:0] = [_response_text(part["functionResponse"]) for part in responses]
        rounds += bool(gemini_rules.parts_of(content, "functionCall"))
        if content.get("role") != "model" and not responses:
            return _text(content), tuple(results), rounds
    return "", tuple(results), rounds


def _response_text(response: Json) -> str:
    value = response.get("response") or {}
    only = next(iter(value.values())) if len(value) == 1 else value
    return only if isinstance(only, str) else orjson.dumps(only).decode()


def _text(content: Json) -> str:
    return " ".join(_part_text(part) for part in content.get("parts") or [] if not part.get("thought"))


def _part_text(part: Json) -> str:
    if "text" in part:
        return str(part["text"])
    if "functionResponse" in part:
        return _response_text(part["functionResponse"])
    return "[inline_data]" if "inlineData" in part else "[file_data]" if "fileData" in part else ""


def whole_body(call: Call, done: Said) -> Json:
    """The answer as one body."""
    thoughts = [{"text": done.thought, "thought": True}] if done.reasoning and _shows_thoughts(call) else []
    text = [_signed(call, {"text": done.text}, done)] if done.pieces else []
    calls = [_call_part(call, made) for made in done.calls]
    count = int((call.body.get("generationConfig") or {}).get("candidateCount") or 1)
    candidate = {
        "content": {"parts": [*thoughts, *text, *calls], "role": "model"},
        "finishReason": FINISH_REASONS[done.finish],
    }
    candidates = [candidate | {"index": index} for index in range(count)]
    return {
        "candidates": candidates,
        **frame(call),
        "usageMetadata": usage(done, done.spoken_tokens, len(done.reasoning)),
    }


def _shows_thoughts(call: Call) -> bool:
    thinking = (call.body.get("generationConfig") or {}).get("thinkingConfig") or {}
    return bool(thinking.get("includeThoughts"))


def _signed(call: Call, part: Json, done: Said) -> Json:
    """The part with a signature, where the model gives one."""
    if not gemini_rules.signs(call) or not done.reasoning:
        return part
    return part | {"thoughtSignature": seals.seal("gemini", gemini_rules.sealed_text(part), call.number)}


def _call_part(call: Call, made: Made) -> Json:
    """One call; the first of several has the signature."""
    function: Json = {"name": made.name, "args": made.arguments}
    if not gemini_rules.signs(call):
        return {"functionCall": function}
    part: Json = {"functionCall": {"id": f"call_{call.number}_{made.place}", **function}}
    if made.place:
        return part
    return part | {"thoughtSignature": seals.seal("gemini", gemini_rules.sealed_text(part), call.number)}


def frame(call: Call) -> Json:
    """What a body and each chunk share."""
    return {"modelVersion": call.model.text, "responseId": f"sandbox-{call.number}"}


def usage(done: Said, spoken: int, thought: int) -> Json:
    """The token counts so far: cached ones are part of the prompt, thoughts are beside the candidates."""
    counts: Json = {
        "promptTokenCount": done.prompt_tokens,
        "candidatesTokenCount": spoken,
        "totalTokenCount": done.prompt_tokens + spoken + thought,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": done.prompt_tokens}],
    }
    if done.cached_tokens:
        counts["cachedContentTokenCount"] = done.cached_tokens
    return counts | ({"thoughtsTokenCount": thought} if thought else {})


def steps(call: Call, done: Said) -> Iterator[Step]:
    """The answer as events; the last one has the reason why it ended."""
    shown = done.reasoning if _shows_thoughts(call) else ()
    thought = 0 if shown else len(done.reasoning)
    for piece in shown:
        thought += 1
        yield _chunk(call, [{"text": piece, "thought": True}], usage(done, 0, thought))
    for spoken, piece in enumerate(done.pieces, 1):
        yield _chunk(call, [{"text": piece}], usage(done, spoken, thought))
    for place, made in enumerate(done.calls, 1):
        yield _chunk(call, [_call_part(call, made)], usage(done, 8 * place, thought))
    last = [{"text": ""} if done.calls else _signed(call, {"text": ""}, done)]
    yield event(chunk(call, last, usage(done, done.spoken_tokens, thought), FINISH_REASONS[done.finish]))


def chunk(call: Call, parts: list[Json], counts: Json, finish: str | None = None) -> Json:
    """One chunk of a stream."""
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "usageMetadata": counts, **frame(call)}


def _chunk(call: Call, parts: list[Json], counts: Json) -> Content:
    return Content(event(chunk(call, parts, counts)))


def as_array(events: Iterator[Step]) -> Iterator[Step]:
    """The same chunks as the elements of one JSON array; whatever is no event stays as it is."""
    opened = False
    for step in events:
        if not isinstance(step, Event):
            yield step
            continue
        data = step.removeprefix(b"data: ").rstrip()
        yield type(step)((b",\r\n" if opened else b"[") + data)
        opened = True
    yield b"]" if opened else b"[]"


def headers(call: Call) -> Headers:
    """The headers of every answer."""
    return (("x-goog-request-id", f"sandbox-{call.number}"),)
