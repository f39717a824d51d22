"""What a reader could pass over in silence: pieces out of place, of another shape, or with a word that says they are broken."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from tests.shapes.forms import (
    FORMS,
    ONE_CALL,
    PLAIN,
    TEXT,
    WORDS,
    Answer,
    Json,
    Told,
    chunk,
    compact,
    data,
    gemini_chunk,
    line,
    named,
    ollama_line,
)  # fmt: skip
from tests.shapes.framing import chunked, sized
from tests.shapes.rows import AFTER, BEFORE, EITHER, EITHER_AFTER, W
from tests.shapes.rows_openai import DONE, FIRST, REST, ROLE, SAID, openai_stream
from tests.shapes.shape import Right, Shape

CALLS = Told((), ONE_CALL)
BROKEN_WORDS = (
    "abort", "network_error", "MALFORMED_FUNCTION_CALL", "function_call_filter: MALFORMED_FUNCTION_CALL", "OTHER",
    "malformed_model_output", "insufficient_system_resource", "timeout", "cancelled",
)  # fmt: skip
GEMINI_BROKEN = (
    "OTHER", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE", "GENERATION_ERROR",
)  # fmt: skip


def gaps() -> Iterator[Shape]:
    """In every dialect."""
    yield from _openai()
    yield from _anthropic()
    yield from _responses()
    yield from _gemini()
    yield from _lines()


def _row(dialect: str, name: str, right: Right, events: list[bytes], told: Told = PLAIN, **more: Any) -> Shape:
    answer = Answer(events, FORMS[dialect].content_type)
    return Shape(name, dialect, True, right, partial(chunked, answer), told, **more)


def _whole_row(dialect: str, name: str, right: Right, body: Json, told: Told = PLAIN, **more: Any) -> Shape:
    answer = Answer([compact(body)], "application/json")
    return Shape(name, dialect, False, right, partial(sized, answer), told, **more)


def _openai() -> Iterator[Shape]:
    for place, word in enumerate(BROKEN_WORDS):
        yield openai_stream(f"broken_word_{place}", AFTER, ROLE, *FIRST, chunk({}, word), DONE)
        body = FORMS["openai"].body(PLAIN)
        body["choices"][0]["finish_reason"] = word
        yield _whole_row("openai", f"broken_word_{place}", BEFORE, body)
    error = {"message": "boom", "code": 502}
    beside = data({"choices": [{"index": 0, "delta": {"content": "w3 "}, "finish_reason": None, "error": error}]})
    yield openai_stream("error_beside_word", AFTER, ROLE, *FIRST, beside, DONE, is_garbled=True)
    yield openai_stream(
        "error_after_finish", EITHER_AFTER, ROLE, *SAID, chunk({}, "stop"), data({"error": error}), DONE
    )
    yield openai_stream(
        "word_in_null_choices", EITHER_AFTER, ROLE, *FIRST, data({"choices": [None, None]}), *REST[1:], DONE
    )
    yield openai_stream("event_failure", AFTER, ROLE, *FIRST, b"event: failure\ndata: boom\n\n", DONE)
    yield openai_stream("bare_field_first", EITHER, b"retry: 3000\n\n", ROLE, *SAID, chunk({}, "stop"), DONE)
    yield openai_stream("id_lines", W, *(b"id: 7\n" + event for event in [ROLE, *SAID, chunk({}, "stop"), DONE]))
    body = FORMS["openai"].body(PLAIN)
    call = {"name": ONE_CALL[0].name, "arguments": ONE_CALL[0].arguments}
    body["choices"] = [{"index": 0, "message": {"role": "assistant", "content": None, "function_call": call}, "finish_reason": "function_call"}]  # fmt: skip
    yield _whole_row(
        "openai", "legacy_function_call", W, body, CALLS, callers=("anthropic", "gemini", "ollama", "responses")
    )
    body = FORMS["openai"].body(PLAIN)
    body["choices"][0]["error"] = error
    yield _whole_row("openai", "error_in_choice", BEFORE, body)
    for name, value in {"detail": {"detail": "boom"}, "message": {"message": "boom", "code": 500}, "success": {"success": False}}.items():  # fmt: skip
        yield _whole_row("openai", f"only_{name}", BEFORE, value)
    yield _whole_row("openai", "empty_text", EITHER, _empty(), Told(()))


def _empty() -> Json:
    body = FORMS["openai"].body(PLAIN)
    body["choices"][0]["message"]["content"] = ""
    return body


def _without(events: list[bytes], part: bytes) -> list[bytes]:
    kept = [event for event in events if part not in event]
    assert kept != events, part
    return kept


def _anthropic() -> Iterator[Shape]:
    form = FORMS["anthropic"]
    text, called = form.events(PLAIN), form.events(CALLS)
    first = next(place for place, event in enumerate(called) if b"input_json_delta" in event)
    stop = next(place for place, event in enumerate(called) if b"content_block_stop" in event)
    untyped = [event.replace(b'"type":"text_delta",', b"") if b'"w3 "' in event else event for event in text]
    numbered = [
        event.replace(b'"index":0', b'"index":7') if b"input_json_delta" in event else event for event in called
    ]
    rows: dict[str, tuple[Right, list[bytes], Told]] = {
        "call_without_start": (EITHER_AFTER, _without(called, b"content_block_start"), CALLS),
        "text_without_start": (EITHER_AFTER, _without(text, b"content_block_start"), PLAIN),
        "arguments_after_stop": (EITHER_AFTER, [*called[:first], called[stop], *called[first:stop], *called[stop + 1 :]], CALLS),
        "arguments_elsewhere": (EITHER_AFTER, numbered, CALLS),
        "delta_without_type": (EITHER_AFTER, untyped, PLAIN),
        "no_message_start": (EITHER_AFTER, text[1:], PLAIN),
        "nothing_but_deltas": (AFTER, [event for event in text if b"text_delta" in event], PLAIN),
        "done_at_the_end": (W, [*text, DONE], PLAIN),
        "done_for_message_stop": (EITHER_AFTER, [*text[:-1], DONE], PLAIN),
        "broken_word": (AFTER, [*text[:5], text[-3], named({"type": "message_delta", "delta": {"stop_reason": "error"}, "usage": {"output_tokens": 1}}), text[-1]], PLAIN),
        "error_with_another_name": (AFTER, [*text[:5], b"event: exception\n" + data({"message": "boom", "code": 500}), *text[-3:]], PLAIN),
        "events_of_openai": (EITHER_AFTER, [*text[:5], *SAID[3:], *text[-3:]], PLAIN),
    }  # fmt: skip
    # Anthropic's own clients refuse these orders by themselves.
    refused = ("text_without_start", "no_message_start", "nothing_but_deltas")
    for name, (right, events, told) in rows.items():
        yield _row("anthropic", name, right, events, told, callers=("openai", "responses") if name in refused else ())
    for name, reason in {"null": None, "error": "error", "unknown": "a_new_word"}.items():
        right = {"null": EITHER, "error": BEFORE, "unknown": W}[name]
        callers = ("openai", "responses") if name != "error" else ()
        yield _whole_row(
            "anthropic", f"stop_reason_{name}", right, {**form.body(PLAIN), "stop_reason": reason}, callers=callers
        )
    yield _whole_row("anthropic", "content_text", EITHER, {**form.body(PLAIN), "content": TEXT})
    yield _whole_row("anthropic", "content_null", BEFORE, {**form.body(PLAIN), "content": None, "stop_reason": None})


def _responses() -> Iterator[Shape]:
    form = FORMS["responses"]
    text, called = form.events(PLAIN), form.events(CALLS)
    end = json.loads(text[-1].partition(b"data: ")[2])
    cut = named({**end, "type": "response.incomplete", "response": {**end["response"], "status": "incomplete", "incomplete_details": {"reason": "something new"}}})  # fmt: skip
    cancelled = named({**end, "type": "response.cancelled", "response": {**end["response"], "status": "cancelled"}})
    only_done = [event for event in called if b"arguments.delta" not in event and b"output_item.done" not in event]
    rows: dict[str, tuple[Right, list[bytes], Told]] = {
        "arguments_only_at_their_end": (EITHER_AFTER, only_done, CALLS),
        "arguments_only_in_the_item": (W, _without(called, b"arguments.delta"), CALLS),
        "one_argument_piece_missing": (EITHER_AFTER, [event for event in called if not (b"arguments.delta" in event and b"n17" in event)], CALLS),
        "no_items_but_the_end": (W, [text[0], text[-1]], PLAIN),
        "one_word_missing": (EITHER_AFTER, [event for event in text if not (b"delta" in event and b'"w3 "' in event)], PLAIN),
        # "incomplete" is told as cut, whatever the reason is called.
        "cut_for_a_new_reason": (W, [*text[:8], cut], Told(WORDS[:4])),
        "cancelled": (AFTER, [*text[:8], cancelled], PLAIN),
        "done_at_the_end": (W, [*text, DONE], PLAIN),
        "done_for_completed": (AFTER, [*text[:-1], DONE], PLAIN),
        "error_with_another_name": (AFTER, [*text[:8], b"event: exception\n" + data({"message": "boom", "code": 500}), text[-1]], PLAIN),
    }  # fmt: skip
    # Who reads this API has all of it from the last event, whatever its pieces were.
    translated = (
        "cut_for_a_new_reason",
        "no_items_but_the_end",
        "arguments_only_at_their_end",
        "arguments_only_in_the_item",
    )
    for name, (right, events, told) in rows.items():
        callers = ("openai", "anthropic") if name in translated else ()
        is_garbled = name == "one_word_missing"  # seen when the whole text comes, which is after its words
        yield _row("responses", name, right, events, told, callers=callers, is_garbled=is_garbled)
    for status in ("failed", "cancelled", "in_progress", "queued"):
        body = {**form.body(PLAIN), "status": status}
        yield _whole_row("responses", f"status_{status}", BEFORE, body)


def _gemini() -> Iterator[Shape]:
    said = [data(gemini_chunk([{"text": word}])) for word in WORDS]
    end = data(gemini_chunk([{"text": ""}], "STOP"))
    for place, word in enumerate(GEMINI_BROKEN):
        yield _row("gemini", f"broken_word_{place}", AFTER, [*said[:3], data(gemini_chunk([], word))])
        body = gemini_chunk([{"text": TEXT}], word)
        yield _whole_row("gemini", f"broken_word_{place}", BEFORE, body)
    rows: dict[str, tuple[Right, list[bytes]]] = {
        "candidates_object": (EITHER_AFTER, [*said[:3], data({"candidates": {"content": {"parts": [{"text": "w3 "}]}}}), *said[4:], end]),
        "candidates_text": (EITHER_AFTER, [*said[:3], data({"candidates": "w3 "}), *said[4:], end]),
        "candidates_of_text": (EITHER_AFTER, [*said[:3], data({"candidates": ["w3 "]}), *said[4:], end]),
        "parts_object": (EITHER_AFTER, [*said[:3], data({"candidates": [{"content": {"parts": {"text": "w3 "}}}]}), *said[4:], end]),
        "parts_of_text": (EITHER_AFTER, [*said[:3], data({"candidates": [{"content": {"parts": ["w3 "]}}]}), *said[4:], end]),
        "content_text": (EITHER_AFTER, [*said[:3], data({"candidates": [{"content": "w3 "}]}), *said[4:], end]),
        "blocked_in_words": (AFTER, [*said[:3], data({"promptFeedback": {"blockReason": "OTHER"}})]),
        "finish_on_each": (W, [data(gemini_chunk([{"text": word}], "STOP")) for word in WORDS]),
        "finish_then_broken": (AFTER, [*said[:3], end, data(gemini_chunk([], "MALFORMED_FUNCTION_CALL"))]),
        "call_without_name": (AFTER, [*said[:3], data(gemini_chunk([{"functionCall": {"args": {}}}])), end]),
    }  # fmt: skip
    for name, (right, events) in rows.items():
        # A relay has passed on a finish before it sees what follows.
        callers = ("openai", "anthropic") if name in ("finish_on_each", "finish_then_broken") else ()
        yield _row("gemini", name, right, events, callers=callers)


def _lines() -> Iterator[Shape]:
    said = [line(ollama_line({"content": word})) for word in WORDS]
    end = FORMS["ollama"].events(PLAIN)[-1]
    rows: dict[str, tuple[Right, list[bytes]]] = {
        "message_text": (EITHER_AFTER, [*said[:3], line({**ollama_line({}), "message": "w3 "}), *said[4:], end]),
        "message_missing": (EITHER_AFTER, [*said[:3], line({"model": "m", "response": "w3 ", "done": False}), *said[4:], end]),
        "calls_object": (EITHER_AFTER, [*said[:3], line(ollama_line({"tool_calls": {"function": {"name": "f"}}})), end]),
        "broken_word": (AFTER, [*said[:3], end.replace(b'"done_reason":"stop"', b'"done_reason":"error"')]),
        "array_line": (AFTER, [*said[:3], b"[]\n", *said[4:], end]),
    }  # fmt: skip
    for name, (right, events) in rows.items():
        yield _row("ollama", name, right, events)
    cohere = FORMS["cohere"]
    text, called = cohere.events(PLAIN), cohere.events(CALLS)
    for word in ("ERROR", "TIMEOUT", "ERROR_LIMIT", "USER_CANCEL"):
        yield _row(
            "cohere", f"broken_word_{word.lower()}", AFTER, [*text[:5], text[-1].replace(b"COMPLETE", word.encode())]
        )
        yield _whole_row("cohere", f"broken_word_{word.lower()}", BEFORE, {**cohere.body(PLAIN), "finish_reason": word})
    yield _row("cohere", "call_without_start", EITHER_AFTER, _without(called, b"tool-call-start"), CALLS)
    yield _row("cohere", "content_without_start", EITHER_AFTER, _without(text, b"content-start"))
    yandex = FORMS["yandex"].events(PLAIN)
    yield _row("yandex", "no_final", AFTER, yandex[:-1])
    yield _row(
        "yandex", "unknown_status", AFTER, [event.replace(b"STATUS_FINAL", b"STATUS_BROKEN") for event in yandex]
    )
    yield _row("yandex", "alternatives_object", AFTER, [*yandex[:3], line({"result": {"alternatives": {}}})])
