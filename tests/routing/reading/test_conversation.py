"""Which requests belong together."""

from typing import Any

import pytest

from orcestator.json_text import Json
from orcestator.routing.reading.conversation import cache_keys, conversation_key

SYSTEM = {"role": "system", "content": "You help."}
FIRST = {"role": "user", "content": "Hello"}
MORE = [{"role": "assistant", "content": "Hi"}, {"role": "user", "content": "What now?"}]


def key(*messages: Json, headers: dict[bytes, bytes] | None = None, **more: Any) -> str:
    """The key of a call with these messages."""
    return conversation_key({"messages": list(messages), **more}, headers or {})


def test_every_turn_of_a_conversation_has_its_key() -> None:
    assert key(SYSTEM, FIRST) == key(SYSTEM, FIRST, *MORE) == key({**SYSTEM, "role": "developer"}, FIRST)
    assert key(SYSTEM, FIRST) != key(SYSTEM, {"role": "user", "content": "Bye"})
    assert key(FIRST) == key(FIRST, *MORE) != ""


def test_conversations_with_one_system_prompt_share_their_second_key() -> None:
    one, other = (cache_keys(key(SYSTEM, {"role": "user", "content": text})) for text in "ab")
    assert one[0] != other[0]
    assert one[1] == other[1]
    assert len(cache_keys(key(FIRST))) == 1
    assert cache_keys("") == ()


@pytest.mark.parametrize("field", ["session_id", "prompt_cache_key"])
def test_an_id_that_is_given_wins_over_the_text(field: str) -> None:
    one, other = ({"messages": [FIRST], field: text} for text in ("s1", "s2"))
    assert conversation_key(one, {}) == conversation_key({**one, "messages": MORE}, {})
    assert conversation_key(one, {}) != conversation_key(other, {})


def test_a_header_wins_over_the_body() -> None:
    headers = {b"x-session-id": b"s1"}
    assert key(FIRST, headers=headers, session_id="s2") == key(FIRST, headers=headers)
    assert key(FIRST, headers={b"x-orcestator-conversation": b"s1"}) == key(FIRST, headers=headers)


SESSION = {b"x-claude-code-session-id": b"s1"}


def test_the_session_of_claude_code_and_each_of_its_agents_have_their_own() -> None:
    """An agent of a session asks with the session's id, and has a prompt of its own."""
    own = key(SYSTEM, FIRST, headers=SESSION)
    assert own == key(SYSTEM, *MORE, headers=SESSION)
    agents = [
        key(SYSTEM, FIRST, headers={**SESSION, b"x-claude-code-agent-id": name}) for name in (b"a1", b"a1", b"a2")
    ]
    assert agents[0] == agents[1]
    assert len({key.partition(".")[0] for key in (own, *agents)}) == 3
    assert key(SYSTEM, FIRST, headers={b"x-claude-code-agent-id": b"a1"}) == key(SYSTEM, FIRST)


@pytest.mark.parametrize("form", [str, lambda text: [{"type": "text", "text": text}]])
def test_a_number_that_changes_with_every_request_changes_no_key(form: Any) -> None:
    """Claude Code's line for Anthropic at the head of its system prompt, as other gateways pass it on."""
    lines = [f"x-anthropic-billing-header: cc_version=2.1.{n}; cch={n};\nYou help." for n in (1, 2)]
    one, other = (key({"role": "system", "content": form(line)}, FIRST) for line in lines)
    assert one == other
    assert one != key({"role": "system", "content": form(lines[0] + " Or not.")}, FIRST)


@pytest.mark.parametrize(
    "messages", [None, "x", [], [7], [{"content": "x"}], [{"role": ["user"]}], [{"role": "assistant"}]]
)
def test_nothing_to_go_by(messages: Any) -> None:
    assert conversation_key({"messages": messages, "session_id": 7}, {}) == ""


def test_it_tells_nothing_of_the_text() -> None:
    assert "Hello" not in key(SYSTEM, FIRST)
    assert len(key(SYSTEM, FIRST)) == 49
    assert key({"role": "user", "content": "\ud800"})
