"""An upstream's stream to the stream our callers get: validated, ordered, ended exactly once. No I/O.

Both sides are OpenAI's unless a ``reader`` understands the upstream's dialect or a ``writer`` speaks the caller's;
between the two stand canonical chunks, so that the rules here hold for every pair.

What clients need of it was measured against VS Code, openai-python and the Copilot CLI (2026-11): one finish reason
of a known word per choice, a usage chunk only when asked for and then with ``choices: []`` and three numbers, no
text in a tool delta, ``[DONE]`` once. A healthy chunk keeps its bytes: only the model name is spliced.

No answer ends well that is not whole. What cannot be read, and what says that it failed, ends the stream as broken; a
finish reason is what the last one said, told when nothing more can come; one that the upstream left out is added only
over what can be seen to be whole.
"""

from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from orcestator.dialects.canonical import Writer
from orcestator.dialects.failures import error_in_answer, failure_in_event, unreadable
from orcestator.dialects.openai.choice import ChoiceState
from orcestator.dialects.openai.content import spoken, usable_created, usable_id
from orcestator.dialects.openai.events import EventReader, Template
from orcestator.dialects.openai.finish import FAILED, finish_reason, has_finished, is_failure
from orcestator.dialects.openai.memory import Memory, Remember
from orcestator.dialects.openai.tool_calls import ToolCallOrder
from orcestator.dialects.openai.usage import UsageTally, estimate, usage_body
from orcestator.dialects.sse import DONE, LineSplitter, SseSplitter
from orcestator.errors import OrcestatorError, UpstreamBroken
from orcestator.json_text import Json, dumps, loads, loads_strictly
from orcestator.usage import Usage

MOST_CHOICES = 128
MOST_HELD = 65_536
"""Deltas that wait for the end of a tool call."""
_NO_CHUNK = frozenset({"ping", "heartbeat", "keepalive", "keep-alive"})
"""Types of events that only keep a connection open."""
_STRUCTURED = frozenset({"role", "tool_calls", "function_call"})
"""Fields of a delta that are not text, whatever type an upstream gives them."""
_OUTSIDE_REST = ("index", "delta", "finish_reason")
_NULL_USAGE = b',"usage":null'
_PROBE = b"orcestator-probe"
_RUN_OF = 3
"""So many chunks that are alike are worth a look at all of them at once."""
_BETWEEN = b'","'


@dataclass(slots=True)
class ChatStream(EventReader):
    """One answer's decoder. ``feed`` and ``end`` collect frames, ``take`` hands them out.

    ``committed`` turns true with the first semantic content: before it another candidate may still be tried.
    ``complete`` says that every choice that began has its finish reason.
    """

    writer: Writer | None = None
    remember: Remember | None = None
    committed: bool = False
    text: list[str] = field(default_factory=list)
    completion_chars: int = 0
    usage: Usage | None = None
    _kept_chars: int = 0
    _frames: list[bytes] = field(default_factory=list)
    _choices: dict[int, ChoiceState] = field(default_factory=dict)
    _tally: UsageTally = field(default_factory=UsageTally)
    _head: Json | None = None
    _head_is_whole: bool = False
    _wire_id: object = None
    _wire_model: object = None
    _model_bytes: tuple[bytes, bytes] | None = None
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
    def usage_so_far(self) -> Usage:
        """The answer's usage, also of one that broke."""
        return self.usage or self._tally.so_far(self.terms.prompt_bytes, self.completion_chars, self.moves)

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
        events = self._splitter.feed(piece)
        relayed = 0
        # Up to here each is looked at by itself: a run that cannot be relayed at once is not looked at as one again.
        alone = 0 if len(events) >= _RUN_OF else len(events)
        for place, data in enumerate(events):
            if place < relayed:
                continue
            if self.done:
                return
            like = self._like_last
            if place >= alone and like is not None:
                texts = self._run_of(events, place, like)
                if self._relay_run(texts, like):
                    relayed = place + len(texts)
                    continue
                alone = place + len(texts)
            if like is None or not self._relay_like_last(data, like):
                self._event(data)
        if self._splitter.error is not None:
            self._named_error()

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
        if self._splitter.error is not None:
            self._named_error()
        if self.done:
            return
        if not self.complete:
            raise self._ended_early()
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
        open_choices = [index for index, choice in sorted(self._choices.items()) if not choice.closed]
        for index in open_choices if self._choices else [0]:
            frames += self._frame({"choices": [{"index": index, **self._no_content(), "finish_reason": FAILED}]})
        self.done = True
        return frames + b"data: " + dumps({"error": detail}) + b"\n\n" + DONE

    def _say(self, content: str) -> None:
        """More text of choice 0, from a reader: the hot path of a translated stream."""
        choice = self._choices.get(0)
        if choice is None or not choice.flows:
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
            or "error" in choice
            or chunk.get("usage") is not None
            or chunk.get("model") != self._wire_model
            or chunk.get("id") != self._wire_id
            or chunk.get("object") != "chat.completion.chunk"
        ):
            return False
        delta = choice.get("delta")
        state = self._choices.get(0)
        if type(delta) is not dict or len(delta) != 1 or state is None or not state.flows:
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

    def _relay_like_last(self, data: bytes, like: Template) -> bool:
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
            # As ``_keep``, without a call for each.
            size = len(content)
            self.completion_chars += size
            if self._kept_chars < self.terms.text_cap:
                self.text.append(content)
                self._kept_chars += size
            if self._memory is not None:
                self._memory.texts.append(content)
        self.moves += 1
        writer = self.writer
        self._frames.append(like.shown_prefix + text + like.shown_suffix if writer is None else writer.text(content))
        return True

    def _run_of(self, events: list[bytes], start: int, like: Template) -> list[bytes]:
        """The texts of the chunks from ``start`` on that differ from the last one only inside their text."""
        prefix, suffix, shortest = like.prefix, like.suffix, like.shortest
        before, after = len(prefix), len(suffix)
        texts: list[bytes] = []
        for data in islice(events, start, None):
            if not (data.startswith(prefix) and data.endswith(suffix)) or len(data) <= shortest:
                break
            texts.append(data[before:-after])
        return texts

    def _relay_run(self, texts: list[bytes], like: Template) -> bool:
        """Relay chunks that are like the last one, all in one go. False where each of them has to be looked at.

        Their texts are checked as one list of JSON strings. None of them has a quotation mark, so that none can end early, and one that
        ends in a lone backslash would make the list shorter: those, and runs of one, are for ``_relay_like_last``.
        """
        count = len(texts)
        if count < _RUN_OF:
            return False
        joined = _BETWEEN.join(texts)
        if joined.count(b'"') != 2 * (count - 1):
            return False
        try:
            contents = loads_strictly(b'["' + joined + b'"]')
        except ValueError:
            return False
        if len(contents) != count:
            return False
        if like.is_content:
            self._keep("".join(contents))
        self.moves += count
        if self.writer is None:
            between = like.shown_suffix + like.shown_prefix
            self._frames.append(like.shown_prefix + between.join(texts) + like.shown_suffix)
        else:
            self._frames += map(self.writer.text, contents)
        return True

    def _template(self, name: str, content: str, data: bytes) -> Template | None:
        """Learn the bytes around a chunk's text; None when they cannot be told apart for certain."""
        around = data.split(dumps(name) + b":" + dumps(content))
        if len(around) != 2:
            return None
        prefix, suffix = around[0] + dumps(name) + b':"', b'"' + around[1]
        probe = loads(prefix + _PROBE + suffix)
        if probe["choices"][0].get("delta") != {name: _PROBE.decode()}:
            return None
        shown_prefix, shown_suffix = self._shown(prefix), self._shown(suffix)
        return Template(
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

    def _careful(self, chunk: Any) -> None:
        """Any other chunk: first one, tool calls, finish, usage, several choices, or something to mend."""
        if not isinstance(chunk, dict):
            if chunk is not None:
                raise unreadable(self.terms.provider)
            return
        if chunk.get("error") or chunk.get("object") == "error":
            raise error_in_answer(self.terms.provider, chunk.get("error") or chunk)
        choices = chunk.get("choices")
        if choices or not isinstance(choices, list | None):
            self._take_choices(choices, chunk)
        else:
            self._without_choices(chunk)
        if chunk.get("usage"):
            self._tally.take(chunk["usage"], self.moves)

    def _take_choices(self, choices: Any, chunk: Json) -> None:
        if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
            raise unreadable(self.terms.provider)
        if self._head is None:
            self._read_head(chunk)
        extras = {key: value for key, value in chunk.items() if key not in ("choices", "usage")}
        for choice in choices:
            if choice.get("error"):
                raise error_in_answer(self.terms.provider, choice["error"])
            self._choice(choice, extras)

    def _without_choices(self, chunk: Json) -> None:
        """Usage, a sign of life, a failure in words of its own; anything else is odd, and the end has to show what it meant."""
        is_known = "choices" in chunk or "usage" in chunk or chunk.get("object") == "chat.completion.chunk"
        detail = failure_in_event(chunk)
        if detail is not None:
            raise error_in_answer(self.terms.provider, detail)
        if not is_known and any(chunk.values()) and chunk.get("type") not in _NO_CHUNK:
            self._odd = chunk

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
        delta = choice.delta_in(wire, self.terms.provider)
        if "delta" not in wire:
            wire = {name: value for name, value in wire.items() if name not in ("message", "text")}
        calls = delta.pop("tool_calls", None)
        if self.writer is not None and isinstance(delta.get("function_call"), dict):
            # Only OpenAI's own callers know calls of before there were tools.
            calls = calls or [{"index": 0, "type": "function", "function": delta.pop("function_call")}]
        speaks = self._send_delta(index, choice, delta, wire, extras)
        if calls:
            wires = [calls] if isinstance(calls, dict) else calls
            if not isinstance(wires, list):
                raise unreadable(self.terms.provider)
            before = choice.calls.progress
            self._send_calls(index, choice, choice.calls.add(wires), extras)
            self.moves += choice.calls.progress != before
            speaks = True
        if speaks:
            choice.go_on()
        if has_finished(wire.get("finish_reason")):
            self._take_reason(choice, wire, extras, speaks=speaks)
        choice.flows = choice.role_sent and not choice.finished and not self._is_inside_call(choice)

    def _is_inside_call(self, choice: ChoiceState) -> bool:
        """Whether nothing but more of the call can go out: OpenAI's clients alone keep text and calls apart by themselves."""
        return self.writer is not None and choice.calls.is_live

    def _state(self, wire_index: object) -> tuple[int, ChoiceState]:
        index = wire_index if isinstance(wire_index, int) and 0 <= wire_index < MOST_CHOICES else 0
        choice = self._choices.get(index)
        if choice is None:
            calls = ToolCallOrder(partial(self.terms.new_id, "call_"), self.terms.custom_tools, self.terms.tool_names)
            choice = self._choices[index] = ChoiceState(calls)
        return index, choice

    def _send_delta(self, index: int, choice: ChoiceState, delta: Json, wire: Json, extras: Json) -> bool:
        """Everything of a delta but its tool calls; the role rides on the first one. Gives whether there is content in it."""
        delta.pop("role", None)
        self._read_content(delta)
        choice.take_legacy_call(delta, self.terms.provider)
        content = delta.get("content")
        if content:
            self._keep(content)
        speaks = any(delta.values())
        if speaks:
            self.committed = True
            self.moves += 1
        elif choice.role_sent:
            return False
        if self._memory is not None:
            delta |= self._memory.take(delta)
        if not choice.role_sent:
            delta = {"role": "assistant", **delta}
            choice.role_sent = True
        rest = {key: value for key, value in wire.items() if key not in _OUTSIDE_REST}
        if speaks and self._is_inside_call(choice) and not choice.calls.is_over():
            self._hold(choice, (delta, rest, extras))
        else:
            self._release(index, choice)
            self._send({"index": index, "delta": delta, **rest, "finish_reason": None}, extras)
        return speaks

    def _read_content(self, delta: Json) -> None:
        """A content that is no string becomes what it says."""
        content = delta.get("content")
        if content is None or isinstance(content, str):
            return
        said = spoken(content)
        for name in ("reasoning_content", "refusal"):
            if name in said:
                said[name] = (delta.get(name) or "") + said[name]
        delta |= said

    def _hold(self, choice: ChoiceState, held: tuple[Json, Json, Json]) -> None:
        if len(choice.held) >= MOST_HELD:
            raise UpstreamBroken(f"{self.terms.provider} never ended a tool call.", cause="half_tool_call")
        choice.held.append(held)

    def _release(self, index: int, choice: ChoiceState) -> None:
        """What was held until a call was over."""
        held, choice.held = choice.held, []
        for delta, rest, extras in held:
            self._send({"index": index, "delta": delta, **rest, "finish_reason": None}, extras)

    def _send_calls(self, index: int, choice: ChoiceState, deltas: list[Json], extras: Json) -> None:
        if self.writer is not None:
            self._like_last = None
        for delta in deltas:
            self.committed = True
            if self._memory is not None:
                self._memory.take_call(delta)
            self._send({"index": index, "delta": {"tool_calls": [delta]}, "finish_reason": None}, extras)
        if choice.held and choice.calls.is_over():
            self._release(index, choice)

    def _take_reason(self, choice: ChoiceState, wire: Json, extras: Json, *, speaks: bool) -> None:
        """Why the choice ended, as far as anybody knows: more may follow, with a reason of its own."""
        if is_failure(wire["finish_reason"]):
            detail = wire.get("error") or f"the model broke while answering ({wire['finish_reason']})"
            raise error_in_answer(self.terms.provider, detail)
        if not choice.spoke:
            raise UpstreamBroken(f"{self.terms.provider} answered with a choice that says nothing.", cause="empty")
        reason = finish_reason(wire["finish_reason"])
        # A plain stop right after another reason repeats that the choice is over; it does not make it whole.
        if choice.reason is None or choice.said_more or reason != "stop":
            choice.reason = reason
        rest = {key: value for key, value in wire.items() if key not in _OUTSIDE_REST and key != "logprobs"}
        choice.last = ({**choice.last[0], **rest}, extras)
        choice.said_more = False
        # In OpenAI's dialect [DONE] is still to come, and who gives a reason with every chunk has not said anything by it.
        choice.finished = not (choice.went_on and speaks and self.reader is None)
        # An answer may be empty, but as long as a call waits another candidate can still be asked.
        self.committed = self.committed or not choice.calls.has_waiting
        self._like_last = None

    def _close(self, index: int, choice: ChoiceState) -> None:
        """The end of a choice: all that waited, then its reason."""
        rest, extras = choice.last
        self._send_calls(index, choice, choice.calls.finish(), extras)
        self._release(index, choice)
        choice.flows, choice.finished, choice.closed = False, True, True
        self._send({"index": index, **self._no_content(), **rest, "finish_reason": choice.told_reason()}, extras)

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
        if self._split is not None:
            rest, self._split = self._split.rest(), None
            for event in rest:
                self._whole_event(event)
        has_reasons = bool(self._choices) and all(choice.reason for choice in self._choices.values())
        if self._odd is not None and not has_reasons:
            raise self._ended_early()
        if not (self.committed or has_reasons):
            raise UpstreamBroken(f"{self.terms.provider} answered with an empty stream.", cause="empty")
        for choice in self._choices.values():
            choice.check_whole(self.terms.provider)
        for index, choice in sorted(self._choices.items()):
            self._close(index, choice)
        told = self._tally.told(self.completion_chars, self.moves)
        self.usage, wire = told or (estimate(self.terms.prompt_bytes, self.completion_chars), None)
        if self._memory is not None:
            self._memory.close()
        self._write_end(usage_body(self.usage, wire))
        self.done = True

    def _write_end(self, usage: Json) -> None:
        if self.writer is not None:
            self._frames.append(self.writer.end(usage))
            return
        if self.terms.include_usage:
            self._frames.append(self._frame({"choices": [], "usage": usage}))
        self._frames.append(DONE)
