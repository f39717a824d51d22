"""What the benchmark's upstream says, in every dialect it is asked in: the same text, framed as that provider does it.

A chat has one text; its body has 300 bytes in OpenAI's dialect. A stream has 63 words, each an event and a write of its
own. In OpenAI's dialect the role, the finish and ``[DONE]`` make it 66 writes; Anthropic's and the Responses API's opening
and closing events share three writes, as they come in practice, so that there are 66, too. Gemini and Ollama open with
the first word and close with one event: 64 writes.

Recorded answers of these providers and their references (checked 2026-11): Gemini's events end in CRLF CRLF, its JSON
has a blank after each colon; the Responses API pads its deltas (``obfuscation``); Ollama sends one JSON a line.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

STREAM_EVENTS = 66
NOT_WORDS = 3
"""The role, the finish and ``[DONE]`` of a stream in OpenAI's dialect."""
STREAM_WORDS = STREAM_EVENTS - NOT_WORDS
CHAT_BYTES = 300
CREATED = 1_700_000_000
MODEL = "bench-model"
WORD = "word "
END = b"0\r\n\r\n"
EVENTS, LINES = b"text/event-stream", b"application/x-ndjson"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dialect:
    """``mark`` tells a request line of this dialect; ``stream`` gives the writes of so many words, usage if asked for."""

    name: str
    mark: bytes
    chat: bytes
    stream: Callable[[int, bool], list[bytes]]


def packed(value: Json, colon: str = ":") -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", colon)).encode()


def whole(body: bytes) -> bytes:
    """A complete answer."""
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def framed(event: bytes) -> bytes:
    """One event as one HTTP chunk."""
    return b"%x\r\n%s\r\n" % (len(event), event)


def written(groups: Sequence[Sequence[bytes]], kind: bytes = EVENTS) -> list[bytes]:
    """The writes of a stream: one for each group of events."""
    made = [b"".join(map(framed, group)) for group in groups]
    made[0] = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ntransfer-encoding: chunked\r\n\r\n%s" % (kind, made[0])
    made[-1] += END
    return made


# --- OpenAI -----------------------------------------------------------------------------------------------------------


USAGE = {"prompt_tokens": 9, "completion_tokens": STREAM_WORDS, "total_tokens": 9 + STREAM_WORDS}
DONE = b"data: [DONE]\n\n"


def chunk(choices: list[Json], **more: Any) -> bytes:
    """One chat.completion.chunk event."""
    head = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": CREATED, "model": MODEL}
    return b"data: " + packed({**head, "choices": choices, **more}) + b"\n\n"


def choice(delta: Json, finish: str | None = None) -> bytes:
    """A chunk of the only choice."""
    return chunk([{"index": 0, "delta": delta, "finish_reason": finish}])


def openai_stream(words: int, with_usage: bool) -> list[bytes]:
    """Role, words, finish, usage if it was asked for, ``[DONE]``: a write each."""
    events = [choice({"role": "assistant", "content": ""}), *[choice({"content": WORD})] * words, choice({}, "stop")]
    events += [chunk([], usage=USAGE)] if with_usage else []
    return written([[event] for event in (*events, DONE)])


def openai_chat(text: str) -> Json:
    """A whole reply."""
    head = {"id": "chatcmpl-bench", "object": "chat.completion", "created": CREATED, "model": MODEL}
    said = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {**head, "choices": [said], "usage": USAGE}


TEXT = "x" * (CHAT_BYTES - len(packed(openai_chat(""))))
"""What every chat is answered."""


# --- Anthropic --------------------------------------------------------------------------------------------------------


def named(kind: str, **fields: Any) -> bytes:
    """An event with its name on a line of its own and in its JSON."""
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), packed({"type": kind, **fields}))


def message(content: list[Json], reason: str | None, output_tokens: int) -> Json:
    """Anthropic's message."""
    usage = {"input_tokens": 9, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    return {
        "id": "msg_bench",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": output_tokens},
    }


def anthropic_stream(words: int, with_usage: bool) -> list[bytes]:
    """One block of text; usage always comes."""
    opening = [
        named("message_start", message=message([], None, 1)),
        named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        named("ping"),
    ]
    word = [named("content_block_delta", index=0, delta={"type": "text_delta", "text": WORD})]
    ended = {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": words}}
    closing = [named("content_block_stop", index=0), named("message_delta", **ended)]
    return written([opening, *[word] * words, closing, [named("message_stop")]])


# --- Gemini -----------------------------------------------------------------------------------------------------------


def generated(text: str, tokens: int, **more: Any) -> bytes:
    """A GenerateContentResponse, whole or partial."""
    deployment = {"content": {"parts": [{"text": text}], "role": "model"}, **more, "index": 0}
    usage = {
        "promptTokenCount": 9,
        "candidatesTokenCount": tokens,
        "totalTokenCount": 9 + tokens,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 9}],
    }
    body = {"candidates": [deployment], "usageMetadata": usage, "modelVersion": MODEL, "responseId": "bench-response"}
    return packed(body, ": ")


def gemini_stream(words: int, with_usage: bool) -> list[bytes]:
    """Words, and an event that says nothing but why it ended; each has the usage so far."""
    bodies = [generated(WORD, number + 1) for number in range(words)]
    bodies.append(generated("", words, finishReason="STOP"))
    return written([[b"data: " + body + b"\r\n\r\n"] for body in bodies])


# --- the Responses API ------------------------------------------------------------------------------------------------


def response(status: str, output: list[Json], usage: Json | None) -> Json:
    """OpenAI's response object."""
    return {
        "id": "resp_bench", "object": "response", "created_at": CREATED, "status": status, "background": False,
        "error": None, "incomplete_details": None, "instructions": None, "max_output_tokens": None, "model": MODEL,
        "output": output, "parallel_tool_calls": True, "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None}, "store": True, "temperature": 1.0,
        "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "truncation": "disabled", "usage": usage, "user": None, "metadata": {},
    }  # fmt: skip


def response_usage(tokens: int) -> Json:
    """What a whole response counts."""
    return {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 9 + tokens,
    }


def item(status: str, content: list[Json]) -> Json:
    """The message that a response holds."""
    return {"id": "msg_bench", "type": "message", "status": status, "content": content, "role": "assistant"}


def part(text: str) -> Json:
    """The text that a message holds."""
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def responses_stream(words: int, with_usage: bool) -> list[bytes]:
    """One message of one text; the last event repeats the whole answer, with its usage."""
    place: Json = {"item_id": "msg_bench", "output_index": 0, "content_index": 0}
    text = WORD * words
    output = [item("completed", [part(text)])]
    steps: list[tuple[str, Json]] = [
        ("response.created", {"response": response("in_progress", [], None)}),
        ("response.in_progress", {"response": response("in_progress", [], None)}),
        ("response.output_item.added", {"output_index": 0, "item": item("in_progress", [])}),
        ("response.content_part.added", {**place, "part": part("")}),
        *[("response.output_text.delta", {**place, "delta": WORD, "logprobs": [], "obfuscation": "bWx3Q"})] * words,
        ("response.output_text.done", {**place, "text": text, "logprobs": []}),
        ("response.content_part.done", {**place, "part": part(text)}),
        ("response.output_item.done", {"output_index": 0, "item": output[0]}),
        ("response.completed", {"response": response("completed", output, response_usage(words))}),
    ]
    events = [named(kind, sequence_number=number, **fields) for number, (kind, fields) in enumerate(steps)]
    return written([events[:4], *([event] for event in events[4:-4]), events[-4:-1], events[-1:]])


# --- Ollama -----------------------------------------------------------------------------------------------------------


def ollama_line(text: str, **more: Any) -> bytes:
    """One object of an answer of Ollama's."""
    head = {"model": MODEL, "created_at": "2026-11-02T08:52:19.385406455Z"}
    return packed({**head, "message": {"role": "assistant", "content": text}, **more}) + b"\n"


def ollama_end(tokens: int) -> Json:
    """What the last object has beside its text."""
    times = {"total_duration": 174_560_334, "load_duration": 101_397_084, "prompt_eval_duration": 13_074_791}
    return {"done": True, "done_reason": "stop", **times, "prompt_eval_count": 9, "eval_count": tokens}


def ollama_stream(words: int, with_usage: bool) -> list[bytes]:
    """Words, and a last line that says how it went."""
    lines = [*[ollama_line(WORD, done=False)] * words, ollama_line("", **ollama_end(words))]
    return written([[line] for line in lines], LINES)


OPENAI = Dialect("openai", b"/completions", whole(packed(openai_chat(TEXT))), openai_stream)
OTHERS = (
    Dialect(
        "anthropic",
        b"/messages",
        whole(packed(message([{"type": "text", "text": TEXT}], "end_turn", STREAM_WORDS))),
        anthropic_stream,
    ),
    Dialect("gemini", b"enerateContent", whole(generated(TEXT, STREAM_WORDS, finishReason="STOP")), gemini_stream),
    Dialect(
        "responses",
        b"/responses",
        whole(packed(response("completed", [item("completed", [part(TEXT)])], response_usage(STREAM_WORDS)))),
        responses_stream,
    ),
    Dialect("ollama", b"/api/chat", whole(ollama_line(TEXT, **ollama_end(STREAM_WORDS))), ollama_stream),
)
CHAT = OPENAI.chat
FAST = {
    (dialect.name, with_usage): dialect.stream(STREAM_WORDS, with_usage)
    for dialect in (OPENAI, *OTHERS)
    for with_usage in (False, True)
}
"""The writes of an unpaced stream, by dialect and whether usage was asked for."""


def dialect_of(request: bytes) -> Dialect:
    """The dialect that a request came in, OpenAI's where nothing tells another one."""
    line = request[: request.find(b"\r\n")]
    return next((dialect for dialect in OTHERS if dialect.mark in line), OPENAI)
