"""Tool calls of a stream, put in the order clients can read: whole, one after another, with stable ids.

VS Code groups deltas by id and otherwise appends to the last call, ignoring ``index`` (checked 2026-11), so
interleaved calls corrupt each other. The first call streams live; the others wait and follow whole.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from orcestator.dialects.custom_tools import restored_input
from orcestator.dialects.tool_names import NO_ALIASES
from orcestator.errors import UpstreamBroken
from orcestator.json_text import Json, dumps, is_cut, loads

OBJECT_ARGUMENTS = re.compile(rb'"arguments"\s*:\s*\{')
"""What holds a tool's arguments as an object, though they are a text by the API: their numbers keep their digits, too."""
MOST_CALLS = 512
MOST_ARGUMENT_CHARS = 4 << 20
_TEXT_FIELD = {"function": "arguments", "custom": "input"}


@dataclass(slots=True)
class _Call:
    wire_index: object
    id: str
    kind: str = "function"
    name: str = ""
    extras: Json = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    """All of what its tool is given, sent or waiting."""
    is_emulated: bool = False
    place: int | None = None
    """Its index in what we send, from its first delta on."""


class ToolCallOrder:
    """The calls of one choice. ``add`` takes a delta's ``tool_calls`` and gives the deltas to send now."""

    def __init__(
        self, new_id: Callable[[], str], customs: Collection[str] = (), names: Mapping[str, str] = NO_ALIASES
    ) -> None:
        """``customs`` names the custom tools that the upstream knows as functions, ``names`` the tool of every alias."""
        self._new_id = new_id
        self._customs = customs
        self._names = names
        self._calls: list[_Call] = []
        self._wire_ids: dict[str, _Call] = {}
        self._chars = 0
        self._sent = 0
        self._is_over = False

    def __bool__(self) -> bool:
        return any(call.name for call in self._calls)

    @property
    def progress(self) -> int:
        """Grows with every call that begins and every piece of its arguments, sent or waiting."""
        return len(self._calls) + self._chars

    @property
    def has_waiting(self) -> bool:
        """Whether there is something of a call that was not given out yet."""
        return any(call.waiting or (call.name and call.place is None) for call in self._calls)

    @property
    def is_live(self) -> bool:
        """Whether a call was begun that may still go on, so that nothing can come between its pieces."""
        return self._sent > 0 and not self._is_over

    def is_over(self) -> bool:
        """Whether the call that was begun is whole, so that something else may follow it. From then on it is closed."""
        if not self._is_over and self._sent:
            self._is_over = _is_object("".join(self._calls[0].given))
        return self._is_over

    def half_call(self, *, told: bool) -> str | None:
        """The name of a call that is not whole, if there is one. ``told``: the upstream has said why it ended."""
        for call in self._calls:
            if call.name and is_half(call.kind, "".join(call.given), told=told):
                return call.name
        return None

    def add(self, wires: list[Any]) -> list[Json]:
        """Deltas that can go out now: those of the first call. Raises UpstreamBroken over the caps."""
        ready = []
        for wire in wires:
            if isinstance(wire, dict):
                call = self._call_of(wire)
                self._take(call, wire)
                # An emulated call can be told only once its arguments are whole.
                if call is self._calls[0] and call.name and not call.is_emulated:
                    ready += self._drain(call)
        return ready

    def finish(self) -> list[Json]:
        """Everything that waited, each call whole; what got neither a name nor arguments was no call.

        Raises UpstreamBroken on arguments for a tool that was never named.
        """
        calls = [call for call in self._calls if call.name or call.waiting]
        if not all(call.name for call in calls):
            raise _nameless()
        return [delta for call in calls for delta in self._drain(call)]

    def _call_of(self, wire: Json) -> _Call:
        index, name = wire.get("index"), _name(wire)
        if name in self._names:
            name = self._names[name]
        wire_id = wire["id"] if isinstance(wire.get("id"), str) else ""
        known = self._by_index(index) if index is not None else self._wire_ids.get(wire_id)
        if known is None and index is None and not name and self._calls:
            known = self._calls[-1]
        # Some upstreams number every call 0: a name that comes with another id, or differs, starts another call.
        has_other_id = bool(wire_id) and wire_id not in self._wire_ids
        starts_another = known is not None and name and known.name and (has_other_id or name != known.name)
        if known is None or starts_another:
            return self._open(index, wire_id)
        return known

    def _by_index(self, index: object) -> _Call | None:
        return next((call for call in reversed(self._calls) if call.wire_index == index), None)

    def _open(self, index: object, wire_id: str) -> _Call:
        if len(self._calls) >= MOST_CALLS:
            raise UpstreamBroken(f"The upstream sent over {MOST_CALLS} tool calls.", cause="too_many_tool_calls")
        usable = wire_id and wire_id not in self._wire_ids
        call = _Call(index, wire_id if usable else self._new_id())
        self._calls.append(call)
        self._wire_ids[call.id] = call
        return call

    def _take(self, call: _Call, wire: Json) -> None:
        kind = "custom" if wire.get("type") == "custom" or "custom" in wire else call.kind
        call.kind = kind
        part = wire.get(kind)
        part = part if isinstance(part, dict) else {}
        if not call.name:
            name = _name(wire)
            call.name = self._names.get(name, name)
        call.is_emulated = call.name in self._customs
        text = part.get(_TEXT_FIELD[kind])
        if text is not None and text != "":
            text = text if isinstance(text, str) else dumps(text).decode()
            if self._is_over and call is self._calls[0] and text.strip():
                raise UpstreamBroken("The upstream went on with a tool call after its end.", cause="half_tool_call")
            call.waiting.append(text)
            call.given.append(text)
            self._chars += len(text)
            if self._chars > MOST_ARGUMENT_CHARS:
                raise UpstreamBroken("The upstream's tool arguments are over 4 MiB.", cause="too_large")
        call.extras |= {key: value for key, value in wire.items() if key not in ("index", "id", "type", kind)}

    def _drain(self, call: _Call) -> list[Json]:
        text = "".join(call.waiting)
        call.waiting.clear()
        if call.is_emulated:
            call.kind, text = "custom", restored_input(text)
        part: Json = {_TEXT_FIELD[call.kind]: text}
        if call.place is None:
            call.place = self._sent
            self._sent += 1
            delta = {"index": call.place, "id": call.id, "type": call.kind, call.kind: {"name": call.name, **part}}
        elif text or call.extras:
            delta = {"index": call.place, call.kind: part}
        else:
            return []
        delta |= call.extras
        call.extras = {}
        return [delta]


def is_half(kind: str, text: str, *, told: bool) -> bool:
    """Whether what a tool is given ends in the middle.

    Where the upstream says that it came to its end, only what is the beginning of JSON is half: a model's own mistakes are
    for the caller to see. Where it says nothing, whatever is not seen to be whole counts as half.
    """
    if told:
        return kind == "function" and bool(text) and not _is_json(text) and is_cut(text)
    return kind != "function" or not _is_json(text)


def half_call_in(wires: list[Any], *, told: bool) -> str | None:
    """The name of a call of a whole message that is not whole, if there is one; ``told`` as for a stream."""
    for wire in wires:
        if isinstance(wire, dict) and is_half(*_given_in(wire), told=told):
            return _name(wire)
    return None


def _is_json(text: str) -> bool:
    try:
        loads(text.encode("utf-8", "replace"))
    except ValueError:
        return False
    return True


def _is_object(text: str) -> bool:
    return text.rstrip().endswith("}") and _is_json(text)


def whole_calls(
    wires: list[Any],
    new_id: Callable[[], str],
    customs: Collection[str] = (),
    names: Mapping[str, str] = NO_ALIASES,
) -> list[Json]:
    """The tool calls of a whole message with unique ids and text arguments; foreign entries are dropped.

    Raises UpstreamBroken on a call that names no tool, and over the cap.
    """
    calls: list[Json] = []
    seen: set[str] = set()
    for wire in wires:
        if not isinstance(wire, dict):
            continue
        call = dict(wire)
        kind, given = _given_in(call)
        part = dict(call[kind]) if isinstance(call.get(kind), dict) else {}
        name = _name(call)
        if not name:
            raise _nameless()
        if name in names:
            name = part["name"] = names[name]
        part[_TEXT_FIELD[kind]] = given
        if kind == "function" and name in customs:
            kind, part = "custom", {"name": name, "input": restored_input(part["arguments"])}
            del call["function"]
        wire_id = call.get("id")
        call_id = wire_id if isinstance(wire_id, str) and wire_id and wire_id not in seen else new_id()
        seen.add(call_id)
        call |= {"id": call_id, "type": kind, kind: part}
        calls.append(call)
    if len(calls) > MOST_CALLS:
        raise UpstreamBroken(f"The upstream sent over {MOST_CALLS} tool calls.", cause="too_many_tool_calls")
    return calls


def _given_in(wire: Json) -> tuple[str, str]:
    """Of a whole call: its kind, and what its tool is given."""
    kind = "custom" if wire.get("type") == "custom" or "custom" in wire else "function"
    part = wire.get(kind)
    text = part.get(_TEXT_FIELD[kind]) if isinstance(part, dict) else None
    return kind, text if isinstance(text, str) else "" if text is None else dumps(text).decode()


def half_call_failure(provider: str, name: str) -> UpstreamBroken:
    """The failure of an answer that ends in the middle of what a tool is given."""
    return UpstreamBroken(f"{provider} ended in the middle of its call of {name!r}.", cause="half_tool_call")


def _nameless() -> UpstreamBroken:
    return UpstreamBroken("The upstream called a tool without naming it.", cause="nameless_tool_call")


def _name(wire: Json) -> str:
    for kind in _TEXT_FIELD:
        part = wire.get(kind)
        if isinstance(part, dict) and isinstance(part.get("name"), str) and part["name"]:
            return str(part["name"])
    return ""
