"""An upstream's stream to the stream our callers get: validated, ordered, ended exactly once. No I/O.

Both sides are OpenAI's unless a ``reader`` understands the upstream's dialect or a ``writer`` speaks the caller's;
between the two stand canonical chunks, so that the rules here hold for every pair.

What clients need of it was measured against VS Code, openai-python and the Copilot CLI (2026-11): one finish reason
of a known word per choice, a usage chunk only when asked for and then with ``choices: []`` and three numbers, no
text in a tool delta, ``[DONE]`` once. A healthy chunk keeps its bytes: only the model name is spliced.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from orcestator.dialects.canonical import Reader, Writer
from orcestator.dialects.failures import error_in_answer
from orcestator.dialects.json_text import dumps, loads, loads_strictly, needs_mending
from orcestator.dialects.openai.content import joined_parts, usable_created, usable_id
from orcestator.dialects.openai.finish import FAILED, finish_reason, has_finished
from orcestator.dialects.openai.memory import Memory, Remember
from orcestator.dialects.openai.tool_calls import ToolCallOrder
from orcestator.dialects.openai.usage import Usage, estimate, read_usage, usage_body
from orcestator.dialects.progress import is_progress
from orcestator.dialects.sse import DONE, LONGEST_EVENT_BYTES, LineSplitter, SseSplitter
from orcestator.errors import OrcestatorError, UpstreamBroken

Json = dict[str, Any]
MOST_GARBAGE = 3
MOST_CHOICES = 128
_STRUCTURED = frozenset({"role", "tool_calls", "function_call"})
"""Fields of a delta that are not text, whatever type an upstream gives them."""
_NULL_USAGE = b',"usage":null'
_WORKER_FAILURE = b'{"error":{"'
_PROBE = b"orcestator-probe"


class StreamTerms(NamedTuple):
    """What the caller asked of this stream. ``text_cap`` is in characters: how much text the log keeps.

    ``custom_tools`` names those that the upstream was given as functions.
    """

    provider: str
    shown_model: str
    include_usage: bool
    prompt_bytes: int
    created: int
    text_cap: int
    new_id: Callable[[str], str]
    custom_tools: frozenset[str] = frozenset()
    longest_event: int = LONGEST_EVENT_BYTES


@dataclass(slots=True)
class ChoiceState:
    """How far one choice of the answer has come."""

    calls: ToolCallOrder
    role_sent: bool = False
    spoke: bool = False
    finished: bool = False


class _Template(NamedTuple):
    """The bytes around the text of the last plain chunk: the next ones differ from it only in their text."""

    prefix: bytes
    suffix: bytes
    shown_prefix: bytes
    shown_suffix: bytes
    shortest: int
    is_content: bool


@dataclass(slots=True)
class ChatStream:
    """One answer's decoder. ``feed`` and ``end`` collect frames, ``take`` hands them out.

    ``committed`` turns true with the first semantic content: before it another candidate may still be tried.
    ``complete`` says that every choice that began has its finish reason.
    """

    terms: StreamTerms
    reader: Reader | None = None
    writer: Writer | None = None
    remember: Remember | None = None
    committed: bool = False
    done: bool = False
    text: list[str] = field(default_factory=list)
    completion_chars: int = 0
    moves: int = 0
    """Grows with every piece of content that was decoded, also where the caller is told of it later or never."""
    usage: Usage | None = None
    _kept_chars: int = 0
    _frames: list[bytes] = field(default_factory=list)
    _splitter: SseSplitter | LineSplitter = field(init=False)
    _choices: dict[int, ChoiceState] = field(default_factory=dict)
    _usage_wire: Any = None
    _garbage: int = 0
    _head: Json | None = None
    _head_is_whole: bool = False
    _wire_id: object = None
    _wire_model: object = None
    _model_bytes: tuple[bytes, bytes] | None = None
    _like_last: _Template | None = None
    _text_frame: tuple[bytes, bytes] | None = None
    _memory: Memory | None = None

    def __post_init__(self) -> None:
        self._splitter = SseSplitter(self.terms.longest_event)
        if self.remember is not None:
            self._memory = Memory(self.remember, self.terms.new_id)

    def split_lines(self) -> None:
        """The upstream sends one JSON a line instead of events. Call it before the first ``feed``."""
        self._splitter = LineSplitter(self.terms.longest_event)

    @property
    def complete(self) -> bool:
        """Every choice that began has finished."""
        return bool(self._choices) and all(choice.finished for choice in self._choices.values())

    @property
    def native(self) -> Json | None:
        """The whole answer as the caller's writer put it together, where it does."""
        whole = getattr(self.writer, "response", None)
        return whole if isinstance(whole, dict) else None

    @property
    def has_frames(self) -> bool:
        """Whether ``take`` has something to give."""
        return bool(self._frames)

    def take(self) -> bytes:
        """The frames made since the last call, ready for the caller."""
        frames = self._frames
        if not frames:
            return b""
        taken = frames[0] if len(frames) == 1 else b"".join(frames)
        frames.clear()
        return taken

    def feed(self, piece: bytes) -> None:
        """Take bytes as they came. Raises UpstreamError when the stream says or shows that it failed."""
        for data in self._splitter.feed(piece):
            if self.done:
                return
            if self._like_last is None or not self._relay_like_last(data, self._like_last):
                self._event(data)

    def feed_reply(self, reply: Json) -> None:
        """Take a whole reply of an upstream that ignored ``stream``."""
        chunk = {key: value for key, value in reply.items() if key != "choices"}
        chunk["object"] = "chat.completion.chunk"
        chunk["choices"] = [
            {**{k: v for k, v in choice.items() if k != "message"}, "delta": choice["message"]}
            for choice in reply["choices"]
        ]
        self._careful(chunk)
        self._complete()

    def end(self) -> None:
        """The upstream closed. Raises UpstreamBroken unless every choice had finished."""
        for data in self._splitter.flush():
            if not self.done:
                self._event(data)
        if self.done:
            return
        if not self.complete:
            raise UpstreamBroken(f"{self.terms.provider} ended the stream before the answer was whole.", cause="closed")
        self._complete()

    def failure_frames(self, error: OrcestatorError) -> bytes:
        """The end of a stream that broke after its first content, in the one shape that clients show.

        A finish chunk, then the error, then ``[DONE]``: VS Code ignores an error before a finish reason, and
        openai-python raises APIError on it (checked 2026-11).
        """
        frames = self.take()
        if self.writer is not None:
            self.done = True
            return frames + self.writer.failure(error)
        detail = {**error.body()["error"], "partial": True}
        open_choices = [index for index, choice in sorted(self._choices.items()) if not choice.finished]
        for index in open_choices if self._choices else [0]:
            frames += self._frame({"choices": [{"index": index, **self._no_content(), "finish_reason": FAILED}]})
        self.done = True
        return frames + b"data: " + dumps({"error": detail}) + b"\n\n" + DONE

    def _event(self, data: bytes) -> None:
        if data == b"[DONE]" or data.strip() == b"[DONE]":
            self._complete()
            return
        if self.reader is not None:
            self._read(self.reader, data)
            return
        try:
            chunk = loads(data)
        except ValueError:
            self._count_garbage()
            return
        if type(chunk) is not dict:
            self._count_garbage()
        elif needs_mending(data) or not self._relay_plain(chunk, data):
            self._careful(chunk)

    def _read(self, reader: Reader, data: bytes) -> None:
        """An event of another dialect, by its meaning. A failure that our own worker tells is in OpenAI's."""
        try:
            if data.startswith(_WORKER_FAILURE):
                self._careful(loads(data))
            made = reader.read(data)
        except ValueError:
            self._count_garbage()
            return
        if isinstance(made, str):
            self._say(made)
        elif made is None:
            self._complete()
        else:
            for chunk in made:
                self._careful(chunk)
            if not made and is_progress(loads(data)):
                self.moves += 1

    def _say(self, content: str) -> None:
        """More text of choice 0, from a reader: the hot path of a translated stream."""
        choice = self._choices.get(0)
        if choice is None or not choice.role_sent or choice.finished:
            self._careful({"choices": [{"index": 0, "delta": {"content": content}}]})
        elif content:
            self._keep(content)
            self.committed = True
            self.moves += 1
            frame = self._written_text(content)
            if frame:
                self._frames.append(frame)

    def _written_text(self, content: str) -> bytes:
        if self.writer is not None:
            return self.writer.text(content)
        around = self._text_frame
        if around is None:
            choice = {"index": 0, "delta": {"content": ""}, "finish_reason": None}
            before, _, after = self._frame({"choices": [choice]}).rpartition(b'""')
            around = self._text_frame = (before, after)
        return around[0] + dumps(content) + around[1]

    def _relay_plain(self, chunk: Json, data: bytes) -> bool:
        """The hot path: a text delta of the only choice, relayed as it came. False when it is anything else."""
        choices = chunk.get("choices")
        if not self._head_is_whole or type(choices) is not list or len(choices) != 1 or len(self._choices) != 1:
            return False
        choice = choices[0]
        if (
            type(choice) is not dict
            or choice.get("finish_reason") is not None
            or choice.get("index") != 0
            or "error" in chunk
            or chunk.get("usage") is not None
            or chunk.get("model") != self._wire_model
            or chunk.get("id") != self._wire_id
            or chunk.get("object") != "chat.completion.chunk"
        ):
            return False
        delta = choice.get("delta")
        state = self._choices.get(0)
        if type(delta) is not dict or len(delta) != 1 or state is None or state.finished:
            return False
        ((name, content),) = delta.items()
        if type(content) is not str or name in _STRUCTURED or (name != "content" and not self._passes_unread):
            return False
        spliced = self._spliced(data)
        if spliced is None:
            return False
        if content:
            if name == "content":
                self._keep(content)
            self.committed = True
            self.moves += 1
            self._like_last = self._template(name, content, data)
        self._frames.append(b"data: " + spliced + b"\n\n" if self.writer is None else self.writer.text(content))
        return True

    @property
    def _passes_unread(self) -> bool:
        """Whether a delta other than text may go on without a look at what it is."""
        return self.writer is None and self._memory is None

    def _relay_like_last(self, data: bytes, like: _Template) -> bool:
        """The hottest path: a chunk that differs from the last one only inside its text.

        What is around the text was parsed and checked then; the text itself is checked here, as the JSON string
        that it is. False when the chunk is anything else.
        """
        if not (data.startswith(like.prefix) and data.endswith(like.suffix)) or len(data) <= like.shortest:
            return False
        text = data[len(like.prefix) : -len(like.suffix)]
        try:
            content = loads_strictly(b'"' + text + b'"')
        except ValueError:
            return False
        if like.is_content:
            self._keep(content)
        self.moves += 1
        writer = self.writer
        self._frames.append(like.shown_prefix + text + like.shown_suffix if writer is None else writer.text(content))
        return True

    def _template(self, name: str, content: str, data: bytes) -> _Template | None:
        """Learn the bytes around a chunk's text; None when they cannot be told apart for certain."""
        around = data.split(dumps(name) + b":" + dumps(content))
        if len(around) != 2:
            return None
        prefix, suffix = around[0] + dumps(name) + b':"', b'"' + around[1]
        probe = loads(prefix + _PROBE + suffix)
        if probe["choices"][0].get("delta") != {name: _PROBE.decode()}:
            return None
        shown_prefix, shown_suffix = self._shown(prefix), self._shown(suffix)
        return _Template(
            prefix,
            suffix,
            b"data: " + shown_prefix,
            shown_suffix + b"\n\n",
            len(prefix) + len(suffix),
            name == "content",
        )

    def _shown(self, part: bytes) -> bytes:
        if not self.terms.include_usage:
            part = part.replace(_NULL_USAGE, b"", 1)
        return part if self._model_bytes is None else part.replace(*self._model_bytes)

    def _spliced(self, data: bytes) -> bytes | None:
        # A line end in the data (it came as several data lines) would end our own data line.
        if b"\n" in data or (self._model_bytes is not None and data.count(self._model_bytes[0]) != 1):
            return None
        return self._shown(data)

    def _keep(self, content: str) -> None:
        self.completion_chars += len(content)
        if self._kept_chars < self.terms.text_cap:
            self.text.append(content)
            self._kept_chars += len(content)
        if self._memory is not None:
            self._memory.texts.append(content)

    def _careful(self, chunk: Json) -> None:
        """Any other chunk: first one, tool calls, finish, usage, several choices, or something to mend."""
        if chunk.get("error") or chunk.get("object") == "error":
            raise error_in_answer(self.terms.provider, chunk.get("error") or chunk)
        if read_usage(chunk.get("usage")) is not None:
            self._usage_wire = chunk["usage"]
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices:
            return
        if self._head is None:
            self._read_head(chunk)
        extras = {key: value for key, value in chunk.items() if key not in ("choices", "usage")}
        for choice in choices:
            if isinstance(choice, dict):
                self._choice(choice, extras)

    def _read_head(self, chunk: Json) -> None:
        """The first chunk fixes what every frame carries, and how the model name looks in this upstream's bytes."""
        self._head = {
            "id": usable_id(chunk) or self.terms.new_id("chatcmpl-"),
            "object": "chat.completion.chunk",
            "created": usable_created(chunk) or self.terms.created,
            "model": self.terms.shown_model,
        }
        self._head_is_whole = bool(usable_id(chunk) and usable_created(chunk))
        self._wire_id = chunk.get("id")
        self._wire_model = chunk.get("model")
        if self._wire_model != self.terms.shown_model:
            theirs = b'"model":' + dumps(self._wire_model)
            self._model_bytes = (theirs, b'"model":' + dumps(self.terms.shown_model))

    def _choice(self, wire: Json, extras: Json) -> None:
        index, choice = self._state(wire.get("index"))
        if choice.finished:
            return
        delta = wire.get("delta")
        choice.spoke = choice.spoke or isinstance(delta, dict)
        delta = dict(delta) if isinstance(delta, dict) else {}
        calls = delta.pop("tool_calls", None)
        self._send_delta(index, choice, delta, wire, extras)
        if isinstance(calls, list) and calls:
            before = choice.calls.progress
            self._send_calls(index, choice, choice.calls.add(calls), extras)
            self.moves += choice.calls.progress - before
        if has_finished(wire.get("finish_reason")):
            self._finish(index, choice, wire, extras)

    def _state(self, wire_index: object) -> tuple[int, ChoiceState]:
        index = wire_index if isinstance(wire_index, int) and 0 <= wire_index < MOST_CHOICES else 0
        choice = self._choices.get(index)
        if choice is None:
            calls = ToolCallOrder(partial(self.terms.new_id, "call_"), self.terms.custom_tools)
            choice = self._choices[index] = ChoiceState(calls)
        return index, choice

    def _send_delta(self, index: int, choice: ChoiceState, delta: Json, wire: Json, extras: Json) -> None:
        """Everything of a delta but its tool calls; the role rides on the first one."""
        delta.pop("role", None)
        content = delta.get("content")
        if content is not None and not isinstance(content, str):
            content = delta["content"] = joined_parts(content)
        if content:
            self._keep(content)
        if any(delta.values()):
            self.committed = True
            self.moves += 1
        elif choice.role_sent:
            return
        if self._memory is not None:
            delta |= self._memory.take(delta)
        if not choice.role_sent:
            delta = {"role": "assistant", **delta}
            choice.role_sent = True
        rest = {key: value for key, value in wire.items() if key not in ("index", "delta", "finish_reason")}
        self._send({"index": index, "delta": delta, **rest, "finish_reason": None}, extras)

    def _send_calls(self, index: int, choice: ChoiceState, deltas: list[Json], extras: Json) -> None:
        for delta in deltas:
            self.committed = True
            if self._memory is not None:
                self._memory.take_call(delta)
            self._send({"index": index, "delta": {"tool_calls": [delta]}, "finish_reason": None}, extras)

    def _finish(self, index: int, choice: ChoiceState, wire: Json, extras: Json) -> None:
        if wire["finish_reason"] == FAILED:
            raise error_in_answer(self.terms.provider, wire.get("error") or "the model broke while answering")
        if not choice.spoke:
            raise UpstreamBroken(f"{self.terms.provider} answered with a choice that says nothing.", cause="empty")
        self._send_calls(index, choice, choice.calls.finish(), extras)
        choice.finished = True
        self.committed = True
        self._like_last = None
        rest = {key: value for key, value in wire.items() if key not in ("index", "delta", "finish_reason", "logprobs")}
        reason = finish_reason(wire["finish_reason"])
        self._send({"index": index, "delta": {}, **rest, "finish_reason": reason}, extras)

    def _send(self, choice: Json, extras: Json) -> None:
        frame = self._frame({**extras, **(self._head or {}), "choices": [choice]})
        if frame:
            self._frames.append(frame)

    def _no_content(self) -> Json:
        """What a choice holds that only finishes."""
        return {"delta": {}}

    def _frame(self, body: Json) -> bytes:
        head = self._head or {
            "id": self.terms.new_id("chatcmpl-"),
            "object": "chat.completion.chunk",
            "created": self.terms.created,
            "model": self.terms.shown_model,
        }
        if self.writer is not None:
            return self.writer.chunk({**head, **body})
        return b"data: " + dumps({**head, **body}) + b"\n\n"

    def _complete(self) -> None:
        """``[DONE]`` or a clean end: the upstream's word that the answer is whole, so a missing finish is added.

        An answer with neither content nor a finish reason is none: another candidate may give one.
        """
        if not self.committed:
            raise UpstreamBroken(f"{self.terms.provider} answered with an empty stream.", cause="empty")
        for index, choice in sorted(self._choices.items()):
            if not choice.finished:
                reason = "tool_calls" if choice.calls else "stop"
                self._finish(index, choice, {"finish_reason": reason}, {})
        self.usage = read_usage(self._usage_wire) or estimate(self.terms.prompt_bytes, self.completion_chars)
        if self._memory is not None:
            self._memory.close()
        self._write_end(usage_body(self.usage, self._usage_wire))
        self.done = True

    def _write_end(self, usage: Json) -> None:
        if self.writer is not None:
            self._frames.append(self.writer.end(usage))
            return
        if self.terms.include_usage:
            self._frames.append(self._frame({"choices": [], "usage": usage}))
        self._frames.append(DONE)

    def _count_garbage(self) -> None:
        self._garbage += 1
        if self._garbage > MOST_GARBAGE:
            raise UpstreamBroken(f"{self.terms.provider} sent events that are not JSON.", cause="garbage")
