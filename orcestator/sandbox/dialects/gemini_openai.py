"""Gemini's OpenAI-compatible endpoint (https://ai.google.dev/gemini-api/docs/openai, checked 2026-11).

It answers as the OpenAI route does, with Google's errors in an array, Google's thought signatures in
``tool_calls[].extra_content.google.thought_signature``, and no patience with unknown fields.
"""

from dataclasses import replace

from orcestator.json_text import Json
from orcestator.sandbox import models
from orcestator.sandbox.call import Call, read_call
from orcestator.sandbox.dialects import chat, gemini
from orcestator.sandbox.problem import Refused
from orcestator.sandbox.rules import gemini_rules
from orcestator.sandbox.settings import SandboxSettings
from orcestator.sandbox.wire.http import Request
from orcestator.sandbox.wire.script import Answer, json_answer

FIELDS = frozenset(
    {
        *("model", "messages", "stream", "stream_options", "temperature", "top_p", "max_tokens", "n", "stop", "tools"),
        *("max_completion_tokens", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort", "seed"),
        *("extra_body", "modalities", "audio", "user", "presence_penalty", "frequency_penalty", "service_tier"),
        *("input", "dimensions", "encoding_format"),
    }
)


def read(request: Request, number: int, settings: SandboxSettings) -> Call:
    """The call in a request. Raises ``Refused`` (400, 403)."""
    gemini.check_key(request)
    call = read_call(request, number, settings)
    for name in call.body:
        if name not in FIELDS:
            raise gemini_rules.invalid(f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.')
    return replace(call, model=gemini.without_generation(call.model))


def answer(call: Call) -> Answer:
    """The whole answer. Raises ``Refused`` (400)."""
    messages = call.body.get("messages")
    if isinstance(messages, list) and all(isinstance(one, dict) for one in messages):
        _check_signatures(call, messages)
    return chat.answer(call)


def listed(request: Request) -> Answer:
    """``GET /v1beta/openai/models``. Raises ``Refused`` without a good key."""
    gemini.check_key(request)
    data = [{"id": f"models/{name}", "object": "model", "owned_by": "google"} for name in models.CHAT_MODELS]
    return json_answer({"object": "list", "data": data})


def _check_signatures(call: Call, messages: list[Json]) -> None:
    """The rules of ``generateContent``, for the place where signatures are here."""
    contents: list[Json] = [
        {"role": "model", "parts": [_part(made) for made in one["tool_calls"]]}
        if one.get("role") == "assistant" and one.get("tool_calls")
        else {"role": "user", "parts": [{"functionResponse": {}} if one.get("role") == "tool" else {"text": ""}]}
        for one in messages
        if one.get("role") not in ("system", "developer")
    ]
    gemini_rules.check_signatures(call, contents)


def _part(made: Json) -> Json:
    function = made.get("function") or {}
    if not isinstance(function.get("name"), str):
        raise Refused(400, "Function call is missing a name.")
    part: Json = {"functionCall": {"name": function["name"]}}
    sealed = ((made.get("extra_content") or {}).get("google") or {}).get("thought_signature")
    return part | ({"thoughtSignature": sealed} if sealed is not None else {})
