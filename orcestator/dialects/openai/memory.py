"""What an answer said that its upstream may want back: gathered while it streams, told once it is whole."""

from collections.abc import Callable

from orcestator.dialects.canonical import reasoning_of
from orcestator.json_text import Json

Remember = Callable[[Json], None]
"""Takes the whole assistant message of an answer, with ``cot_id`` when the caller was given that handle."""
MOST_KEPT_CHARS = 4 << 20


class Memory:
    """One answer's assistant message as far as it has come."""

    __slots__ = ("_calls", "_chars", "_details", "_handle", "_new_id", "_reasoning", "_remember", "texts")

    def __init__(self, remember: Remember, new_id: Callable[[str], str]) -> None:
        self._remember = remember
        self._new_id = new_id
        self.texts: list[str] = []
        self._reasoning: list[str] = []
        self._details: list[Json] = []
        self._calls: list[Json] = []
        self._chars = 0
        self._handle = ""

    def take(self, delta: Json) -> Json:
        """Look at a delta; gives the ``cot_id`` to add to the first one that has reasoning.

        VS Code sends ``cot_id`` back with the message while it drops what it does not know (checked 2026-11).
        """
        reasoning, details = reasoning_of(delta), delta.get("reasoning_details")
        if self._chars <= MOST_KEPT_CHARS:
            self._chars += len(reasoning)
            self._reasoning.append(reasoning)
        if isinstance(details, list):
            self._details += [detail for detail in details if isinstance(detail, dict)]
        if self._handle or not (reasoning or details):
            return {}
        self._handle = self._new_id("cot_")
        return {"cot_id": self._handle}

    def take_call(self, delta: Json) -> None:
        """Look at a tool call's delta: the first one of each has all that is kept."""
        if "id" in delta:
            self._calls.append({name: delta[name] for name in ("id", "extra_content") if name in delta})

    def close(self) -> None:
        """The answer is whole."""
        message: Json = {
            "content": "".join(self.texts),
            "reasoning_content": "".join(self._reasoning),
            "reasoning_details": self._details,
            "tool_calls": self._calls,
            "cot_id": self._handle,
        }
        self._remember(message)


def is_worth_keeping(message: Json) -> bool:
    """Whether there is anything in a whole answer's message that its upstream may want back."""
    if reasoning_of(message) or message.get("reasoning_details"):
        return True
    calls = message.get("tool_calls")
    return isinstance(calls, list) and any("extra_content" in call for call in calls if isinstance(call, dict))


def remembered(message: Json, remember: Remember, new_id: Callable[[str], str]) -> Json:
    """A whole answer's message told in one go; the message with its handle when there was reasoning in it."""
    memory = Memory(remember, new_id)
    handle = memory.take(message)
    content, calls = message.get("content"), message.get("tool_calls")
    memory.texts += [content] if isinstance(content, str) else []
    for call in calls if isinstance(calls, list) else ():
        memory.take_call(call)
    memory.close()
    return {**message, **handle} if handle else message
