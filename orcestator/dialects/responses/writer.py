"""A stream of the Responses API for a caller, event by event.

https://platform.openai.com/docs/api-reference/responses-streaming, openai-python 3.51 ``ResponseStreamEvent`` and its
stream helper, VS Code and Codex (checked 2026-11): ``response.created`` comes first, whatever follows; an item is
added, filled and done before the next one; a tool is called by its ``output_item.done``; the last event holds the
whole output; a failed answer ends with ``response.failed``, never with a completed one; there is no ``[DONE]``.

pydantic-ai 2.38 and @langchain/openai 1.5 pass over ``response.failed`` and take what came for all of it, but OpenAI's SDKs
below them raise on any event whose data has an ``error`` at its top (checked 2026-11): so one follows.
"""

from dataclasses import dataclass, field

from orcestator.dialects.canonical import WriteTerms, reasoning_of
from orcestator.dialects.responses.response import (
    call_item,
    citation,
    encrypted_in,
    error_of,
    given_to,
    message_item,
    probability,
    reasoning_item,
    refusal_part,
    response_of,
    status_of,
    text_part,
    usage_of,
)
from orcestator.dialects.responses.tool_names import ToolBook
from orcestator.dialects.shapes import count_in, object_in, objects_in, text_in
from orcestator.errors import OrcestatorError
from orcestator.json_text import Json, dumps, loads


@dataclass(slots=True)
class _Item:
    """The item that is being filled. ``wire`` is as it was added; ``written`` the text of its open part."""

    wire: Json
    call: Json = field(default_factory=dict)
    parts: list[Json] = field(default_factory=list)
    part: str = ""
    written: list[str] = field(default_factory=list)
    notes: list[Json] = field(default_factory=list)
    logprobs: list[Json] = field(default_factory=list)
    encrypted: str = ""

    @property
    def text(self) -> str:
        """The text of the open part so far."""
        return "".join(self.written)


class ResponsesWriter:
    """One answer. ``response`` is its final object, None until it is whole."""

    def __init__(self, terms: WriteTerms) -> None:
        self.response: Json | None = None
        self._terms = terms
        self._id = ""
        self._book = ToolBook(terms.call)
        self._sequence = 0
        self._output: list[Json] = []
        self._item: _Item | None = None
        self._finish: object = None
        self._text_head = b""

    def text(self, content: str) -> bytes:
        """More text of the message, in the one event it takes."""
        item = self._item
        if item is None or item.part != "output_text":
            return self.chunk({"choices": [{"index": 0, "delta": {"content": content}}]})
        item.written.append(content)
        self._sequence += 1
        return b'%b%d,"delta":%b}\n\n' % (self._text_head, self._sequence - 1, dumps(content))

    def chunk(self, chunk: Json) -> bytes:
        """The events of one chunk, opening and closing items as it needs them."""
        choice = next(iter(objects_in(chunk, "choices")), {})
        if choice.get("index"):
            return b""
        frames = self._begin()
        delta = object_in(choice, "delta")
        frames += self._think(delta)
        if text_in(delta, "content"):
            frames += self._say(delta["content"], objects_in(object_in(choice, "logprobs"), "content"))
        if text_in(delta, "refusal"):
            frames += self._refuse(delta["refusal"])
        frames += b"".join(map(self._cite, objects_in(delta, "annotations")))
        frames += b"".join(map(self._call, objects_in(delta, "tool_calls")))
        self._finish = choice.get("finish_reason") or self._finish
        return frames

    def end(self, usage: Json) -> bytes:
        """The last items and the whole response."""
        frames = self._begin()
        status, details = status_of(self._finish)
        if not self._output and self._item is None:
            # An answer without any output is taken for a broken one.
            frames += self._open_part("output_text")
        frames += self._close(status)
        told = {"output": self._output, "usage": usage_of(usage), "incomplete_details": details}
        self.response = {**self._response(status), **told}
        return frames + self._event(f"response.{status}", {"response": self.response})

    def failure(self, error: OrcestatorError) -> bytes:
        """The end of an answer that broke. An item that is not whole is left out: a half call must not be run."""
        frames = self._begin()
        told = error_of(error)
        failed = {**self._response("failed"), "output": self._output, "error": told}
        frames += self._event("response.failed", {"response": failed})
        detail = {**told, "param": None}
        return frames + self._event("error", {**detail, "error": {"type": error.body()["error"]["type"], **detail}})

    def follow(self, first: bytes, last: bytes) -> None:
        """Go on after somebody else's stream, of which these were the first and the last event."""
        self._id = text_in(object_in(_event_of(first), "response"), "id") or self._terms.new_id("resp_")
        number = count_in(_event_of(last), "sequence_number")
        self._sequence = 0 if number is None else number + 1

    def _begin(self) -> bytes:
        if self._id:
            return b""
        self._id = self._terms.new_id("resp_")
        # What is echoed may be long, and both events say the same.
        told = dumps(self._response("in_progress"))
        return self._begun(b"response.created", told) + self._begun(b"response.in_progress", told)

    def _begun(self, kind: bytes, response: bytes) -> bytes:
        self._sequence += 1
        head = b'event: %b\ndata: {"type":"%b","sequence_number":%d' % (kind, kind, self._sequence - 1)
        return head + b',"response":' + response + b"}\n\n"

    def _response(self, status: str) -> Json:
        return response_of(self._terms, self._id, status)

    def _event(self, kind: str, fields: Json) -> bytes:
        body = {"type": kind, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return b"event: " + kind.encode() + b"\ndata: " + dumps(body) + b"\n\n"

    def _of_item(self, kind: str, fields: Json) -> bytes:
        """An event of the open item."""
        item_id = self._item.wire["id"] if self._item is not None else ""
        return self._event(kind, {"item_id": item_id, "output_index": len(self._output), **fields})

    def _open(self, item: _Item) -> bytes:
        frames = self._close("completed")
        self._item = item
        return frames + self._event(
            "response.output_item.added", {"output_index": len(self._output), "item": item.wire}
        )

    def _close(self, status: str) -> bytes:
        """The open item is whole, or as whole as it will be."""
        item = self._item
        if item is None:
            return b""
        frames, whole = _CLOSERS[item.wire["type"]](self, item, status)
        frames += self._event("response.output_item.done", {"output_index": len(self._output), "item": whole})
        self._output.append(whole)
        self._item = None
        return frames

    def _think(self, delta: Json) -> bytes:
        thought = reasoning_of(delta)
        frames = self._think_aloud(thought) if thought else b""
        for _, data in encrypted_in(delta.get("reasoning_details")):
            item = self._item
            if item is None or item.wire["type"] != "reasoning" or item.encrypted:
                frames += self._open_reasoning()
            if self._item is not None:
                self._item.encrypted = data
        return frames

    def _open_reasoning(self) -> bytes:
        return self._open(_Item(reasoning_item(self._terms.new_id("rs_"), "", "")))

    def _think_aloud(self, thought: str) -> bytes:
        frames, item = b"", self._item
        if item is None or item.wire["type"] != "reasoning" or item.encrypted:
            frames, item = self._open_reasoning(), self._item
        if item is not None and not item.part:
            item.part = "summary_text"
            part = {"type": "summary_text", "text": ""}
            frames += self._of_item("response.reasoning_summary_part.added", {"summary_index": 0, "part": part})
        if item is not None:
            item.written.append(thought)
        return frames + self._of_item("response.reasoning_summary_text.delta", {"summary_index": 0, "delta": thought})

    def _close_reasoning(self, item: _Item, status: str) -> tuple[bytes, Json]:
        frames, text = b"", item.text
        if item.part:
            part = {"type": "summary_text", "text": text}
            frames = self._of_item("response.reasoning_summary_text.done", {"summary_index": 0, "text": text})
            frames += self._of_item("response.reasoning_summary_part.done", {"summary_index": 0, "part": part})
        return frames, reasoning_item(item.wire["id"], text, item.encrypted)

    def _say(self, content: str, logprobs: list[Json]) -> bytes:
        frames = self._open_part("output_text")
        if not logprobs or self._item is None:
            return frames + self.text(content)
        told = list(map(probability, logprobs))
        self._item.written.append(content)
        self._item.logprobs += told
        place = {"content_index": len(self._item.parts), "delta": content, "logprobs": told}
        return frames + self._of_item("response.output_text.delta", place)

    def _refuse(self, refusal: str) -> bytes:
        frames, item = self._open_part("refusal"), self._item
        if item is None:
            return frames
        item.written.append(refusal)
        place = {"content_index": len(item.parts), "delta": refusal}
        return frames + self._of_item("response.refusal.delta", place)

    def _cite(self, wire: Json) -> bytes:
        made, item = citation(wire), self._item
        if made is None or item is None or item.part != "output_text":
            return b""
        place = {"content_index": len(item.parts), "annotation_index": len(item.notes), "annotation": made}
        item.notes.append(made)
        return self._of_item("response.output_text.annotation.added", place)

    def _open_part(self, kind: str) -> bytes:
        """A message with an open part of this kind."""
        frames, item = b"", self._item
        if item is None or item.wire["type"] != "message":
            item = _Item(message_item(self._terms.new_id("msg_"), [], "in_progress"))
            frames = self._open(item)
        if item.part == kind:
            return frames
        frames += self._close_part(item)
        item.part = kind
        place = len(item.parts)
        part = text_part("", [], []) if kind == "output_text" else refusal_part("")
        frames += self._of_item("response.content_part.added", {"content_index": place, "part": part})
        head: Json = {
            "type": "response.output_text.delta",
            "item_id": item.wire["id"],
            "output_index": len(self._output),
        }
        told = dumps({**head, "content_index": place, "logprobs": []})
        self._text_head = b"event: response.output_text.delta\ndata: " + told[:-1] + b',"sequence_number":'
        return frames

    def _close_part(self, item: _Item) -> bytes:
        if not item.part:
            return b""
        text, place = item.text, {"content_index": len(item.parts)}
        if item.part == "output_text":
            part = text_part(text, item.notes, item.logprobs)
            frames = self._of_item("response.output_text.done", {**place, "text": text, "logprobs": item.logprobs})
        else:
            part = refusal_part(text)
            frames = self._of_item("response.refusal.done", {**place, "refusal": text})
        item.parts.append(part)
        item.part, item.written, item.notes, item.logprobs = "", [], [], []
        return frames + self._of_item("response.content_part.done", {**place, "part": part})

    def _close_message(self, item: _Item, status: str) -> tuple[bytes, Json]:
        frames = self._close_part(item)
        return frames, message_item(item.wire["id"], item.parts, status)

    def _call(self, wire: Json) -> bytes:
        frames = b""
        if "id" in wire:
            call = {"id": wire["id"], "type": wire.get("type"), **_named(wire)}
            frames = self._open(_Item(call_item(self._terms.new_id, self._book, call, "in_progress"), call=call))
        item = self._item
        given = _given(wire)
        if item is None or not given or not item.call:
            return frames
        item.written.append(given)
        if item.wire["type"] == "custom_tool_call":
            # What the tool is given is inside JSON that is not whole yet.
            return frames
        return frames + self._of_item("response.function_call_arguments.delta", {"delta": given})

    def _close_call(self, item: _Item, status: str) -> tuple[bytes, Json]:
        given = given_to(item.wire, item.call, item.text)
        whole = {**item.wire, **given, "status": status}
        if "arguments" in given:
            return self._of_item("response.function_call_arguments.done", given), whole
        frames = self._of_item("response.custom_tool_call_input.delta", {"delta": given["input"]})
        return frames + self._of_item("response.custom_tool_call_input.done", given), whole


_CLOSERS = {
    "message": ResponsesWriter._close_message,
    "reasoning": ResponsesWriter._close_reasoning,
    "function_call": ResponsesWriter._close_call,
    "custom_tool_call": ResponsesWriter._close_call,
}


def _event_of(data: bytes) -> Json:
    try:
        event = loads(data)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _named(wire: Json) -> Json:
    kind = "custom" if wire.get("type") == "custom" else "function"
    return {kind: {"name": text_in(object_in(wire, kind), "name")}}


def _given(wire: Json) -> str:
    """What a delta of a call adds to what its tool is given."""
    return text_in(object_in(wire, "function"), "arguments") + text_in(object_in(wire, "custom"), "input")
