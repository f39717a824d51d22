"""An upstream's stream to a caller of the same dialect: every event as it came, read on the way.

Reading it finds the commit point, an error inside a 200, the tokens, and whether the answer came to its end; nothing
is rebuilt but the model's name.
"""

import re
from dataclasses import dataclass
from typing import Any

from orcestator.dialects.failures import unreadable
from orcestator.dialects.openai.choice import ChoiceState
from orcestator.dialects.openai.stream import ChatStream
from orcestator.errors import OrcestatorError
from orcestator.json_text import Json, dumps, loads, with_plain_grammar

_TYPE_FIRST = re.compile(rb'\s*\{\s*"type"\s*:\s*"([\w.\-]+)"')
_MODEL = re.compile(rb'"model"\s*:')
"""A field of that name, and not Gemini's role of that name."""
_MODEL_FIRST = re.compile(rb'\{"model":"[^"\\]*"')
_HOLDERS = ("message", "response")
"""Where an event names the model: Anthropic's ``message_start`` and the Responses API's whole responses."""
_WHOLE = frozenset({b"response.completed", b"response.incomplete"})
"""The events that end a response and hold all of it; the first ones of a stream hold what there is of it by then."""


@dataclass(slots=True)
class RelayStream(ChatStream):
    """It needs a ``reader`` of the dialect, and a ``writer`` of it to tell a failure."""

    names_events: bool = False
    is_lines: bool = False
    _is_forgiven: bool = False
    _first: bytes = b""
    _last: bytes = b""
    _model_first: tuple[bytes, bytes] = (b"", b"")

    @property
    def native(self) -> Json | None:
        """The whole response that the last event holds, in dialects whose streams end with one."""
        if not self._last or event_type(self._last) not in _WHOLE:
            return None
        try:
            whole = loads(self._last).get("response")
        except (ValueError, AttributeError):
            return None
        return whole if isinstance(whole, dict) else None

    def _event(self, data: bytes) -> None:
        """What the reader takes for a failure is not passed on: it is told in words of our own, and once."""
        ChatStream._event(self, data)
        if self._is_forgiven:
            self._is_forgiven, data = False, with_plain_grammar(data)
        if data.startswith(b"[DONE]"):
            return  # OpenAI's last word is no JSON, and clients of other dialects read all of it as such
        self._first = self._first or data
        self._frames.append(self._as_it_came(data))

    def _mended(self, value: Any) -> None:
        self._is_forgiven = True
        ChatStream._mended(self, value)

    def _as_it_came(self, data: bytes) -> bytes:
        if b'"model"' in data and _MODEL.search(data) is not None:
            data = self._renamed(data)
        self._last = data
        if self.is_lines:
            return data + b"\n"
        shown = data.replace(b"\n", b"\ndata: ") if b"\n" in data else data
        if not self.names_events:
            return b"data: " + shown + b"\n\n"
        kind = event_type(data)
        if kind == b"message":
            raise unreadable(
                self.terms.provider
            )  # clients of dialects with types pass over what has none, whatever is in it
        return b"event: %b\ndata: %b\n\n" % (kind, shown)

    def _renamed(self, data: bytes) -> bytes:
        """The event with the caller's name of the model; where every event begins with one, it is parsed once only."""
        theirs, ours = self._model_first
        if theirs and data.startswith(theirs) and data.count(b'"model"') == 1:
            return ours + data[len(theirs) :]
        shown = renamed(data, self.terms.shown_model)
        before, after = _MODEL_FIRST.match(data), _MODEL_FIRST.match(shown)
        if before is not None and after is not None and data[before.end() :] == shown[after.end() :]:
            self._model_first = (before[0], after[0])
        return shown

    def _is_inside_call(self, choice: ChoiceState) -> bool:
        """Nothing is put in another order."""
        return False

    def _take_reason(self, choice: ChoiceState, wire: Json, extras: Json, *, speaks: bool) -> None:
        """Looked at before the event that tells it has gone by."""
        ChatStream._take_reason(self, choice, wire, extras, speaks=speaks)
        choice.check_whole(self.terms.provider)
        self._add_what_was_left_out(is_over=False)

    def _add_what_was_left_out(self, *, is_over: bool) -> None:
        """The ends of blocks and of the answer that a client waits for, where the dialect has such and they did not come."""
        left_out = getattr(self.reader, "left_out", None)
        events = b"" if left_out is None else left_out(is_over=is_over)
        if events:
            self._frames.append(events)

    def _written_text(self, content: str) -> bytes:
        return b""

    def _frame(self, body: Json) -> bytes:
        """Nothing of our own is written."""
        return b""

    def _write_end(self, usage: Json) -> None:
        """The upstream's own end has gone by, or is all that is missing."""
        self._add_what_was_left_out(is_over=True)

    def failure_frames(self, error: OrcestatorError) -> bytes:
        """The caller's dialect's way to say that the answer broke."""
        frames = self.take()
        self.done = True
        if self.writer is None:
            return frames
        follow = getattr(self.writer, "follow", None)
        if follow is not None and self._last:
            follow(self._first, self._last)
        return frames + self.writer.failure(error)


def event_type(data: bytes) -> bytes:
    """The name of an event whose JSON says it in ``type``."""
    found = _TYPE_FIRST.match(data)
    if found is not None:
        return found[1]
    try:
        named = loads(data)["type"]
    except (ValueError, TypeError, KeyError, IndexError):
        return b"message"
    return str(named).encode("unicode_escape")


def renamed(body: bytes, model: str) -> bytes:
    """A whole answer or an event with the model that the caller asked for; as it came when it names none."""
    try:
        wire = loads(body)
    except ValueError:
        return body
    return with_model(body, wire, model) if isinstance(wire, dict) else body


def with_model(body: bytes, wire: Json, model: str) -> bytes:
    """The same for a body that is parsed already; ``wire`` is changed where the name cannot be told apart."""
    for holder in (wire, *(wire[name] for name in _HOLDERS if isinstance(wire.get(name), dict))):
        theirs = holder.get("model")
        if not isinstance(theirs, str) or theirs == model:
            continue
        for colon in (b'"model":', b'"model": '):
            if body.count(colon + dumps(theirs)) == 1:
                return body.replace(colon + dumps(theirs), colon + dumps(model))
        holder["model"] = model
        return dumps(wire)
    return body
