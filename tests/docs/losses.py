"""What each upstream dialect leaves out of a call, found by running the translators: a table of docs/dialects.md."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from orcestator.dialects.canonical import Target
from orcestator.dialects.openai.foreign import to_openai
from orcestator.json_text import Json
from orcestator.upstream.dialect_table import UPSTREAM_DIALECTS
from orcestator.upstream.request_builder import HINTS

MODELS: Mapping[str, Sequence[str]] = {
    "openai": ("gpt-4o",),
    "responses": ("gpt-4o", "gpt-5.5"),
    "anthropic": ("claude-3-5-haiku", "claude-sonnet-4-5", "claude-sonnet-5-5"),
    "gemini": ("gemini-2.0-flash", "gemini-2.5-flash", "gemini-3-flash-preview"),
    "cohere": ("command-a-03-2025",),
    "ollama": ("qwen3:8b",),
    "yandex": ("yandexgpt",),
}
"""Models by which a dialect is judged: an old and a new one where generations differ."""
KEPT, LOST, HINT, UNTOLD, BY_MODEL = "✓", "✗", "○", "·", "◐"

_SAID: Json = {"role": "user", "content": "Hello"}
_PIXEL = "data:image/png;base64,iVBORw0KGgo="
_SCHEMA: Json = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
_STRICT_SCHEMA: Json = {**_SCHEMA, "additionalProperties": False}
_FUNCTION: Json = {"name": "weather", "description": "The weather", "parameters": _SCHEMA}
_TOOL: Json = {"type": "function", "function": _FUNCTION}
_CALL: Json = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}


class Wish(NamedTuple):
    """Something a caller may want. ``fields`` are added to a plain call that has ``before`` already."""

    what: str
    fields: Json
    before: Mapping[str, Any] = MappingProxyType({})


def _user(*parts: Json) -> Json:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "Look"}, *parts]}]}


def _after_call(result: Json) -> Json:
    calls: Json = {"role": "assistant", "content": None, "tool_calls": [_CALL]}
    return {"messages": [_SAID, calls, {"role": "tool", "tool_call_id": "call_1", **result}], "tools": [_TOOL]}


def _image(url: str) -> Json:
    return {"type": "image_url", "image_url": {"url": url}}


_MARKED: Json = {"type": "text", "text": "Look", "cache_control": {"type": "ephemeral"}}
_PDF: Json = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}}
_SOUND: Json = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
_BY_SCHEMA: Json = {
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": _STRICT_SCHEMA, "strict": True},
    }
}
_WITH_TOOLS: Json = {"tools": [_TOOL]}

WISHES = (
    Wish("system and developer messages", {"messages": [{"role": "developer", "content": "Be brief."}, _SAID]}),
    Wish("images, sent along", _user(_image(_PIXEL)), _user()),
    Wish("images, by address", _user(_image("https://example.org/a.png")), _user()),
    Wish("PDF files", _user(_PDF), _user()),
    Wish("audio", _user(_SOUND), _user()),
    Wish("names of speakers", {"messages": [{**_SAID, "name": "ada"}]}),
    Wish("tools", _WITH_TOOLS),
    Wish("tool calls and their results", _after_call({"content": "rain"})),
    Wish("a tool that failed", _after_call({"content": "no", "is_error": True}), _after_call({"content": "no"})),
    Wish("images in tool results", _after_call({"content": [_image(_PIXEL)]}), _after_call({"content": ""})),
    Wish("some tool must be called", {"tool_choice": "required"}, _WITH_TOOLS),
    Wish(
        "one named tool must be called",
        {"tool_choice": {"type": "function", "function": {"name": "weather"}}},
        {"tools": [_TOOL, {"type": "function", "function": {"name": "news"}}]},
    ),
    Wish("no parallel tool calls", {"parallel_tool_calls": False}, _WITH_TOOLS),
    Wish(
        "strict tools",
        {"tools": [{"type": "function", "function": {**_FUNCTION, "parameters": _STRICT_SCHEMA, "strict": True}}]},
        {"tools": [{"type": "function", "function": {**_FUNCTION, "parameters": _STRICT_SCHEMA}}]},
    ),
    Wish("custom tools (free text)", {"tools": [{"type": "custom", "custom": {"name": "patch"}}]}),
    Wish("JSON, any", {"response_format": {"type": "json_object"}}),
    Wish("JSON by a schema", _BY_SCHEMA),
    Wish("JSON by a schema, beside tools", _BY_SCHEMA, _WITH_TOOLS),
    Wish("`reasoning_effort: high`", {"reasoning_effort": "high"}),
    Wish("a reasoning budget", {"reasoning": {"max_tokens": 2048}, "max_tokens": 8192}, {"max_tokens": 8192}),
    Wish("`max_completion_tokens`", {"max_completion_tokens": 100}),
    Wish("`temperature: 0.2`", {"temperature": 0.2}),
    Wish("`temperature: 1.5`", {"temperature": 1.5}),
    Wish("`top_p`", {"top_p": 0.5}),
    Wish("`top_k`", {"top_k": 20}),
    Wish("`seed`", {"seed": 7}),
    Wish("stop sequences", {"stop": ["a", "b", "c", "d"]}),
    Wish("`n: 2`", {"n": 2}),
    Wish("`logprobs`", {"logprobs": True, "top_logprobs": 2}),
    Wish("`frequency_penalty`", {"frequency_penalty": 0.5}),
    Wish("`presence_penalty`", {"presence_penalty": 0.5}),
    Wish("`logit_bias`", {"logit_bias": {"50256": -100}}),
    Wish("`prediction`", {"prediction": {"type": "content", "content": "Hello"}}),
    Wish("`verbosity`", {"verbosity": "low"}),
    Wish("speech as the answer", {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}),
    Wish("`web_search_options`", {"web_search_options": {"search_context_size": "low"}}),
    Wish("marks for the prompt cache", {"messages": [{"role": "user", "content": [_MARKED]}]}, _user()),
    Wish("`prompt_cache_key`", {"prompt_cache_key": "k"}),
    Wish("`user`", {"user": "u1"}),
    Wish("`metadata`", {"metadata": {"team": "a"}}),
)


def loss_table() -> str:
    """The table as Markdown."""
    head = ["What a caller wants", *MODELS, "Said in the header as"]
    rows = [head, ["---", *[":---:"] * len(MODELS), "---"], *(_row(wish) for wish in WISHES)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(wish: Wish) -> list[str]:
    named: dict[str, None] = {}
    marks = []
    for dialect, models in MODELS.items():
        found = [_mark(dialect, model, wish, named) for model in models]
        marks.append(found[0] if len(set(found)) == 1 else BY_MODEL)
    return [wish.what, *marks, ", ".join(f"`{name}`" for name in named)]


def _mark(dialect: str, model: str, wish: Wish, named: dict[str, None]) -> str:
    plain: Json = {"model": model, "messages": [_SAID], **wish.before}
    without, lost_before = _said(dialect, model, plain)
    said, dropped = _said(dialect, model, {**plain, **wish.fields})
    lost = [name for name in dropped if name not in lost_before]
    named.update(dict.fromkeys(lost))
    if not lost:
        return KEPT if said != without else UNTOLD
    return HINT if HINTS.issuperset(lost) else LOST


def _said(dialect: str, model: str, call: Json) -> tuple[Json, tuple[str, ...]]:
    if dialect == "openai":
        return to_openai(call, (), {})
    wire = UPSTREAM_DIALECTS[dialect].request(call, Target(dialect, model, fills={"folder": "f"}))
    return wire.body, wire.dropped
