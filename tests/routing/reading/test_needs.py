"""What a request needs, and what a model is known to lack."""

from typing import Any

import pytest

from orcestator.json_text import Json
from orcestator.routing.reading.needs import Needs, known_lacks, needs_of

TOOL = {"type": "function", "function": {"name": "f"}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 4000}}


def chat(*parts: Json, **more: Any) -> Json:
    """A call whose user message has these parts."""
    return {"messages": [{"role": "user", "content": list(parts) or "hello"}], **more}


@pytest.mark.parametrize(
    ("call", "facts"),
    [
        (chat(tools=[TOOL]), {"supported_parameters": ["response_format"]}),
        (chat(response_format={"type": "json_schema"}), {"supported_parameters": ["tools"]}),
        (chat(IMAGE), {"input_modalities": ["text"]}),
        (chat({"type": "input_audio", "input_audio": {}}), {"input_modalities": ["text", "image"]}),
        (chat({"type": "file", "file": {}}), {"input_modalities": ["text", "image"]}),
    ],
    ids=["tools", "schema", "image", "audio", "file"],
)
def test_what_a_call_needs_is_what_a_model_may_be_known_to_lack(call: Json, facts: Json) -> None:
    """Both speak of it in the same words."""
    needs = needs_of(call, 6000)
    assert known_lacks(facts) & (needs.parameters | needs.modalities)


def test_what_is_not_known_counts_as_there() -> None:
    """Facts are incomplete."""
    assert known_lacks({}) == frozenset()
    assert known_lacks({"supported_parameters": [], "input_modalities": []}) == frozenset()
    assert known_lacks({"supported_parameters": ["tools", "structured_outputs"]}) == frozenset()
    assert known_lacks({"input_modalities": ["text", "image", "audio", "file"]}) == frozenset()


def test_an_inlined_image_is_no_text() -> None:
    """Its bytes say nothing about its tokens."""
    assert needs_of(chat(IMAGE), 4200).tokens < 50


def test_a_plain_call_needs_nothing_special() -> None:
    """Text, a little of it, and json_object, which every model can be asked for."""
    call = chat(tools=[], response_format={"type": "json_object"})
    assert needs_of(call, 400) == Needs(frozenset(), frozenset(), 100)


@pytest.mark.parametrize("content", [None, "x", 7, [None, 3, {"type": 5}, {"type": ["text"]}]])
def test_content_of_any_shape_is_looked_at(content: Any) -> None:
    """What is wrong with it is for the upstream to say."""
    assert not needs_of({"messages": [{"role": "user", "content": content}]}, 10).modalities
