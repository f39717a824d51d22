"""A canonical call written in a dialect and read again by the caller's side of the same dialect is the same call."""

import copy
import itertools
import json
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.dialects.anthropic.caller import CALLER as ANTHROPIC
from orcestator.dialects.canonical import CallerDialect, Target, parts_of, text_of
from orcestator.dialects.gemini.caller import CALLER as GEMINI
from orcestator.dialects.ollama.caller import CALLER as OLLAMA
from orcestator.dialects.responses.caller import CALLER as RESPONSES
from orcestator.json_text import Json
from orcestator.upstream.dialect_table import UPSTREAM_DIALECTS
from tests.crossing.canonical_calls import FEATURES, calls, lost

CALLERS = (ANTHROPIC, GEMINI, OLLAMA, RESPONSES)

OURS = {"responses": {"metadata"}}
"""What a caller asks of this gateway and not of the model."""


class Told(NamedTuple):
    """What a conversation says, however it is cut into messages."""

    rules: str
    turns: list[tuple[str, str]]
    calls: list[tuple[str, str, Json]]
    results: dict[str, str]
    images: list[str]


def told_in(call: Json) -> Told:
    """The conversation of a call."""
    messages = call["messages"]
    spoken = [message for message in messages if message["role"] in ("user", "assistant")]
    made = [
        (made["id"], made["function"]["name"], json.loads(made["function"]["arguments"] or "{}"))
        for message in messages
        for made in message.get("tool_calls") or []
    ]
    texts = [(message["role"], text_of(message.get("content"))) for message in spoken]
    turns = [
        (role, "".join("".join(text for _, text in group).split()))
        for role, group in itertools.groupby(texts, lambda one: one[0])
    ]
    rules = "".join(text_of(one["content"]) for one in messages if one["role"] in ("system", "developer"))
    return Told(
        rules="".join(rules.split()),
        turns=[turn for turn in turns if turn[1]],
        calls=made,
        results={one["tool_call_id"]: text_of(one["content"]) for one in messages if one["role"] == "tool"},
        images=[
            part["image_url"]["url"]
            for message in spoken
            for part in parts_of(message.get("content"))
            if part["type"] == "image_url"
        ],
    )


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.name)
@settings(max_examples=40, deadline=None)
@given(call=calls(rules_first=True), streamed=st.booleans())
def test_what_is_written_is_read_again(caller: CallerDialect, call: Json, streamed: bool) -> None:
    """The conversation whole, and every field of the call, or its name among what was dropped on either way."""
    wire = UPSTREAM_DIALECTS[caller.name].request(call, Target("prov", "m", streamed))
    body = {**wire.body, "model": "m", "stream": streamed}
    before = copy.deepcopy(body)
    read = caller.read(body)
    dropped = (*wire.dropped, *read.dropped)
    assert body == before
    assert read.call["model"] == "m"
    assert bool(read.call.get("stream")) == streamed
    assert told_in(read.call) == told_in(call)
    features = set(name for name, feature in FEATURES.items() if feature.fields.keys() <= call.keys())
    if call.get("tool_choice") == "none":
        # Tools that must not be called need not be sent, nor how many of them may be called at once.
        features -= {"one_at_a_time", "tools"}
    assert lost(frozenset(features - OURS.get(caller.name, set())), frozenset(), read.call, dropped) == []
    if call.get("tool_choice") not in ("auto", None, read.call.get("tool_choice")):
        # Where there is no word for "none", no tools are sent.
        assert "tool_choice" in dropped or (call["tool_choice"] == "none" and "tools" not in read.call)
