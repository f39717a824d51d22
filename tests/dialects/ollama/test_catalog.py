"""Ollama's lists and embeddings: what its clients look for in them."""

import json
from typing import Any

import pytest
from hypothesis import given, settings

from orcestator.dialects.ollama.catalog import (
    VERSION,
    capabilities,
    embed_call,
    embed_reply,
    embeddings_call,
    embeddings_reply,
    running,
    show,
    tags,
)
from orcestator.errors import InvalidRequest, UpstreamBroken
from orcestator.json_text import Json
from tests.dialects.ollama.ollama_garbage import BODIES, GARBAGE

FACTS = {
    "context_length": 131072,
    "max_output_tokens": 8192,
    "supported_parameters": ("tools", "reasoning_effort"),
    "input_modalities": ("text", "image"),
}
CARDS = [("gpt-5", "openai", FACTS), ("local", "vllm", {})]
VECTORS = {"data": [{"embedding": [0.1, 0.2]}, {"embedding": [0.3, 0.4]}], "usage": {"prompt_tokens": 4}}


def test_the_version_is_new_enough() -> None:
    """VS Code refuses those before 0.6.4."""
    assert tuple(map(int, VERSION.split("."))) >= (0, 6, 4)


def test_tags() -> None:
    """Both keys of the name, a digest long enough to be cut, and what is known of the model."""
    first, second = tags(CARDS)["models"]
    assert (first["name"], first["model"]) == ("gpt-5", "gpt-5")
    assert first["context_length"] == first["details"]["context_length"] == 131072
    assert first["max_output_tokens"] == 8192
    assert first["remote_host"] == first["details"]["family"] == "openai"
    assert len(first["digest"]) == 64
    assert first["digest"] != second["digest"]
    assert "context_length" not in second


def test_show() -> None:
    """VS Code finds the context under the name of the architecture."""
    made = show("gpt-5", FACTS, "openai")
    info = made["model_info"]
    assert info[f"{info['general.architecture']}.context_length"] == 131072
    assert info["general.basename"] == "gpt-5"
    assert made["capabilities"] == ["completion", "tools", "thinking", "vision"]


def test_an_unknown_model_is_shown_without_inventions() -> None:
    """No context of ours, but the array that VS Code needs."""
    made = show("local", {})
    assert set(made["model_info"]) == {"general.architecture", "general.basename"}
    assert made["capabilities"] == ["completion", "tools"]


@pytest.mark.parametrize(
    ("facts", "able"),
    [
        ({"supported_parameters": ("temperature",)}, ["completion"]),
        ({"supported_parameters": ("reasoning",), "input_modalities": ("audio",)}, ["completion", "thinking", "audio"]),
    ],
)
def test_capabilities(facts: Json, able: list[str]) -> None:
    """In Ollama's words."""
    assert capabilities(facts) == able


def test_running() -> None:
    """Every model is, for none has to be loaded."""
    assert [(model["model"], model["context_length"]) for model in running(CARDS)["models"]] == [
        ("gpt-5", 131072),
        ("local", 0),
    ]


@pytest.mark.parametrize("entries", ["a text", ["one", "two"]])
def test_an_embed_call(entries: Any) -> None:
    """Input as it came; what the canonical call cannot hold is named."""
    read = embed_call(
        {"model": "e", "input": entries, "dimensions": 2, "truncate": True, "options": {}, "keep_alive": "5m"}
    )
    assert read.call == {"model": "e", "input": entries, "dimensions": 2}
    assert read.dropped == ("truncate",)


def test_embed_replies() -> None:
    """Vectors in their order, and the count of tokens."""
    assert embed_reply(VECTORS, "e") == {"model": "e", "embeddings": [[0.1, 0.2], [0.3, 0.4]], "prompt_eval_count": 4}
    assert embeddings_call({"name": "e", "prompt": "x"}).call == {"model": "e", "input": "x"}
    assert embeddings_reply(VECTORS) == {"embedding": [0.1, 0.2]}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": []}, "input"),
        ({"input": [1]}, "input"),
        ({}, "input"),
        ({"input": "x", "dimensions": True}, "dimensions"),
        ({"input": "x", "model": 1}, "model"),
    ],
)
def test_an_embed_call_that_cannot_be_understood(fields: Json, param: str) -> None:
    """Names the field."""
    with pytest.raises(InvalidRequest) as raised:
        embed_call({"model": "e", **fields})
    assert raised.value.param == param


@settings(max_examples=60, deadline=None)
@given(BODIES, GARBAGE)
def test_any_embeddings_are_read_or_refused(body: Json, entries: Any) -> None:
    """Requests with InvalidRequest, replies with UpstreamBroken."""
    for read in (embed_call, embeddings_call):
        try:
            kept = read({**body, "input": entries, "prompt": entries}).call["input"]
        except InvalidRequest:
            kept = entries
        assert kept == entries
    for reply in (body, {"data": entries}):
        try:
            made = json.dumps(embed_reply(reply, "e")) + json.dumps(embeddings_reply(reply))
        except UpstreamBroken:
            made = "refused"
        assert made
