"""A healthy answer in each upstream dialect, as bytes that a shape then bends.

Written from the providers' API references (the pages are named in ``orcestator/dialects``, checked 2026-11), and
deliberately without any code of the product.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orcestator.json_text import Json

WORDS = ("w0 ", "w1 ", "w2 ", "w3 ", "w4 ", "w5 ", "é€ ", "😀 ", "w8 ", "end")
TEXT = "".join(WORDS)
SECOND = "the second one's answer"
UPSTREAMS = ("openai", "anthropic", "responses", "gemini", "ollama", "cohere", "yandex")


@dataclass(frozen=True)
class Call:
    """A tool call: its name and its arguments as JSON text."""

    name: str
    arguments: str


ONE_CALL = (Call("f", '{"a": "n17", "b": [1, 2, {"c": null}]}'),)
TWO_CALLS = (*ONE_CALL, Call("g", '{"x": "é😀 \\" \\\\ done"}'))


@dataclass(frozen=True)
class Told:
    """What an answer says: pieces of text, then calls."""

    words: Sequence[str] = WORDS
    calls: Sequence[Call] = ()

    @property
    def text(self) -> str:
        """All of the text."""
        return "".join(self.words)


PLAIN = Told()
"""Text alone, the same in every shape that is not about its content."""


@dataclass(frozen=True)
class Form:
    """One upstream dialect. ``opening`` and ``closing`` count the events around the content of a stream."""

    name: str
    events: Callable[[Told], list[bytes]]
    body: Callable[[Told], Json]
    error: Json
    error_event: bytes
    opening: int
    closing: int
    content_type: str = "text/event-stream"

    def whole(self, told: Told) -> bytes:
        """The whole answer's body."""
        return compact(self.body(told))

    @property
    def is_sse(self) -> bool:
        """Whether a stream is server-sent events; otherwise it is a JSON object a line."""
        return self.content_type == "text/event-stream"


def compact(value: Any) -> bytes:
    """JSON without spaces, characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def data(value: Any) -> bytes:
    """An event without a name."""
    return b"data: " + compact(value) + b"\n\n"


def named(value: Json) -> bytes:
    """An event that has its type as its name."""
    return b"event: %b\n" % value["type"].encode() + data(value)


def line(value: Json) -> bytes:
    """A line of NDJSON."""
    return compact(value) + b"\n"


def halves(text: str) -> tuple[str, str]:
    """A text in two pieces."""
    middle = len(text) // 2
    return text[:middle], text[middle:]


# --- OpenAI chat ------------------------------------------------------------------------------------------------------

CHUNK: Json = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "m"}
USAGE: Json = {"prompt_tokens": 3, "completion_tokens": 10, "total_tokens": 13}
DONE = b"data: [DONE]\n\n"


def chunk(delta: Json, finish: Any = None, **more: Any) -> bytes:
    """A chunk of OpenAI's with one choice."""
    return data({**CHUNK, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more})


def call_delta(index: int, arguments: str, call: Call | None = None) -> Json:
    """The delta of a piece of a call; with ``call`` its first."""
    if call is None:
        return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}
    function = {"name": call.name, "arguments": arguments}
    return {"tool_calls": [{"index": index, "id": f"call_{index}", "type": "function", "function": function}]}


def _openai_events(told: Told) -> list[bytes]:
    made = [chunk({"role": "assistant", "content": ""})]
    made += [chunk({"content": word}) for word in told.words]
    for index, call in enumerate(told.calls):
        first, second = halves(call.arguments)
        made += [chunk(call_delta(index, "", call)), chunk(call_delta(index, first)), chunk(call_delta(index, second))]
    return [*made, chunk({}, "tool_calls" if told.calls else "stop"), DONE]


def _openai_body(told: Told) -> Json:
    message: Json = {"role": "assistant", "content": told.text or None}
    if told.calls:
        message["tool_calls"] = [
            {"id": f"call_{index}", "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for index, call in enumerate(told.calls)
        ]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if told.calls else "stop"}
    return {**CHUNK, "object": "chat.completion", "choices": [choice], "usage": USAGE}


# --- Anthropic Messages -----------------------------------------------------------------------------------------------


def _anthropic_events(told: Told) -> list[bytes]:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None,
               "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 1}}  # fmt: skip
    made = [named({"type": "message_start", "message": message})]
    blocks: list[tuple[Json, list[Json]]] = []
    if told.words:
        deltas: list[Json] = [{"type": "text_delta", "text": word} for word in told.words]
        blocks.append(({"type": "text", "text": ""}, deltas))
    for index, call in enumerate(told.calls):
        deltas = [{"type": "input_json_delta", "partial_json": half} for half in halves(call.arguments)]
        blocks.append(({"type": "tool_use", "id": f"toolu_{index}", "name": call.name, "input": {}}, deltas))
    for index, (block, deltas) in enumerate(blocks):
        made.append(named({"type": "content_block_start", "index": index, "content_block": block}))
        made += [named({"type": "content_block_delta", "index": index, "delta": delta}) for delta in deltas]
        made.append(named({"type": "content_block_stop", "index": index}))
    reason = {"stop_reason": "tool_use" if told.calls else "end_turn", "stop_sequence": None}
    made.append(named({"type": "message_delta", "delta": reason, "usage": {"output_tokens": 10}}))
    return [*made, named({"type": "message_stop"})]


def _anthropic_body(told: Told) -> Json:
    content: list[Json] = [{"type": "text", "text": told.text}] if told.text else []
    content += [
        {"type": "tool_use", "id": f"toolu_{index}", "name": call.name, "input": json.loads(call.arguments)}
        for index, call in enumerate(told.calls)
    ]
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
            "stop_reason": "tool_use" if told.calls else "end_turn", "stop_sequence": None,
            "usage": {"input_tokens": 3, "output_tokens": 10}}  # fmt: skip


# --- OpenAI Responses -------------------------------------------------------------------------------------------------


def _response(status: str, output: list[Json]) -> Json:
    usage = {"input_tokens": 3, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 10,
             "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 13}  # fmt: skip
    return {"id": "resp_1", "object": "response", "created_at": 1_700_000_000, "status": status, "error": None,
            "incomplete_details": None, "instructions": None, "max_output_tokens": None, "model": "m", "output": output,
            "parallel_tool_calls": True, "previous_response_id": None, "store": False, "temperature": 1.0,
            "tool_choice": "auto", "tools": [], "top_p": 1.0, "truncation": "disabled",
            "usage": usage if status == "completed" else None, "metadata": {}}  # fmt: skip


def _items(told: Told) -> list[Json]:
    part = {"type": "output_text", "text": told.text, "annotations": []}
    message = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [part]}
    calls = [
        {"id": f"fc_{index}", "type": "function_call", "status": "completed", "call_id": f"call_{index}",
         "name": call.name, "arguments": call.arguments}
        for index, call in enumerate(told.calls)
    ]  # fmt: skip
    return [*([message] if told.text else []), *calls]


def _item_events(index: int, item: Json, told: Told) -> list[Json]:
    place = {"item_id": item["id"], "output_index": index}
    if item["type"] == "message":
        at, part = {**place, "content_index": 0}, item["content"][0]
        inside = [
            {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
            *({"type": "response.output_text.delta", **at, "delta": word} for word in told.words),
            {"type": "response.output_text.done", **at, "text": told.text},
            {"type": "response.content_part.done", **at, "part": part},
        ]
        empty: Json = {"content": []}
    else:
        deltas = halves(item["arguments"])
        inside = [
            *({"type": "response.function_call_arguments.delta", **place, "delta": half} for half in deltas),
            {"type": "response.function_call_arguments.done", **place, "arguments": item["arguments"]},
        ]
        empty = {"arguments": ""}
    opened = {**item, **empty, "status": "in_progress"}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": opened},
        *inside,
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]


def _responses_events(told: Told) -> list[bytes]:
    made: list[Json] = [
        {"type": "response.created", "response": _response("in_progress", [])},
        {"type": "response.in_progress", "response": _response("in_progress", [])},
    ]
    for index, item in enumerate(_items(told)):
        made += _item_events(index, item, told)
    made.append({"type": "response.completed", "response": _response("completed", _items(told))})
    return [named({**event, "sequence_number": number}) for number, event in enumerate(made)]


# --- Gemini -----------------------------------------------------------------------------------------------------------


def gemini_chunk(parts: list[Json], finish: str = "", **more: Any) -> Json:
    """One of Gemini's answers with one candidate."""
    candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 10, "totalTokenCount": 13}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m", "responseId": "r1", **more}


def _gemini_calls(told: Told) -> list[Json]:
    return [{"functionCall": {"name": call.name, "args": json.loads(call.arguments)}} for call in told.calls]


def _gemini_events(told: Told) -> list[bytes]:
    made = [gemini_chunk([{"text": word}]) for word in told.words]
    made += [gemini_chunk([call]) for call in _gemini_calls(told)]
    return [data(one) for one in [*made, gemini_chunk([{"text": ""}], "STOP")]]


def _gemini_body(told: Told) -> Json:
    texts: list[Json] = [{"text": told.text}] if told.text else []
    return gemini_chunk(texts + _gemini_calls(told), "STOP")


# --- Ollama -----------------------------------------------------------------------------------------------------------


def ollama_line(message: Json, **more: Any) -> Json:
    """One of Ollama's answers."""
    said = {"role": "assistant", "content": "", **message}
    return {"model": "m", "created_at": "2026-11-01T00:00:00Z", "message": said, "done": False, **more}


_OLLAMA_END: Json = {"done": True, "done_reason": "stop", "total_duration": 1, "load_duration": 1,
                     "prompt_eval_count": 3, "prompt_eval_duration": 1, "eval_count": 10, "eval_duration": 1}  # fmt: skip


def _ollama_calls(told: Told) -> list[Json]:
    return [{"function": {"name": call.name, "arguments": json.loads(call.arguments)}} for call in told.calls]


def _ollama_events(told: Told) -> list[bytes]:
    made = [ollama_line({"content": word}) for word in told.words]
    made += [ollama_line({"tool_calls": [call]}) for call in _ollama_calls(told)]
    return [line(one) for one in [*made, ollama_line({}, **_OLLAMA_END)]]


def _ollama_body(told: Told) -> Json:
    calls = {"tool_calls": _ollama_calls(told)} if told.calls else {}
    return ollama_line({"content": told.text, **calls}, **_OLLAMA_END)


# --- Cohere -----------------------------------------------------------------------------------------------------------

_COHERE_USAGE = {"billed_units": {"input_tokens": 3, "output_tokens": 10},
                 "tokens": {"input_tokens": 3, "output_tokens": 10}}  # fmt: skip


def _cohere_call(index: int, call: Call, arguments: str) -> Json:
    return {"id": f"{call.name}_{index}", "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _cohere_events(told: Told) -> list[bytes]:
    opened = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    made: list[Json] = [{"type": "message-start", "id": "c1", "delta": {"message": opened}}]
    if told.words:
        start = {"message": {"content": {"type": "text", "text": ""}}}
        made.append({"type": "content-start", "index": 0, "delta": start})
        made += [
            {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": word}}}}
            for word in told.words
        ]
        made.append({"type": "content-end", "index": 0})
    for index, call in enumerate(told.calls):
        first = {"message": {"tool_calls": _cohere_call(index, call, "")}}
        made.append({"type": "tool-call-start", "index": index, "delta": first})
        made += [
            {"type": "tool-call-delta", "index": index,
             "delta": {"message": {"tool_calls": {"function": {"arguments": half}}}}}
            for half in halves(call.arguments)
        ]  # fmt: skip
        made.append({"type": "tool-call-end", "index": index})
    finish = {"finish_reason": "TOOL_CALL" if told.calls else "COMPLETE", "usage": _COHERE_USAGE}
    return [named(one) for one in [*made, {"type": "message-end", "id": "c1", "delta": finish}]]


def _cohere_body(told: Told) -> Json:
    message: Json = {"role": "assistant"}
    if told.text:
        message["content"] = [{"type": "text", "text": told.text}]
    if told.calls:
        message["tool_calls"] = [_cohere_call(index, call, call.arguments) for index, call in enumerate(told.calls)]
    finish = "TOOL_CALL" if told.calls else "COMPLETE"
    return {"id": "c1", "finish_reason": finish, "message": message, "usage": _COHERE_USAGE}


# --- Yandex -----------------------------------------------------------------------------------------------------------


def _yandex_result(message: Json, status: str) -> Json:
    usage = {"inputTextTokens": "3", "completionTokens": "10", "totalTokens": "13"}
    alternative = {"message": {"role": "assistant", **message}, "status": f"ALTERNATIVE_STATUS_{status}"}
    return {"result": {"alternatives": [alternative], "usage": usage, "modelVersion": "1"}}


def _yandex_body(told: Told) -> Json:
    if not told.calls:
        return _yandex_result({"text": told.text}, "FINAL")
    calls = [{"functionCall": {"name": call.name, "arguments": json.loads(call.arguments)}} for call in told.calls]
    return _yandex_result({"toolCallList": {"toolCalls": calls}}, "TOOL_CALLS")


def _yandex_events(told: Told) -> list[bytes]:
    grown = ["".join(told.words[:count]) for count in range(1, len(told.words) + 1)]
    return [*(line(_yandex_result({"text": text}, "PARTIAL")) for text in grown), line(_yandex_body(told))]


# --- all --------------------------------------------------------------------------------------------------------------

_OVERLOADED: Json = {"message": "boom", "type": "server_error", "code": "server_error", "param": None}
_GOOGLE: Json = {"error": {"code": 500, "message": "boom", "status": "INTERNAL"}}
_ANTHROPIC: Json = {"type": "error", "error": {"type": "api_error", "message": "boom"}}
_FAILED: Json = {**_response("failed", []), "error": {"code": "server_error", "message": "boom"}}
_GRPC: Json = {"error": {"grpcCode": 13, "httpCode": 500, "message": "boom", "httpStatus": "Internal", "details": []}}

FORMS: dict[str, Form] = {
    form.name: form
    for form in (
        Form("openai", _openai_events, _openai_body, {"error": _OVERLOADED}, data({"error": _OVERLOADED}), 1, 2),
        Form("anthropic", _anthropic_events, _anthropic_body, _ANTHROPIC, named(_ANTHROPIC), 2, 3),
        Form(
            "responses",
            _responses_events,
            lambda told: _response("completed", _items(told)),
            {"error": _OVERLOADED},
            named({"type": "response.failed", "sequence_number": 99, "response": _FAILED}),
            4,
            4,
        ),
        Form("gemini", _gemini_events, _gemini_body, _GOOGLE, data(_GOOGLE), 0, 1),
        Form("ollama", _ollama_events, _ollama_body, {"error": "boom"}, line({"error": "boom"}), 0, 1, "application/x-ndjson"),
        Form("cohere", _cohere_events, _cohere_body, {"message": "boom"}, line({"message": "boom"}), 2, 2),
        Form("yandex", _yandex_events, _yandex_body, _GRPC, line(_GRPC), 0, 1, "application/json"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """An HTTP answer that is not yet bytes: head fields and the pieces of its body, each a read of its own."""

    pieces: list[bytes]
    content_type: str | None
    status: bytes = b"200 OK"
    version: bytes = b"HTTP/1.1"
    headers: tuple[bytes, ...] = field(default=())

    def head(self, *more: bytes) -> bytes:
        """Status line and head, with these lines beside those that it has."""
        lines = [self.version + b" " + self.status, *self.headers, *more]
        if self.content_type is not None:
            lines.insert(1, b"Content-Type: " + self.content_type.encode())
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def with_(self, **changes: Any) -> "Answer":
        """The same but for these fields."""
        return replace(self, **changes)


def streamed(form: Form, told: Told = PLAIN) -> Answer:
    """A healthy stream."""
    return Answer(form.events(told), form.content_type)


def whole(form: Form, told: Told = PLAIN) -> Answer:
    """A healthy whole answer."""
    return Answer([form.whole(told)], "application/json")
