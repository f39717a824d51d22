"""What an upstream wants back: kept for its issuer and its caller, found by id, handle or text, and bounded."""

from typing import Any

import pytest

from orcestator.json_text import Json
from orcestator.upstream.reasoning_cache import ReasoningCache, restored

SIGNED = [{"type": "reasoning.text", "text": "hm", "signature": "s1", "format": "anthropic-claude-v1"}]


def said(content: str = "", *call_ids: str, **more: Any) -> Json:
    """An assistant message as the stream's memory tells it."""
    calls = [{"id": call_id} for call_id in call_ids]
    return {
        "content": content,
        "tool_calls": calls,
        "reasoning_content": "",
        "reasoning_details": SIGNED,
        "cot_id": "",
        **more,
    }


class Clock:
    """Time that stands until it is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("kept", "asked"),
    [
        (said("", "call_1", "call_2"), {"role": "assistant", "tool_calls": [{"id": "call_2"}]}),
        (said("Hello", cot_id="cot_9"), {"role": "assistant", "content": "Hello (edited)", "cot_id": "cot_9"}),
        (said("Hello"), {"role": "assistant", "content": "Hello"}),
        (
            said("Hello"),
            {"role": "assistant", "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]},
        ),
    ],
    ids=["call id", "handle", "text", "text in parts"],
)
def test_found_again_by_what_callers_send_back(kept: Json, asked: Json) -> None:
    """And put into the message that lacks it, the call itself left as it was."""
    vault = ReasoningCache(Clock())
    vault.keep("me", kept)
    call = {"messages": [{"role": "user", "content": "x"}, asked]}
    made = restored(call, "me", vault)
    assert made["messages"][1] == {**asked, "reasoning_details": SIGNED}
    assert "reasoning_details" not in asked


def test_nobody_elses_answer_is_found() -> None:
    """Two callers may hold the same text: what was thought for one is not shown to the other."""
    vault = ReasoningCache(Clock())
    vault.keep("me", said("Hello", "call_1"))
    call = {"messages": [{"role": "assistant", "content": "Hello", "tool_calls": [{"id": "call_1"}]}]}
    assert restored(call, "you", vault) is call


def test_what_the_caller_kept_itself_is_not_replaced() -> None:
    """The caller's own echo wins."""
    vault = ReasoningCache(Clock())
    vault.keep("me", said("Hello"))
    call = {
        "messages": [{"role": "assistant", "content": "Hello", "reasoning_details": [{"type": "reasoning.encrypted"}]}]
    }
    assert restored(call, "me", vault) is call


def test_signatures_of_tool_calls_go_back_to_their_call() -> None:
    """Gemini's are on the call, not on the message."""
    signature = {"google": {"thought_signature": "abc"}}
    vault = ReasoningCache(Clock())
    vault.keep(
        "me", {**said(), "reasoning_details": [], "tool_calls": [{"id": "a", "extra_content": signature}, {"id": "b"}]}
    )
    call = {"messages": [{"role": "assistant", "tool_calls": [{"id": "a"}, {"id": "b"}]}]}
    assert restored(call, "me", vault)["messages"][0]["tool_calls"] == [
        {"id": "a", "extra_content": signature},
        {"id": "b"},
    ]


def test_nothing_to_keep_is_not_kept() -> None:
    """An answer without reasoning costs no room."""
    vault = ReasoningCache(Clock())
    vault.keep("me", {**said("Hello"), "reasoning_details": []})
    vault.keep("me", said())
    assert len(vault) == 0


def test_old_entries_are_not_found_and_leave() -> None:
    """Age is one bound."""
    clock = Clock()
    vault = ReasoningCache(clock, seconds=10.0)
    vault.keep("me", said("old"))
    clock.now = 11.0
    call = {"messages": [{"role": "assistant", "content": "old"}]}
    assert restored(call, "me", vault) is call
    vault.keep("me", said("new"))
    assert len(vault) == 1


def test_entries_and_bytes_are_bounded_oldest_first() -> None:
    """Whatever callers do, the room is limited, and given back in full."""
    vault = ReasoningCache(Clock(), most_entries=3)
    for number in range(10):
        vault.keep("me", said(f"text {number}", f"call_{number}"))
    assert len(vault) == 3
    assert vault.find("me", {"tool_calls": [{"id": "call_9"}]}) is not None
    assert vault.find("me", {"tool_calls": [{"id": "call_6"}]}) is None
    small = ReasoningCache(Clock(), most_bytes=4_000)
    for number in range(100):
        small.keep("me", {**said(f"{number}"), "reasoning_content": "x" * 300})
    assert small.bytes <= 4_000
    assert 5 < len(small) < 14
    small.keep("me", {**said("big"), "reasoning_content": "x" * 1_000})
    assert small.find("me", {"content": "big"}) is None


def test_the_same_answer_again_replaces_itself() -> None:
    """Deterministic answers repeat."""
    vault = ReasoningCache(Clock())
    vault.keep("me", said("Hello"))
    size = vault.bytes
    vault.keep("me", said("Hello"))
    assert (len(vault), vault.bytes) == (1, size)
