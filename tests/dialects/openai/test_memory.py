"""What an answer is remembered by: gathered while it streams, told once, and only when it is whole."""

from typing import Any

import pytest

from orcestator.dialects.openai.events import StreamTerms
from orcestator.dialects.openai.memory import MOST_KEPT_CHARS, Memory, remembered
from orcestator.dialects.openai.reply import ReplyTerms, chat_reply
from orcestator.dialects.openai.stream import ChatStream
from orcestator.errors import UpstreamError
from orcestator.json_text import Json
from tests.dialects.client_rules import END, ROLE, STOP, chunk, sse, text

SIGNED: Json = {"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1"}
EXTRA: Json = {"google": {"thought_signature": "sig"}}


def new_id(prefix: str) -> str:
    """An id that is always the same."""
    return prefix + "1"


def stream(told: list[Json], *, usage: bool = False) -> ChatStream:
    """A stream that tells what it was."""
    return ChatStream(StreamTerms("prov", "shown", usage, 10, 1, 100, new_id), remember=told.append)


def call(index: int, call_id: str, **more: Any) -> Json:
    """The first delta of a tool call."""
    return {"index": index, "id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}, **more}


def test_a_streamed_answer_is_told_once_and_whole() -> None:
    """Reasoning, text, calls with what they carry, and the handle that the caller got with the first reasoning."""
    told: list[Json] = []
    made = stream(told)
    made.feed(
        sse(
            ROLE,
            chunk({"reasoning_content": "I "}),
            chunk({"reasoning_content": "think", "reasoning_details": [SIGNED, "no detail"]}),
            text("Hel"),
            text("lo"),
            text("!"),
            chunk({"tool_calls": [call(0, "call_a", extra_content=EXTRA)]}),
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": "x"}}, call(1, "call_b")]}),
            STOP,
        )
    )
    assert told == []
    made.feed(sse(END))
    assert told == [
        {
            "content": "Hello!",
            "reasoning_content": "I think",
            "reasoning_details": [SIGNED],
            "tool_calls": [{"id": "call_a", "extra_content": EXTRA}, {"id": "call_b"}],
            "cot_id": "cot_1",
        }
    ]
    frames = made.take()
    assert frames.count(b'"cot_id":"cot_1"') == 1
    assert frames.index(b"cot_id") < frames.index(b'"think"')


def test_an_answer_that_broke_is_not_told() -> None:
    """Nobody gets back half of what was thought."""
    told: list[Json] = []
    made = stream(told)
    made.feed(sse(ROLE, chunk({"reasoning_content": "I "}), text("Hel")))
    with pytest.raises(UpstreamError):
        made.end()
    assert told == []


def test_an_answer_without_reasoning_has_no_handle() -> None:
    """Its bytes are those that came."""
    told: list[Json] = []
    made = stream(told)
    made.feed(sse(ROLE, text("Hi"), STOP, END))
    assert told[0]["cot_id"] == ""
    assert b"cot_id" not in made.take()


@pytest.mark.parametrize("reasoning", [{"reasoning_content": "hm"}, {"reasoning_details": [SIGNED]}])
def test_a_whole_answer(reasoning: Json) -> None:
    """The message goes out with its handle; what came is not changed."""
    told: list[Json] = []
    message = {"role": "assistant", "content": "Hi", **reasoning, "tool_calls": [call(0, "call_a")]}
    before = dict(message)
    assert remembered(message, told.append, new_id) == {**message, "cot_id": "cot_1"}
    assert message == before
    assert (told[0]["content"], told[0]["tool_calls"], told[0]["cot_id"]) == ("Hi", [{"id": "call_a"}], "cot_1")


def test_a_whole_answer_that_is_only_text() -> None:
    """Is the one that came."""
    told: list[Json] = []
    message: Json = {"role": "assistant", "content": "Hi"}
    assert remembered(message, told.append, new_id) is message
    assert told[0]["content"] == "Hi"


def test_a_whole_reply_gets_its_handle() -> None:
    """In its first choice, through the reader of replies."""
    body = b"""{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop",
      "message":{"role":"assistant","content":"Hi","reasoning_content":"hm"}}]}"""
    told: list[Json] = []
    reply = chat_reply(body, ReplyTerms("prov", "shown", 10, 1, new_id), told.append)
    assert reply.wire["choices"][0]["message"]["cot_id"] == "cot_1"
    assert b'"cot_id":"cot_1"' in reply.body
    assert told[0]["reasoning_content"] == "hm"


def test_endless_reasoning_is_not_kept() -> None:
    """What one answer may hold of the memory is bounded."""
    told: list[Json] = []
    memory = Memory(told.append, new_id)
    piece = "x" * (1 << 20)
    for _ in range(10):
        memory.take({"reasoning_content": piece})
    memory.close()
    assert len(told[0]["reasoning_content"]) <= MOST_KEPT_CHARS + len(piece)
