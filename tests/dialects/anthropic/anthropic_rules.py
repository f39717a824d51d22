"""What Anthropic refuses with a 400, as one check over a body; and what its SDKs need of a stream.

platform.claude.com/docs/en/api/messages, …/docs/en/agents-and-tools/tool-use and the error texts quoted in the
dialect's modules (checked 2026-11).
"""

import json
import re

from orcestator.json_text import Json

ID = re.compile(r"[a-zA-Z0-9_-]+")
KNOWN = {
    "user": {"text", "image", "document", "tool_result"},
    "assistant": {"text", "thinking", "redacted_thinking", "tool_use"},
}


def assert_accepted(body: Json) -> None:
    """Fail on anything that the API answers with a 400 whatever the model."""
    assert body["model"]
    assert type(body["max_tokens"]) is int
    assert body["max_tokens"] >= 1
    _check_turns(body["messages"])
    _check_tools(body)
    _check_thinking(body)
    for block in body.get("system", []):
        assert block["type"] == "text"
        assert block["text"].strip()
    assert "system" not in body or body["system"]
    assert all(one.strip() for one in body.get("stop_sequences", []))
    assert 0 <= body.get("temperature", 1) <= 1
    assert json.dumps(body).count('"cache_control": {"type": "ephemeral"') <= 4
    json.dumps(body, allow_nan=False)


def _check_turns(turns: list[Json]) -> None:
    assert turns
    assert [turn["role"] for turn in turns] == [("user", "assistant")[place % 2] for place in range(len(turns))]
    seen: set[str] = set()
    waiting: list[str] = []
    for turn in turns:
        assert turn["content"], "an empty turn"
        for block in turn["content"]:
            _check_block(block, turn["role"])
        results = [block["tool_use_id"] for block in turn["content"] if block["type"] == "tool_result"]
        assert sorted(results) == sorted(waiting), "every call is answered once in the next turn, and nothing else is"
        assert all(block["type"] == "tool_result" for block in turn["content"][: len(results)]), "results come first"
        waiting = [block["id"] for block in turn["content"] if block["type"] == "tool_use"]
        assert seen.isdisjoint(waiting)
        assert len(set(waiting)) == len(waiting)
        seen.update(waiting)
    assert not waiting, "a call without an answer"
    assert turns[-1]["role"] == "user" or not turns[-1]["content"][-1]["text"][-1:].isspace()


def _check_block(block: Json, role: str) -> None:
    assert block["type"] in KNOWN[role]
    if block["type"] == "text":
        assert block["text"].strip(), "an empty text"
    if block["type"] == "tool_use":
        assert ID.fullmatch(block["id"])
        assert block["name"]
        assert isinstance(block["input"], dict)
    if block["type"] == "thinking":
        assert block["signature"]
        assert not block["signature"].startswith("orcestator-")
        assert isinstance(block["thinking"], str)
    if block["type"] == "tool_result" and isinstance(block.get("content"), list):
        for inner in block["content"]:
            assert inner["type"] in {"text", "image", "document"}
            _check_block(inner, "user")


def _check_tools(body: Json) -> None:
    names = [tool["name"] for tool in body.get("tools", [])]
    for tool in body.get("tools", []):
        schema = tool["input_schema"]
        assert schema["type"] == "object"
        assert not {"oneOf", "anyOf", "allOf"} & schema.keys()
    speaks_of_tools = any(block["type"] == "tool_use" for turn in body["messages"] for block in turn["content"])
    assert names or not speaks_of_tools, "calls need their tools"
    choice = body.get("tool_choice")
    if choice is not None:
        assert names
        assert choice["type"] in {"auto", "any", "tool", "none"}
        assert choice["type"] != "tool" or choice["name"] in names
        assert choice["type"] != "none" or choice.keys() == {"type"}


def _check_thinking(body: Json) -> None:
    thinking = body.get("thinking", {})
    if thinking.get("type") not in ("enabled", "adaptive"):
        return
    assert "temperature" not in body
    assert "top_k" not in body
    assert body["messages"][-1]["role"] == "user", "no prefill with thinking"
    if thinking["type"] == "enabled":
        assert 1024 <= thinking["budget_tokens"] < body["max_tokens"]
        assert body.get("tool_choice", {}).get("type") not in ("any", "tool")


def events_in(written: bytes) -> list[Json]:
    """The events of a stream, each checked to be named after its type."""
    events = []
    for frame in written.decode().split("\n\n")[:-1]:
        name, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


def message_of(written: bytes) -> Json:
    """The message that an SDK puts together of a whole stream; fails on what one of them stumbles over."""
    events = events_in(written)
    assert [event["type"] for event in events[:1] + events[-2:]] == ["message_start", "message_delta", "message_stop"]
    message: Json = events[0]["message"]
    open_block: Json | None = None
    for event in events[1:-2]:
        if event["type"] == "content_block_start":
            assert open_block is None, "one block is open at a time"
            open_block = {**event["content_block"], "pieces": ""}
            assert event["index"] == len(message["content"])
        elif event["type"] == "content_block_delta":
            assert open_block is not None
            _add_delta(open_block, event["delta"])
        else:
            assert event["type"] == "content_block_stop"
            assert open_block is not None
            message["content"].append(_finished(open_block))
            open_block = None
    assert open_block is None
    return {**message, **events[-2]["delta"], "usage": events[-2]["usage"]}


def _add_delta(block: Json, delta: Json) -> None:
    kinds = {
        "text": ["text_delta"],
        "thinking": ["thinking_delta", "signature_delta"],
        "tool_use": ["input_json_delta"],
    }
    assert delta["type"] in kinds[block["type"]]
    if delta["type"] == "input_json_delta":
        block["pieces"] += delta["partial_json"]
    else:
        field = delta["type"].removesuffix("_delta")
        block[field] += delta[field]


def _finished(block: Json) -> Json:
    pieces = block.pop("pieces")
    return {**block, "input": json.loads(pieces)} if pieces else block
