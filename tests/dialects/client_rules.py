"""What coding clients need of a chat stream, as one check over the bytes they would get.

Measured against VS Code, openai-python and the Copilot CLI (2026-11): whatever breaks a rule here loses an answer, a
tool call or an error message in at least one of them.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from orcestator.dialects.openai.events import StreamTerms
from orcestator.dialects.openai.stream import ChatStream
from orcestator.errors import UpstreamError
from orcestator.json_text import Json

DONE = b"data: [DONE]"
FINISH_REASONS = {"stop", "length", "tool_calls", "content_filter", "function_call"}
SHOWN = "orcestator"
PROMPT_BYTES = 40


@dataclass
class Choice:
    """One choice as a client puts it together."""

    text: str = ""
    calls: list[Json] = field(default_factory=list)
    finish: str | None = None


@dataclass
class Seen:
    """The whole answer as a client puts it together."""

    choices: dict[int, Choice] = field(default_factory=dict)
    usage: Json | None = None
    error: Json | None = None

    @property
    def text(self) -> str:
        return self.choices[0].text if 0 in self.choices else ""

    @property
    def calls(self) -> list[Json]:
        return self.choices[0].calls

    @property
    def finish(self) -> str | None:
        return self.choices[0].finish


def assert_client_safe(output: bytes, *, include_usage: bool = False) -> Seen:
    """Put the answer together as a client does, and fail on anything that one of them stumbles over."""
    bodies = _bodies(output)
    seen = Seen()
    for place, body in enumerate(bodies):
        if "error" in body and body["error"] is not None:
            assert place == len(bodies) - 1, "the error is the last thing before [DONE]"
            seen.error = _checked_error(body)
        else:
            _read_chunk(body, seen, include_usage=include_usage)
    failed = seen.error is not None
    for choice in seen.choices.values():
        assert choice.finish in FINISH_REASONS | ({"error"} if failed else set()), "one known finish reason"
    assert seen.choices, "an answer has a choice"
    assert failed or (seen.usage is not None) == include_usage, "usage exactly when asked for"
    return seen


def _bodies(output: bytes) -> list[Json]:
    assert output.endswith(DONE + b"\n\n")
    frames = output.decode("utf-8", "strict").split("\n\n")[:-1]
    assert [place for place, frame in enumerate(frames) if frame == DONE.decode()] == [len(frames) - 1]
    for frame in frames:
        assert frame.startswith("data: "), frame
        assert "\n" not in frame, "one line an event: VS Code reads lines"
        assert "\r" not in frame
    bodies = [json.loads(frame[6:]) for frame in frames[:-1]]
    assert all(isinstance(body, dict) for body in bodies)
    return bodies


def _checked_error(body: Json) -> Json:
    assert "choices" not in body, "VS Code ignores an error that has choices"
    error: Json = body["error"]
    assert isinstance(error["message"], str)
    assert error["message"]
    assert {"type", "param", "code"} <= error.keys()
    assert error["partial"] is True
    return error


def _read_chunk(body: Json, seen: Seen, *, include_usage: bool) -> None:
    assert isinstance(body["id"], str)
    assert body["object"] == "chat.completion.chunk"
    assert isinstance(body["created"], int)
    assert body["model"] == SHOWN
    assert isinstance(body["choices"], list)
    if not body["choices"]:
        assert include_usage, "a usage chunk nobody asked for"
        assert seen.usage is None, "usage comes once"
        assert all(choice.finish for choice in seen.choices.values()), "usage comes after every finish"
        seen.usage = body["usage"]
        _check_usage(seen.usage)
        return
    assert body.get("usage") is None, "usage comes in its own chunk"
    assert seen.usage is None, "nothing follows usage"
    for wire in body["choices"]:
        _read_choice(wire, seen)


def _check_usage(usage: Any) -> None:
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert type(usage[name]) in (int, float), f"VS Code crashes without {name}"
        assert usage[name] >= 0


def _read_choice(wire: Json, seen: Seen) -> None:
    assert type(wire["index"]) is int
    is_first = wire["index"] not in seen.choices
    choice = seen.choices.setdefault(wire["index"], Choice())
    delta = wire["delta"]
    assert isinstance(delta, dict)
    assert choice.finish is None, "nothing follows a finish reason"
    if is_first and wire["finish_reason"] != "error":
        assert delta.get("role") == "assistant", "the role rides on the first delta"
    content = delta.get("content")
    assert content is None or isinstance(content, str)
    choice.text += content or ""
    if "tool_calls" in delta:
        assert "content" not in delta, "VS Code loses the text of a delta with tool calls"
        assert delta["tool_calls"], "an empty list of calls swallowed text in VS Code"
        for call in delta["tool_calls"]:
            _read_call(call, choice)
    choice.finish = wire["finish_reason"]


def _read_call(wire: Json, choice: Choice) -> None:
    """VS Code groups by id and otherwise adds to the last call, whatever the index says."""
    if "id" in wire:
        assert isinstance(wire["id"], str)
        assert wire["id"]
        assert wire["id"] not in [call["id"] for call in choice.calls], "an id starts one call, once"
        assert wire["index"] == len(choice.calls)
        part = wire[wire["type"]]
        assert isinstance(part["name"], str)
        assert part["name"]
        choice.calls.append({"id": wire["id"], "type": wire["type"], "name": part["name"], "text": "", "more": {}})
    call = choice.calls[-1]
    assert wire["index"] == len(choice.calls) - 1, "calls come one after another, each whole"
    text = wire[call["type"]].get("arguments" if call["type"] == "function" else "input", "")
    assert isinstance(text, str), "VS Code shows [object Object]"
    call["text"] += text
    call["more"] |= {key: value for key, value in wire.items() if key not in ("index", "id", "type", call["type"])}


def ids() -> Callable[[str], str]:
    """Ids as a process makes them, but predictable."""
    numbers = count(1)
    return lambda prefix: f"{prefix}made{next(numbers)}"


def terms(*, include_usage: bool = False, text_cap: int = 2000) -> StreamTerms:
    """Terms of a stream for tests."""
    return StreamTerms("prov", SHOWN, include_usage, PROMPT_BYTES, 1_700_000_000, text_cap, ids())


@dataclass
class Told:
    """A stream's outcome: what the caller got, and the failure when there was one."""

    output: bytes
    stream: ChatStream
    failure: UpstreamError | None

    @property
    def fell_back(self) -> bool:
        """The failure came before the commit point: the caller never learns of it."""
        return self.failure is not None and not self.stream.committed


def run(pieces: list[bytes], stream: ChatStream | None = None) -> Told:
    """Feed pieces as the transport would; a failure after the commit point is told inside the stream."""
    stream = stream or ChatStream(terms())
    output = b""
    try:
        for piece in pieces:
            stream.feed(piece)
            output += stream.take()
        stream.end()
        output += stream.take()
    except UpstreamError as failure:
        return Told(output + stream.failure_frames(failure) if stream.committed else b"", stream, failure)
    return Told(output, stream, None)


def safe(wire: bytes, *, include_usage: bool = False) -> Seen:
    """The answer that a healthy-enough stream becomes, checked."""
    told = run([wire], ChatStream(terms(include_usage=include_usage)))
    assert told.failure is None, told.failure
    return assert_client_safe(told.output, include_usage=include_usage)


def chunk(delta: Any = None, finish: Any = None, index: Any = 0, **more: Any) -> Json:
    """An upstream's chunk."""
    choice = {"index": index, "delta": {} if delta is None else delta, "finish_reason": finish}
    return head(choices=[choice], **more)


def head(**more: Any) -> Json:
    """An upstream's chunk without choices."""
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1_600_000_000, "model": "gpt-x", **more}


def sse(*events: Any, end: bytes = b"\n\n") -> bytes:
    """Events as an upstream writes them; a string or bytes go out as they are."""
    return b"".join(b"data: " + _data(event) + end for event in events)


def _data(event: Any) -> bytes:
    if isinstance(event, bytes):
        return event
    if isinstance(event, str):
        return event.encode()
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


ROLE = chunk({"role": "assistant", "content": ""})
STOP = chunk({}, "stop")
END = "[DONE]"


def text(content: str, **more: Any) -> Json:
    """A text delta."""
    return chunk({"content": content}, **more)
