"""What the other dialects' streams can do that OpenAI's cannot."""

from collections.abc import Iterator
from functools import partial

from tests.shapes import framing
from tests.shapes.forms import (
    FORMS,
    ONE_CALL,
    PLAIN,
    TWO_CALLS,
    UPSTREAMS,
    WORDS,
    Answer,
    Told,
    data,
    gemini_chunk,
    line,
    named,
    ollama_line,
    streamed,
)  # fmt: skip
from tests.shapes.framing import CHUNKED, LAST, chunk_of, chunked, unfinished
from tests.shapes.rows import AFTER, BEFORE, EITHER_AFTER, REFUSED, W
from tests.shapes.shape import Right, Shape
from tests.shapes.upstream import HOLD, Step

CALLS = Told((), ONE_CALL)


def others() -> Iterator[Shape]:
    """What the other dialects' streams can do that OpenAI's cannot."""
    for dialect in UPSTREAMS:
        form = FORMS[dialect]
        for name, told in {
            "one_call_stream": CALLS,
            "two_calls_stream": Told((), TWO_CALLS),
            "text_and_call": Told(WORDS, ONE_CALL),
        }.items():
            if dialect == "yandex" and told.words and told.calls:
                continue
            yield Shape(name, dialect, True, W, partial(chunked, streamed(form, told)), told)
            yield Shape(f"{name}_by_bytes", dialect, True, W, partial(framing.by_bytes, streamed(form, told), 64), told)
        if dialect in ("anthropic", "responses", "cohere"):
            events = form.events(CALLS)
            cut = events[: -(form.closing + (1 if dialect != "responses" else 0))]
            yield Shape("fin_in_call", dialect, True, AFTER, partial(unfinished, Answer(cut, form.content_type)), CALLS)
            head = streamed(form).head(CHUNKED)
            at = next(
                place
                for place, event in enumerate(events)
                if (b"delta" in event and b"n17" in event)
                or b"arguments.delta" in event
                or b"input_json_delta" in event
            )
            slow = [
                head,
                *(
                    step
                    for place, event in enumerate(events)
                    for step in ((0.8, chunk_of(event)) if place in (at, at + 1) else (chunk_of(event),))
                ),
                LAST,
            ]
            yield Shape("slow_call", dialect, True, W, lambda slow=slow: slow, CALLS)
    yield from _anthropic()
    yield from _gemini_ollama()


def _anthropic() -> Iterator[Shape]:
    form = FORMS["anthropic"]
    events = form.events(PLAIN)
    ping = named({"type": "ping"})
    rows: dict[str, tuple[Right, list[bytes]]] = {
        "pings_between": (W, [part for event in events for part in (event, ping)]),
        "unknown_event": (W, [*events[:2], named({"type": "content_block_flag", "index": 0}), *events[2:]]),
        "no_message_stop": (EITHER_AFTER, events[:-1]),
        "no_message_delta": (AFTER, [*events[:-2], events[-1]]),
        "no_block_stop": (EITHER_AFTER, [*events[:-3], *events[-2:]]),
        "stop_reason_null": (EITHER_AFTER, [*events[:-2], named({"type": "message_delta", "delta": {"stop_reason": None}, "usage": {}}), events[-1]]),
        "error_at_the_end": (AFTER, [*events[:-2], named({"type": "error", "error": {"type": "overloaded_error", "message": "boom"}})]),
        "error_without_name": (AFTER, [*events[:5], data({"type": "error", "error": {"type": "overloaded_error", "message": "boom"}})]),
        "garbage_event": (AFTER, [*events[:5], b"event: content_block_delta\ndata: {cut\n\n", *events[6:]]),
        "names_missing": (W, [event.partition(b"\n")[2] for event in events]),
        "starts_twice": (EITHER_AFTER, [events[0], *events]),
    }  # fmt: skip
    for name, (right, made) in rows.items():
        callers = ("openai", "responses") if name in ("names_missing", "starts_twice", "unknown_event") else ()
        yield Shape(name, "anthropic", True, right, partial(chunked, Answer(made, form.content_type)), callers=callers)
    quiet: list[Step] = [
        streamed(form).head(CHUNKED),
        chunk_of(events[0]),
        *(step for _ in range(20) for step in (0.3, chunk_of(ping))),
        HOLD,
    ]
    yield Shape("pings_for_content", "anthropic", True, BEFORE, lambda: quiet)


def _gemini_ollama() -> Iterator[Shape]:
    texts = [data(gemini_chunk([{"text": word}])) for word in WORDS]
    rows: dict[str, tuple[Right, list[bytes]]] = {
        "finish_with_last": (W, [*texts[:-1], data(gemini_chunk([{"text": WORDS[-1]}], "STOP"))]),
        "finish_without_parts": (W, [*texts, data({"candidates": [{"finishReason": "STOP", "index": 0}]})]),
        "usage_after_finish": (W, [*texts, data(gemini_chunk([], "STOP")), data({"usageMetadata": {"promptTokenCount": 3}})]),
        "no_finish": (AFTER, texts),
        "no_candidates": (BEFORE, [data({"usageMetadata": {"promptTokenCount": 3}})]),
        "prompt_blocked": (REFUSED, [data({"promptFeedback": {"blockReason": "SAFETY"}})]),
        "unavailable_in_words": (AFTER, [*texts[:3], data({"error": {"code": 503, "message": "boom", "status": "UNAVAILABLE"}})]),
        "malformed_call": (AFTER, [*texts[:3], data(gemini_chunk([], "MALFORMED_FUNCTION_CALL"))]),
        "garbage_event": (AFTER, [*texts[:3], b"data: {cut\n\n", *texts[4:], data(gemini_chunk([], "STOP"))]),
    }  # fmt: skip
    for name, (right, made) in rows.items():
        callers = ("openai", "anthropic") if name in ("prompt_blocked", "malformed_call") else ()
        yield Shape(name, "gemini", True, right, partial(chunked, Answer(made, "text/event-stream")), callers=callers)
    said = [line(ollama_line({"content": word})) for word in WORDS]
    end = FORMS["ollama"].events(PLAIN)[-1]
    lines: dict[str, tuple[Right, list[bytes]]] = {
        "done_with_last": (W, [*said[:-1], end.replace(b'"content":""', b'"content":"end"')]),
        "no_done": (AFTER, said),
        "error_line": (AFTER, [*said[:3], line({"error": "boom"})]),
        "garbage_line": (AFTER, [*said[:3], b"{cut\n", *said[4:], end]),
        "done_reason_missing": (W, [*said, end.replace(b'"done_reason":"stop",', b"")]),
    }
    for name, (right, made) in lines.items():
        yield Shape(name, "ollama", True, right, partial(chunked, Answer(made, "application/x-ndjson")))
