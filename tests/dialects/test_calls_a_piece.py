"""How many Python calls reading costs: the same number on every machine, whatever else that has to do."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from orcestator.dialects.openai.events import StreamTerms
from orcestator.dialects.openai.reply import ReplyTerms, chat_reply
from orcestator.dialects.openai.stream import ChatStream
from orcestator.dialects.sse import SseSplitter
from orcestator.json_text import dumps


def calls_of(work: Callable[[], object]) -> int:
    """Calls of functions written in Python, that of ``work`` itself not among them."""
    count = -1

    def note(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def chunk(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "theirs"}
    return b"data: " + dumps({**head, "choices": [choice]}) + b"\n\n"


def test_events_that_come_together_are_split_without_a_call_for_each() -> None:
    splitter = SseSplitter()
    splitter.feed(b": hello\n\n")
    piece = b"".join(chunk(str(number)) for number in range(100))
    assert calls_of(lambda: splitter.feed(piece)) <= 5


def test_an_event_like_the_last_costs_few_calls_alone_or_among_others() -> None:
    terms = StreamTerms("p", "ours", False, 10, 1, 100_000, lambda prefix: prefix + "1")
    stream = ChatStream(terms)
    stream.feed(chunk("a") + chunk("b") + chunk("c"))
    alone = chunk("d")
    assert calls_of(lambda: stream.feed(alone)) <= 4
    piece = b"".join(chunk(str(number)) for number in range(100))
    assert calls_of(lambda: stream.feed(piece)) <= 2 * 100 + 6
    assert stream.take().count(b"data: ") == 104


def test_a_plain_reply_costs_few_calls() -> None:
    terms = ReplyTerms("p", "ours", 10, 1, lambda prefix: prefix + "1")
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    message: dict[str, Any] = {"role": "assistant", "content": "hello"}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    body = dumps(
        {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "usage": usage}
    )
    assert calls_of(lambda: chat_reply(body, terms)) <= 22
