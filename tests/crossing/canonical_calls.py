"""Canonical calls for property tests: well-formed ones with marks that can be found again, and arbitrary ones."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from orcestator.json_text import Json
from tests.crossing.asked import PIXEL

WORDS = st.sampled_from(("alpha", "beta gamma", "δοκιμή ✓", "x" * 50, "line\nline", '"quoted" \\ back'))
NAMES = st.sampled_from(("get_weather", "lookup-2", "a", "T" * 64))
IDS = ("call_1", "toolu_2x", "c3", "call_" + "9" * 30, "fc-5", "id6")
SOUND, FILE = "UklGRmdhcmJhZ2U=", "JVBERi0xLjQKbWFyaw=="


@dataclass(frozen=True)
class Feature:
    """A field of a call. ``signs`` are texts of which one is in a body that has it, ``names`` those for its loss."""

    fields: Json
    signs: tuple[str, ...]
    names: tuple[str, ...]


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "tool_mark",
            "description": "d",
            "parameters": {"type": "object", "properties": {"arg_mark": {"type": "string"}}},
        },
    }
]
FEATURES: Mapping[str, Feature] = {
    "n": Feature({"n": 3}, ('"candidateCount":3', '"n":3'), ("n",)),
    "logprobs": Feature({"logprobs": True}, ("ogprobs",), ("logprobs",)),
    "seed": Feature({"seed": 770001}, ("770001",), ("seed",)),
    "stop": Feature({"stop": ["STOPMARK"]}, ("STOPMARK",), ("stop",)),
    "top_k": Feature({"top_k": 37}, (":37",), ("top_k",)),
    "temperature": Feature({"temperature": 0.375}, ("0.375",), ("temperature",)),
    "top_p": Feature({"top_p": 0.96875}, ("0.96875",), ("top_p",)),
    "frequency_penalty": Feature({"frequency_penalty": 0.125}, ("0.125",), ("frequency_penalty",)),
    "presence_penalty": Feature({"presence_penalty": 0.625}, ("0.625",), ("presence_penalty",)),
    "user": Feature({"user": "user-mark"}, ("user-mark",), ("user",)),
    "metadata": Feature({"metadata": {"k": "meta-mark"}}, ("meta-mark",), ("metadata",)),
    "logit_bias": Feature({"logit_bias": {"50256": -100}}, ("50256",), ("logit_bias",)),
    "reasoning_effort": Feature(
        {"reasoning_effort": "high"},
        ('"think":', '"thinking":', '"reasoning', '"effort":"high"', '"thinkingConfig":'),
        ("reasoning_effort", "reasoning"),
    ),
    "response_format": Feature(
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": "form",
                    "schema": {
                        "type": "object",
                        "properties": {"form_mark": {"type": "string"}},
                        "required": ["form_mark"],
                        "additionalProperties": False,
                    },
                },
            }
        },
        ("form_mark",),
        ("response_format",),
    ),
    "one_at_a_time": Feature(
        {"tools": TOOLS, "parallel_tool_calls": False},
        ('"parallel_tool_calls":false', '"parallelToolCalls":false', '"disable_parallel_tool_use":true'),
        ("parallel_tool_calls",),
    ),
    "verbosity": Feature({"verbosity": "low"}, ('"verbosity":"low"',), ("verbosity",)),
    "min_p": Feature({"min_p": 0.0625}, ("0.0625",), ("min_p",)),
    "prediction": Feature(
        {"prediction": {"type": "content", "content": "predicted-mark"}}, ("predicted-mark",), ("prediction",)
    ),
    "max_completion_tokens": Feature({"max_completion_tokens": 4321}, ("4321",), ("max_completion_tokens",)),
    "tools": Feature({"tools": TOOLS}, ("arg_mark",), ("tools", "tools.function")),
}
PARTS: Mapping[str, Feature] = {
    "image": Feature(
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}, (PIXEL,), ("messages.image_url",)
    ),
    "audio": Feature(
        {"type": "input_audio", "input_audio": {"data": SOUND, "format": "wav"}}, (SOUND,), ("messages.input_audio",)
    ),
    "file": Feature(
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{FILE}", "filename": "f.pdf"}},
        (FILE,),
        ("messages.file",),
    ),
}


def marked(features: frozenset[str], parts: frozenset[str]) -> Json:
    """A call with these features and, in its last message, these parts."""
    call: Json = {"model": "m"}
    for name in sorted(features):
        call |= FEATURES[name].fields
    content: Any = [{"type": "text", "text": "Look."}, *(PARTS[name].fields for name in sorted(parts))]
    return {**call, "messages": [{"role": "user", "content": content if parts else "Look."}]}


def lost(features: frozenset[str], parts: frozenset[str], body: Any, dropped: tuple[str, ...]) -> list[str]:
    """The features that are neither in the body nor named."""
    text = json.dumps(body, separators=(",", ":"))
    present = {name: FEATURES[name] for name in features} | {name: PARTS[name] for name in parts}
    return [
        name
        for name, feature in present.items()
        if not any(sign in text for sign in feature.signs) and not set(feature.names) & set(dropped)
    ]


@st.composite
def conversations(draw: st.DrawFn, *, rules_first: bool = False) -> list[Json]:
    """Well-formed messages: rules anywhere, users, models that call tools, every call answered."""
    messages: list[Json] = []
    ids = iter(IDS)
    for turn in range(draw(st.integers(1, 4))):
        if draw(st.booleans()) and not (turn and rules_first):
            messages.append({"role": draw(st.sampled_from(("system", "developer"))), "content": draw(WORDS)})
        messages.append({"role": "user", "content": draw(_contents())})
        if draw(st.booleans()):
            messages += draw(_model_turn(ids))
    return [*messages, {"role": "user", "content": draw(WORDS)}] if draw(st.booleans()) else _ended(messages)


def _ended(messages: list[Json]) -> list[Json]:
    """Without a last word of the model's: that is a prefill, which most refuse."""
    if messages[-1]["role"] == "assistant":
        return [*messages, {"role": "user", "content": "Go on."}]
    return messages


@st.composite
def _contents(draw: st.DrawFn) -> Any:
    if draw(st.booleans()):
        return draw(WORDS)
    image = [PARTS["image"].fields] if draw(st.booleans()) else []
    return [{"type": "text", "text": draw(WORDS)}, *image]


@st.composite
def _model_turn(draw: st.DrawFn, ids: Any) -> list[Json]:
    count = draw(st.integers(0, 2))
    calls = [
        {
            "id": call_id,
            "type": "function",
            "function": {"name": draw(NAMES), "arguments": draw(st.sampled_from(("{}", '{"a":1}', "", '{"b":["c"]}')))},
        }
        for call_id, _ in zip(ids, range(count), strict=False)
    ]
    said = draw(WORDS) if not calls or draw(st.booleans()) else None
    turn: Json = {"role": "assistant", "content": said}
    if draw(st.booleans()):
        turn["reasoning_content"] = draw(WORDS)
    if not calls:
        return [turn]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": draw(st.sampled_from(("fine", "", '{"$ref":"#/x"}')))}
        for call in draw(st.permutations(calls))
    ]
    return [{**turn, "tool_calls": calls}, *results]


@st.composite
def feature_sets(draw: st.DrawFn, names: tuple[str, ...] = tuple(sorted(FEATURES))) -> frozenset[str]:
    """Any of the features, many as often as few."""
    size = draw(st.integers(0, min(8, len(names))))
    return frozenset(draw(st.lists(st.sampled_from(names), min_size=size, max_size=size, unique=True)))


@st.composite
def calls(draw: st.DrawFn, *, rules_first: bool = False) -> Json:
    """A well-formed call with any of the features."""
    call: Json = {"model": "m", "messages": draw(conversations(rules_first=rules_first))}
    for name in draw(feature_sets()):
        call |= FEATURES[name].fields
    if "tools" in call:
        choices = (None, "auto", "none", "required", {"type": "function", "function": {"name": "tool_mark"}})
        choice = draw(st.sampled_from(choices))
        call |= {} if choice is None else {"tool_choice": choice}
        call |= draw(st.sampled_from(({}, {"parallel_tool_calls": False})))
    return call


FIELD_NAMES = (
    "model", "messages", "role", "content", "text", "type", "tool_calls", "tool_call_id", "id", "function", "custom",
    "name", "arguments", "input", "tools", "parameters", "tool_choice", "allowed_tools", "response_format", "json_schema",
    "schema", "reasoning", "reasoning_effort", "reasoning_content", "reasoning_details", "extra_content", "google",
    "enabled", "max_tokens", "max_completion_tokens", "temperature", "stop", "image_url", "url", "input_audio", "data",
    "format", "file", "file_data", "top_k", "seed", "n", "logprobs", "metadata", "user", "cache_control", "is_error",
    "modalities", "properties", "items", "anyOf", "$ref", "enum", "const", "signature", "summary", "stream_options",
)  # fmt: skip
FIELD_VALUES = (
    "user", "assistant", "tool", "system", "developer", "text", "function", "custom", "json_schema", "json_object",
    "image_url", "data:image/png;base64,AA==", "data:", "http://x/y.png", "high", "none", "auto", "required", "object",
    "string", "ephemeral", "reasoning.text", "reasoning.encrypted", "anthropic-claude-v1", "google-gemini-v1", "{", "",
    "allowed_tools", "a b", "\ud7ff", "#/$defs/x",
)  # fmt: skip
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(FIELD_VALUES)
)
GARBAGE: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELD_NAMES), inner, max_size=5),
    max_leaves=14,
)
OBJECTS: st.SearchStrategy[Json] = st.dictionaries(st.sampled_from(FIELD_NAMES), GARBAGE, max_size=7)


@st.composite
def garbage_calls(draw: st.DrawFn) -> Json:
    """A call whose fields may be of any type, but whose messages are often something like messages."""
    roles = st.sampled_from(("user", "assistant", "tool", "system"))
    messages = st.lists(GARBAGE | st.builds(lambda one, role: {**one, "role": role}, OBJECTS, roles), max_size=4)
    return {**draw(OBJECTS), "messages": draw(messages | GARBAGE), "model": "m"}
