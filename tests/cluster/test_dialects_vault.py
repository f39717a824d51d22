"""What an upstream wants back of its reasoning comes back to it, and to nobody else, whatever the caller dropped."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from orcestator.json_text import Json
from orcestator.sandbox import seals
from orcestator.sandbox.speech import REASONING
from tests.cluster.dialects import (
    CALLERS,
    SECOND,
    AnthropicCaller,
    Caller,
    ChatCaller,
    CopilotCaller,
    KeyedCluster,
    ResponsesCaller,
    body_of,
    received,
)
from tests.cluster.harness import SandboxThread

pytest_plugins = ("tests.cluster.dialect_fixtures",)
WORDS = "Look around, please."
EFFORT: Json = {"reasoning_effort": "high"}
THINKING: Json = {"thinking": {"type": "enabled", "budget_tokens": 2048}}
SUMMARY: Json = {"reasoning": {"effort": "high", "summary": "auto"}}
MORE: Mapping[type[Caller], Json] = {
    ChatCaller: EFFORT, CopilotCaller: EFFORT, AnthropicCaller: THINKING, ResponsesCaller: SUMMARY,
}  # fmt: skip


@pytest.fixture
def sandbox(dialect_sandbox: SandboxThread) -> SandboxThread:
    """The upstream of every provider, with nothing received yet."""
    dialect_sandbox.reset()
    return dialect_sandbox


@pytest.fixture
def gateway(dialect_gateway: KeyedCluster) -> KeyedCluster:
    """The cluster, in both wirings."""
    return dialect_gateway


def number_in(sealed: str) -> int:
    """The number of the request whose answer had this signature."""
    return int.from_bytes(base64.b64decode(sealed)[:8], "big")


def claude_seals(body: Json) -> list[str]:
    """The signatures under the thinking of a request, each checked against its text."""
    blocks = [
        block for message in body["messages"] if isinstance(message["content"], list) for block in message["content"]
    ]
    thoughts = [block for block in blocks if block["type"] == "thinking"]
    assert all(seals.is_ours("anthropic", thought["thinking"], thought["signature"]) for thought in thoughts)
    return [thought["signature"] for thought in thoughts]


def google_seals(body: Json) -> list[str]:
    """The signatures on the calls and texts of a request."""
    parts = [part for content in body["contents"] for part in content["parts"] if "thoughtSignature" in part]
    return [part["thoughtSignature"] for part in parts]


def codexes_seals(body: Json) -> list[str]:
    """The sealed reasoning items of a request."""
    return [item["encrypted_content"] for item in body["input"] if item.get("type") == "reasoning"]


SEALS: Mapping[str, Callable[[Json], list[str]]] = {
    "claude": claude_seals, "google": google_seals, "codexes": codexes_seals,
}  # fmt: skip
TRANSLATED = [
    (name, kind)
    for name in SEALS
    for kind in CALLERS
    if (name, kind) not in (("claude", AnthropicCaller), ("codexes", ResponsesCaller))
]
"""In its own dialect a caller's body goes through as it came."""
MARKS = {
    "claude": ('"signature"', "redacted_thinking"),
    "google": ("thoughtSignature", "thought_signature"),
    "codexes": ('"encrypted_content"',),
    "deepseek": (f'"reasoning_content":"{REASONING.strip()}',),
}
"""What only this provider may see of its reasoning."""


def caller_of(kind: type[Caller], gateway: KeyedCluster, streams: bool, **more: Any) -> Caller:
    """A conversation that has begun."""
    return kind(gateway, streams, more=MORE[kind], **more).ask(WORDS)


@pytest.mark.parametrize(("kind", "streams"), [(kind, streams) for kind in CALLERS for streams in (False, True)])
def test_a_tool_loop_moves_over_five_providers(
    kind: type[Caller], streams: bool, gateway: KeyedCluster, sandbox: SandboxThread
) -> None:
    """Nobody refuses what the one before said, and no reasoning is seen by another provider than the one it is of."""
    sandbox.reset()
    caller = caller_of(kind, gateway, streams)
    # DeepSeek's own route for Anthropic's callers is not one the sandbox has.
    third = "codexes/agent" if kind is AnthropicCaller else "deepseek/deepseek"
    for model in ("claude/agent", "google/agent", third, "openai/strict", "claude/agent"):
        assert len(caller.turn(f"{model}?rounds=9").calls) == 2
    for owner, marks in MARKS.items():
        asked = [record for record in received(sandbox) if record not in received(sandbox, owner)]
        foreign = [mark for record in asked for mark in marks if mark.encode() in record.body]
        assert not foreign, f"of {owner}: {foreign}"


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("name", "kind"), TRANSLATED)
def test_the_issuer_gets_its_signatures_back(
    name: str, kind: type[Caller], streams: bool, gateway: KeyedCluster, sandbox: SandboxThread
) -> None:
    """Unmodified, with the turn they belong to, although the caller dropped them."""
    sandbox.reset()
    caller = caller_of(kind, gateway, streams)
    for _ in range(3):
        caller.turn(f"{name}/agent?rounds=9")
    first, second, third = received(sandbox, name)
    assert SEALS[name](body_of(first)) == []
    assert list(map(number_in, SEALS[name](body_of(second)))) == [first.number]
    assert list(map(number_in, SEALS[name](body_of(third)))) == [first.number, second.number]


@pytest.mark.parametrize(("kind", "streams"), [(ChatCaller, True), (CopilotCaller, False), (ResponsesCaller, True)])
def test_deepseek_gets_its_reasoning_back(
    kind: type[Caller], streams: bool, gateway: KeyedCluster, sandbox: SandboxThread
) -> None:
    """Its own text, word for word."""
    sandbox.reset()
    caller = caller_of(kind, gateway, streams)
    for _ in range(3):
        caller.turn("deepseek/deepseek?rounds=9")
    told = [message for message in body_of(received(sandbox)[-1])["messages"] if message["role"] == "assistant"]
    assert [message["reasoning_content"] for message in told] == [REASONING, REASONING]


@pytest.mark.parametrize("name", [*SEALS, "deepseek"])
def test_another_caller_does_not_get_it(name: str, gateway: KeyedCluster, sandbox: SandboxThread) -> None:
    """Who holds the same call ids with another key is answered all the same, without the first one's reasoning."""
    sandbox.reset()
    model = f"{name}/{'deepseek' if name == 'deepseek' else 'agent'}?rounds=9"
    caller = caller_of(ChatCaller, gateway, streams=False)
    caller.turn(model)
    other = ChatCaller(gateway, key=SECOND, more=caller.more, history=caller.history)
    assert other.send(model).response.status_code == 200
    sent = received(sandbox)[-1].body.decode()
    assert not any(mark in sent for mark in MARKS[name]) or (name == "google" and is_stand_in(json.loads(sent)))
    assert caller.send(model).response.status_code == 200
    assert any(mark in received(sandbox)[-1].body.decode() for mark in MARKS[name])


def is_stand_in(body: Json) -> bool:
    """Whether Gemini's documented word for a signature that is not known stands for each."""
    return set(google_seals(body)) == {"skip_thought_signature_validator"}


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", list(SEALS))
def test_the_handle_finds_a_text_that_was_changed(
    name: str, streams: bool, gateway: KeyedCluster, sandbox: SandboxThread
) -> None:
    """``cot_id`` is in the answer, and brings back what goes with it where neither a call nor the text would."""
    sandbox.reset()
    caller = caller_of(CopilotCaller, gateway, streams)
    said = caller.turn(f"{name}/agent?rounds=0")
    assert said.text
    assert said.handle.startswith("cot_")
    caller.history[-1]["content"] = "(shortened)"
    caller.ask("And now?").turn(f"{name}/agent?rounds=0")
    first, second = received(sandbox, name)
    assert list(map(number_in, SEALS[name](body_of(second)))) == [first.number]


@pytest.mark.parametrize("name", list(SEALS))
def test_the_text_alone_is_enough(name: str, gateway: KeyedCluster, sandbox: SandboxThread) -> None:
    """A caller that sends back only what was said."""
    sandbox.reset()
    caller = caller_of(ChatCaller, gateway, streams=True)
    caller.turn(f"{name}/agent?rounds=0")
    caller.ask("And now?").turn(f"{name}/agent?rounds=0")
    first, second = received(sandbox, name)
    assert list(map(number_in, SEALS[name](body_of(second)))) == [first.number]


def test_what_the_vault_put_back_is_no_loss_of_the_callers(gateway: KeyedCluster) -> None:
    """Gemini takes its signatures and not its thoughts; a caller that sent neither has lost nothing."""
    caller = caller_of(ChatCaller, gateway, streams=False)
    caller.turn("google/agent?rounds=9")
    assert caller.turn("google/agent?rounds=9").dropped == []
    caller.history[1]["reasoning_content"] = "I thought so."
    assert caller.turn("google/agent?rounds=9").dropped == ["messages.reasoning_content"]
