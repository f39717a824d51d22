"""What a caller of each dialect makes of the bytes it got, strictly: whole, told, or neither, with the reason.

Nothing here is the product's: the parsers follow the API references and the HTML standard's event-stream grammar.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from orcestator.json_text import Json

CALLERS = ("openai", "anthropic", "responses", "gemini", "ollama")


class Malformed(Exception):
    """What came is no answer of this dialect."""


@dataclass
class Seen:
    """An answer as a client puts it together. ``finishes`` are the reasons it was given; ``error`` is the error's text."""

    text: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    finishes: list[str] = field(default_factory=list)
    is_ended: bool = False
    error: str | None = None


@dataclass(frozen=True)
class Reply:
    """An HTTP answer off the wire. ``is_cut`` when its body did not end as its head promised."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_cut: bool


def reply_in(raw: bytes) -> Reply:
    """The answer in everything that came until the other side closed. Raises Malformed."""
    head, found, rest = raw.partition(b"\r\n\r\n")
    if not found:
        raise Malformed(f"no answer: {raw[:80]!r}")
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, status = first.partition(" ")
    need(version in ("HTTP/1.1", "HTTP/1.0") and status[:3].isdigit(), f"a status line {first!r}")
    headers: dict[str, str] = {}
    for one in lines:
        name, colon, value = one.partition(":")
        need((bool(colon) and name.lower() not in headers) or name.lower() in ("vary", "set-cookie"), f"a line {one!r}")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body, is_cut = _dechunked(rest)
    elif "content-length" in headers:
        need(len(rest) <= int(headers["content-length"]), "bytes after the body")
        body, is_cut = rest, len(rest) < int(headers["content-length"])
    else:
        body, is_cut = rest, False
    return Reply(int(status[:3]), headers, body, is_cut)


def _dechunked(rest: bytes) -> tuple[bytes, bool]:
    body = b""
    while True:
        size, found, rest = rest.partition(b"\r\n")
        if not found:
            return body, True
        count = int(size, 16)
        if not count:
            need(rest == b"\r\n", "bytes after the last chunk")
            return body, False
        if len(rest) < count + 2:
            return body + rest[:count], True
        need(rest[count : count + 2] == b"\r\n", "a chunk without its end")
        body, rest = body + rest[:count], rest[count + 2 :]


def need(is_so: bool, what: str) -> None:
    """Raises Malformed unless it is so."""
    if not is_so:
        raise Malformed(what)


def parsed(text: str) -> Any:
    """JSON by its standard: no NaN, no name twice, no control characters in strings. Raises Malformed."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except ValueError as error:
        raise Malformed(f"not JSON ({error}): {text[:80]!r}") from None


def _unique(pairs: list[tuple[str, Any]]) -> Json:
    need(len({name for name, _ in pairs}) == len(pairs), "a name twice in one object")
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def decoded(body: bytes) -> str:
    """UTF-8. Raises Malformed."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"not UTF-8: {error}") from None


def events(body: bytes) -> list[tuple[str, str]]:
    """(name, data) of each event (https://html.spec.whatwg.org/multipage/server-sent-events.html, checked 2026-11)."""
    text = decoded(body).removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    found: list[tuple[str, str]] = []
    for block in text.split("\n\n"):
        name, lines = "", []
        for one in block.split("\n"):
            label, _, value = one.partition(":")
            value = value.removeprefix(" ")
            if label == "data":
                lines.append(value)
            elif label == "event":
                name = value
        if lines:
            found.append((name, "\n".join(lines)))
    return found


# --- OpenAI chat ------------------------------------------------------------------------------------------------------


def openai_whole(value: Json) -> Seen:
    """A chat completion."""
    need(value.get("object") == "chat.completion", "not a chat.completion")
    need(len(value["choices"]) == 1, "not one choice")
    choice = value["choices"][0]
    message = choice["message"]
    need(message["role"] == "assistant", "a message of another role")
    seen = Seen(message.get("content") or "", finishes=[choice["finish_reason"]], is_ended=True)
    for call in message.get("tool_calls") or ():
        need(bool(call["id"]) and call["type"] == "function", "a call without an id")
        seen.calls.append((call["function"]["name"], call["function"]["arguments"]))
    need(not seen.calls or seen.finishes[0] in ("tool_calls", "stop"), "calls that did not finish as calls")
    return seen


def openai_stream(body: bytes) -> Seen:
    """Chunks until ``[DONE]``, which is last."""
    seen, pieces = Seen(), list[list[str]]()
    for _, text in events(body):
        need(not seen.is_ended, f"an event after [DONE]: {text[:60]}")
        if text == "[DONE]":
            seen.is_ended = True
            continue
        value = parsed(text)
        need(seen.error is None, "an event after the error")
        if value.get("error"):
            seen.error = value["error"]["message"]
            continue
        need(value.get("object") == "chat.completion.chunk", f"not a chunk: {text[:60]}")
        for choice in value["choices"]:
            _openai_choice(seen, pieces, choice)
    seen.calls = [(name, "".join(arguments)) for name, *arguments in pieces]
    return seen


def _openai_choice(seen: Seen, pieces: list[list[str]], choice: Json) -> None:
    delta = choice.get("delta") or {}
    content, calls = delta.get("content"), delta.get("tool_calls") or []
    need(not (seen.finishes and (content or calls)), "content after the finish")
    need(content is None or isinstance(content, str), "content that is no text")
    seen.text += content or ""
    for call in calls:
        if call["index"] == len(pieces):
            need(bool(call.get("id")) and bool(call["function"].get("name")), "a call that begins without id or name")
            pieces.append([call["function"]["name"]])
        need(call["index"] < len(pieces), "a call's index with a gap before it")
        pieces[call["index"]].append(call["function"].get("arguments") or "")
    if choice.get("finish_reason"):
        seen.finishes.append(choice["finish_reason"])


# --- Anthropic Messages -----------------------------------------------------------------------------------------------


def anthropic_whole(value: Json) -> Seen:
    """A message."""
    need(value.get("type") == "message" and value.get("role") == "assistant", "not a message")
    seen = Seen(finishes=[value["stop_reason"]], is_ended=True)
    for block in value["content"]:
        if block["type"] == "text":
            seen.text += block["text"]
        elif block["type"] == "tool_use":
            seen.calls.append((block["name"], json.dumps(block["input"])))
    need((seen.finishes[0] == "tool_use") == bool(seen.calls), "stop_reason tool_use without a call, or the reverse")
    return seen


def anthropic_stream(body: bytes) -> Seen:
    """Events by their names: a message, blocks one after another, one reason, an end or an error."""
    said = _Message()
    for name, text in events(body):
        value = parsed(text)
        need(value["type"] == name, f"{name} is called {value['type']}")
        need(not said.seen.is_ended and said.seen.error is None, f"{name} after the end")
        said.take(name, value)
    seen = said.seen
    # A call without a piece of input has the empty object that its block began with.
    seen.calls = [(name, arguments or "{}") for name, arguments in seen.calls]
    if seen.is_ended:
        need(said.block is None, "a block is left open")
        need((seen.finishes == ["tool_use"]) == bool(seen.calls), f"stop_reason {seen.finishes} with {seen.calls}")
    return seen


class _Message:
    """A message as its events come."""

    def __init__(self) -> None:
        self.seen = Seen()
        self.block: Json | None = None
        self._is_begun = False

    def take(self, name: str, value: Json) -> None:
        """One event; one that is not known is passed over."""
        if name == "message_start":
            need(not self._is_begun, "two beginnings")
            self._is_begun = True
        elif name == "error":
            self.seen.error = value["error"]["message"]
        elif name == "message_stop":
            self.seen.is_ended = True
        elif name == "message_delta":
            if reason := value["delta"].get("stop_reason"):
                self.seen.finishes.append(reason)
        elif name.startswith("content_block_"):
            self._take_of_block(name, value)

    def _take_of_block(self, name: str, value: Json) -> None:
        if name == "content_block_start":
            need(self.block is None and self._is_begun and not self.seen.finishes, "a block inside another")
            block: Json = value["content_block"]
            self.block = block
            if block["type"] == "tool_use":
                need(bool(block["id"]), "a call without an id")
                self.seen.calls.append((block["name"], ""))
            self.seen.text += block.get("text", "")
        elif name == "content_block_delta":
            need(self.block is not None, "a delta outside of a block")
            _anthropic_delta(self.seen, self.block or {}, value["delta"])
        elif name == "content_block_stop":
            need(self.block is not None, "a block ends that is not open")
            self.block = None


def _anthropic_delta(seen: Seen, block: Json, delta: Json) -> None:
    if delta["type"] == "text_delta":
        need(block["type"] == "text", "text in another block")
        seen.text += delta["text"]
    elif delta["type"] == "input_json_delta":
        need(block["type"] == "tool_use", "arguments in another block")
        name, arguments = seen.calls[-1]
        seen.calls[-1] = (name, arguments + delta["partial_json"])


# --- OpenAI Responses -------------------------------------------------------------------------------------------------


def responses_whole(value: Json) -> Seen:
    """A response."""
    need(value.get("object") == "response", "not a response")
    seen = Seen(finishes=[value["status"]], is_ended=True)
    for item in value["output"]:
        if item["type"] == "message":
            seen.text += "".join(part["text"] for part in item["content"] if part["type"] == "output_text")
        elif item["type"] == "function_call":
            need(bool(item["call_id"]), "a call without an id")
            seen.calls.append((item["name"], item["arguments"]))
    return seen


def responses_stream(body: bytes) -> Seen:
    """What the deltas say, what the finished items say and what the last event says must be the same."""
    seen, said, calls, text = Seen(), Seen(), dict[int, list[str]](), ""
    for name, raw in events(body):
        value = parsed(raw)
        need(value["type"] == name, f"{name} is called {value['type']}")
        if name == "error":
            seen.error = seen.error or value.get("message") or value["error"]["message"]
            continue
        need(not seen.is_ended, f"{name} after the end")
        if name == "response.output_text.delta":
            text += value["delta"]
        elif name == "response.output_item.added" and value["item"]["type"] == "function_call":
            calls[value["output_index"]] = [value["item"]["name"]]
        elif name == "response.function_call_arguments.delta":
            calls[value["output_index"]].append(value["delta"])
        elif name in ("response.completed", "response.incomplete"):
            said = responses_whole(value["response"])
            seen.finishes.append(value["response"]["status"])
            seen.is_ended = True
        elif name == "response.failed":
            seen.error = value["response"]["error"]["message"]
            seen.is_ended = True
    seen.text, seen.calls = text, [(name, "".join(pieces)) for name, *pieces in calls.values()]
    if seen.finishes:
        need(said.text == seen.text, f"deltas {seen.text!r}, the end {said.text!r}")
        need(said.calls == seen.calls, f"deltas {seen.calls}, the end {said.calls}")
    return seen


# --- Gemini -----------------------------------------------------------------------------------------------------------


def gemini_whole(value: Json) -> Seen:
    """A generateContent answer."""
    seen = Seen(is_ended=True)
    _gemini(seen, value)
    return seen


def gemini_stream(body: bytes) -> Seen:
    """Events, each an answer of its own; after a broken one the bare error too, which one client wants."""
    text = decoded(body)
    bare = text.rfind('\n{"error"')
    seen = Seen()
    for _, one in events((text if bare < 0 else text[: bare + 1]).encode()):
        value = parsed(one)
        need(seen.error is None, "an event after the error")
        if "error" in value:
            seen.error = value["error"]["message"]
        else:
            _gemini(seen, value)
    if bare >= 0:
        need(seen.error is not None and "error" in parsed(text[bare:]), "a bare error alone")
    seen.is_ended = bool(seen.finishes)
    return seen


def _gemini(seen: Seen, value: Json) -> None:
    for candidate in value.get("candidates") or ():
        parts = candidate.get("content", {}).get("parts") or ()
        need(not (seen.finishes and any(part.get("text") or "functionCall" in part for part in parts)), "content late")
        for part in parts:
            if not part.get("thought"):
                seen.text += part.get("text", "")
            if "functionCall" in part:
                seen.calls.append((part["functionCall"]["name"], json.dumps(part["functionCall"].get("args", {}))))
        if candidate.get("finishReason"):
            seen.finishes.append(candidate["finishReason"])


# --- Ollama -----------------------------------------------------------------------------------------------------------


def ollama_whole(value: Json) -> Seen:
    """A chat answer."""
    seen = Seen()
    _ollama(seen, value)
    return seen


def ollama_stream(body: bytes) -> Seen:
    """A line an answer; the last one is done, or an error."""
    seen = Seen()
    for one in decoded(body).splitlines():
        if not one.strip():
            continue
        value = parsed(one)
        need(not seen.is_ended and seen.error is None, f"a line after the end: {one[:60]}")
        if "error" in value:
            seen.error = value["error"]
        else:
            _ollama(seen, value)
    return seen


def _ollama(seen: Seen, value: Json) -> None:
    message = value["message"]
    seen.text += message.get("content") or ""
    for call in message.get("tool_calls") or ():
        seen.calls.append((call["function"]["name"], json.dumps(call["function"]["arguments"])))
    if value["done"] is True:
        seen.is_ended = True
        seen.finishes.append(value.get("done_reason") or "stop")


# --- errors -----------------------------------------------------------------------------------------------------------


def error_of(caller: str, reply: Reply) -> str:
    """The message of an error answer in the caller's dialect. Raises Malformed."""
    value = parsed(decoded(reply.body))
    need(isinstance(value, dict) and "error" in value, f"no error in {reply.body[:80]!r}")
    error = value["error"]
    if caller == "ollama":
        need(isinstance(error, str), "Ollama's error is a text")
        return str(error)
    need(isinstance(error, dict) and isinstance(error.get("message"), str), "an error without a message")
    if caller == "anthropic":
        need(value.get("type") == "error" and isinstance(error.get("type"), str), "not Anthropic's error")
    elif caller == "gemini":
        need(error.get("code") == reply.status and isinstance(error.get("status"), str), "not Gemini's error")
    else:
        need({"type", "param", "code"} <= error.keys(), "not OpenAI's error")
    return str(error["message"])


WHOLE: dict[str, Callable[[Json], Seen]] = {
    "openai": openai_whole, "anthropic": anthropic_whole, "responses": responses_whole,
    "gemini": gemini_whole, "ollama": ollama_whole,
}  # fmt: skip
STREAM: dict[str, Callable[[bytes], Seen]] = {
    "openai": openai_stream, "anthropic": anthropic_stream, "responses": responses_stream,
    "gemini": gemini_stream, "ollama": ollama_stream,
}  # fmt: skip
FINISHED = frozenset(
    {
        "stop",
        "tool_calls",
        "length",
        "end_turn",
        "tool_use",
        "max_tokens",
        "completed",
        "STOP",
        "MAX_TOKENS",
        "incomplete",
    }
)
"""Reasons that tell a client that it has an answer. OpenAI's ``error`` is none."""
WITHHELD = frozenset({"content_filter", "refusal", "SAFETY"})
"""Reasons that tell a client that there is no answer for it, or no more of it."""


def read(caller: str, is_stream: bool, reply: Reply) -> Seen:
    """What a caller of this dialect makes of a 200. Raises Malformed."""
    try:
        if is_stream:
            return STREAM[caller](reply.body)
        return WHOLE[caller](parsed(decoded(reply.body)))
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise Malformed(f"{type(error).__name__} {error} in {reply.body[-200:]!r}") from error
