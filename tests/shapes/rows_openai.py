"""What OpenAI-compatible servers stream: text, finishes, faults, usage."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from tests.shapes.forms import (
    CHUNK,
    DONE,
    FORMS,
    PLAIN,
    TEXT,
    TWO_CALLS,
    USAGE,
    WORDS,
    Answer,
    Told,
    chunk,
    compact,
    data,
    streamed,
)  # fmt: skip
from tests.shapes.framing import chunked, sized
from tests.shapes.rows import AFTER, BEFORE, EITHER, EITHER_AFTER, TALK, W
from tests.shapes.shape import Right, Shape


def openai_stream(name: str, right: Right, *events: bytes, told: Told = PLAIN, **more: Any) -> Shape:
    """A stream of these events."""
    answer = Answer(list(events), "text/event-stream")
    return Shape(name, "openai", True, right, partial(chunked, answer), told, **more)


ROLE = chunk({"role": "assistant", "content": ""})
SAID = [chunk({"content": word}) for word in WORDS]
STOP = chunk({}, "stop")
FIRST, REST = SAID[:TALK], SAID[TALK:]
F, G = TWO_CALLS
HALF = F.arguments[:9], F.arguments[9:]


def openai_texts() -> Iterator[Shape]:
    """Chunks of text, finishes and ends in every kind of server's way."""
    ends = (STOP, DONE)
    yield openai_stream("no_role", W, *SAID, *ends)
    yield openai_stream("role_in_each", W, *(chunk({"role": "assistant", "content": word}) for word in WORDS), *ends)
    yield openai_stream("role_null", W, *(chunk({"role": None, "content": word}) for word in WORDS), *ends)
    yield openai_stream(
        "nulls_everywhere",
        W,
        *(
            chunk(
                {
                    "content": word,
                    "tool_calls": None,
                    "function_call": None,
                    "refusal": None,
                    "reasoning_content": None,
                },
                usage=None,
                system_fingerprint=None,
                service_tier=None,
            )
            for word in WORDS
        ),
        *ends,
    )
    yield openai_stream(
        "empty_deltas", W, ROLE, *(event for said in SAID for event in (chunk({}), chunk({"content": ""}), said)), *ends
    )
    yield openai_stream(
        "empty_choices", W, data({**CHUNK, "choices": []}), ROLE, *SAID, data({**CHUNK, "choices": []}), *ends
    )
    yield openai_stream("choices_null", EITHER, data({**CHUNK, "choices": None}), ROLE, *SAID, *ends)
    yield openai_stream("finish_with_last_word", W, ROLE, *SAID[:-1], chunk({"content": WORDS[-1]}, "stop"), DONE)
    yield openai_stream("finish_on_each", W, ROLE, *(chunk({"content": word}, "stop") for word in WORDS), DONE)
    yield openai_stream("finish_empty_text", W, *(chunk({"content": word}, "") for word in WORDS), *ends)
    yield openai_stream("finish_null_text", W, *(chunk({"content": word}, "null") for word in WORDS), *ends)
    yield openai_stream("finish_then_content", W, ROLE, *FIRST, STOP, *REST, DONE)
    yield openai_stream("finish_then_content_finish", W, ROLE, *FIRST, STOP, *REST, STOP, DONE)
    yield openai_stream("finish_twice", W, ROLE, *SAID, STOP, STOP, DONE)
    yield openai_stream("finish_eos", W, ROLE, *SAID, chunk({}, "eos"), DONE)
    yield openai_stream("finish_number", EITHER_AFTER, ROLE, *SAID, chunk({}, 7), DONE)
    yield openai_stream("finish_error", AFTER, ROLE, *FIRST, chunk({}, "error"), DONE)
    # A server that says [DONE] has ended of its own accord; many compatible ones never give a reason.
    yield openai_stream("done_without_finish", W, ROLE, *SAID, DONE)
    yield openai_stream("finish_without_done", W, ROLE, *SAID, STOP)
    yield openai_stream("neither_finish_nor_done", AFTER, ROLE, *SAID)
    yield openai_stream(
        "usage_without_finish_or_done", EITHER_AFTER, ROLE, *SAID, data({**CHUNK, "choices": [], "usage": USAGE})
    )
    yield openai_stream("done_twice", W, ROLE, *SAID, *ends, DONE)
    yield openai_stream("events_after_done", W, ROLE, *SAID, *ends, chunk({"content": "more"}))
    yield openai_stream("done_with_space", W, ROLE, *SAID, STOP, b"data:  [DONE] \n\n")
    yield openai_stream("done_only", BEFORE, DONE)
    yield openai_stream("role_and_done_only", BEFORE, ROLE, DONE)
    # An answer without a word is an answer when the model says that it stopped by itself? It helps no caller: next one.
    yield openai_stream("stop_only", EITHER, ROLE, STOP, DONE, told=Told(()))
    yield openai_stream(
        "message_for_delta",
        EITHER,
        data(
            {
                **CHUNK,
                "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
            }
        ),
        DONE,
    )
    yield openai_stream(
        "no_index", W, *(data({**CHUNK, "choices": [{"delta": {"content": word}}]}) for word in WORDS), *ends
    )
    yield openai_stream(
        "no_ids",
        W,
        *(data({"choices": [{"index": 0, "delta": {"content": word}}]}) for word in WORDS),
        data({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
        DONE,
    )
    yield openai_stream(
        "id_changes",
        W,
        *(
            data(
                {
                    **CHUNK,
                    "id": f"c{place}",
                    "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}],
                }
            )
            for place, word in enumerate(WORDS)
        ),
        *ends,
    )
    yield openai_stream("ascii_escapes", W, *(b"data: " + escaped(said) + b"\n\n" for said in SAID), *ends)
    yield openai_stream(
        "surrogates_in_two",
        W,
        ROLE,
        *(b"data: " + _plain(r"\ud83d") + b"\n\n", b"data: " + _plain(r"\ude00") + b"\n\n"),
        *ends,
        told=Told(("😀",)),
    )
    yield openai_stream(
        "lone_surrogate",
        EITHER,
        ROLE,
        *FIRST,
        b"data: " + _plain(r"\ud83d") + b"\n\n",
        *ends,
        told=Told((*WORDS[:TALK], "\ufffd")),
        is_garbled=True,
    )
    yield openai_stream("big_event", W, chunk({"content": "x" * 1_500_000}), *ends, told=Told(("x" * 1_500_000,)))
    yield openai_stream(
        "big_picture",
        W,
        *SAID,
        chunk(
            {
                "content": "",
                "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_500_000}}],
            }
        ),
        *ends,
        callers=("openai", "anthropic"),
    )
    yield openai_stream(
        "reasoning_first", W, chunk({"reasoning_content": "hm "}), chunk({"reasoning_content": "so"}), *SAID, *ends
    )
    yield openai_stream("reasoning_between", W, *FIRST, chunk({"reasoning": "hm"}), *REST, *ends)
    yield openai_stream(
        "reasoning_beside", W, *(chunk({"content": word, "reasoning_content": "r"}) for word in WORDS), *ends
    )
    yield openai_stream(
        "reasoning_null_and_empty",
        W,
        *(
            chunk({"content": word, "reasoning_content": "", "reasoning": None, "reasoning_details": []})
            for word in WORDS
        ),
        *ends,
    )
    yield Shape(
        "sse_labelled_json",
        "openai",
        True,
        W,
        partial(chunked, streamed(FORMS["openai"]).with_(content_type="application/json")),
    )
    yield Shape(
        "sse_without_label", "openai", True, W, partial(chunked, streamed(FORMS["openai"]).with_(content_type=None))
    )
    yield Shape(
        "sse_labelled_text",
        "openai",
        True,
        W,
        partial(chunked, streamed(FORMS["openai"]).with_(content_type="text/plain; charset=utf-8")),
    )
    yield Shape(
        "sse_labelled_octets",
        "openai",
        True,
        W,
        partial(chunked, streamed(FORMS["openai"]).with_(content_type="application/octet-stream")),
    )


def escaped(event: bytes) -> bytes:
    """The JSON of an event with every character beyond ASCII as an escape."""
    return json.dumps(json.loads(event.removeprefix(b"data: "))).encode()


def _plain(content: str) -> bytes:
    """A chunk whose content is this JSON text, as it stands."""
    return chunk({"content": "@"}).removeprefix(b"data: ").rstrip().replace(b'"@"', f'"{content}"'.encode())


def openai_faults() -> Iterator[Shape]:
    """Events that no server should send: the caller is told, or has all of it."""
    ends = (STOP, DONE)
    boom = b'{"message":"boom","type":"overloaded"}'
    yield openai_stream("event_error_then_done", AFTER, ROLE, *FIRST, b"event: error\ndata: " + boom + b"\n\n", DONE)
    yield openai_stream("event_error_first", BEFORE, b"event: error\ndata: " + boom + b"\n\n", DONE)
    yield openai_stream("event_error_words", AFTER, ROLE, *FIRST, b"event: error\ndata: boom\n\n", DONE)
    for name, value in {
        "detail": {"detail": "Internal error"}, "detail_list": {"detail": [{"msg": "boom"}]}, "message": {"message": "boom", "code": 500},
        "error_text": {"error": "boom"}, "error_object": {"error": {"message": "boom"}}, "error_code": {"error": {"code": 502}},
        "errors": {"errors": [{"message": "boom"}]}, "error_beside_choices": {**CHUNK, "choices": [], "error": {"message": "boom", "code": 502}},
        "type_error": {"type": "error", "error": {"type": "overloaded_error", "message": "boom"}},
        "status": {"status": 500, "title": "boom"}, "success_false": {"success": False, "error": "boom"},
    }.items():  # fmt: skip
        yield openai_stream(f"{name}_then_done", AFTER, ROLE, *FIRST, data(value), DONE)
        yield openai_stream(f"{name}_first", BEFORE, data(value), DONE)
    choice = data(
        {
            **CHUNK,
            "choices": [{"index": 0, "delta": {}, "finish_reason": None, "error": {"message": "boom", "code": 502}}],
        }
    )
    yield openai_stream("error_in_choice_then_done", AFTER, ROLE, *FIRST, choice, DONE)
    for name, event in {
        "cut_json": b'data: {"id":"x","choices":[{"ind\n\n', "words": b"data: oops\n\n", "html": b"data: <html>\n\n",
        "number": b"data: 7\n\n", "array": b"data: []\n\n", "text": b'data: "w3 "\n\n', "nan": b"data: NaN\n\n",
        "two_jsons": b"data: " + SAID[TALK].removeprefix(b"data: ").rstrip() + SAID[TALK].removeprefix(b"data: ").rstrip() + b"\n\n",
    }.items():  # fmt: skip
        yield openai_stream(f"garbage_for_word_{name}", AFTER, ROLE, *FIRST, event, *SAID[TALK + 1 :], *ends)
        yield openai_stream(f"garbage_first_{name}", EITHER, event, ROLE, *SAID, *ends)
        yield openai_stream(f"garbage_only_{name}", BEFORE, event, DONE)
    for name, raw in {"control": "\x01", "tab": "\t", "nul": "\x00", "escape": "\x1b"}.items():
        event = b"data: " + _plain(f"a{raw}b") + b"\n\n"
        told = Told((*WORDS[:TALK], f"a{raw}b"))
        yield openai_stream(f"raw_{name}", EITHER_AFTER, ROLE, *FIRST, event, *ends, told=told, is_garbled=True)
    bad = b"data: " + _plain("a@b").replace(b"a@b", b"a\xffb") + b"\n\n"
    yield openai_stream(
        "bad_utf8", EITHER_AFTER, ROLE, *FIRST, bad, *ends, told=Told((*WORDS[:TALK], "a\ufffdb")), is_garbled=True
    )
    for name, value in {
        "number": 4,
        "object": {"text": "w4"},
        "true": True,
        "array": ["w4"],
        "parts": [{"type": "text", "text": "w4"}],
    }.items():
        # "Text or an error": which of the two text is, is up to the reader of such a thing.
        told = Told((*WORDS[:TALK], "4" if name == "number" else "w4"))
        yield openai_stream(f"content_{name}", EITHER_AFTER, ROLE, *FIRST, chunk({"content": value}), *ends, told=told)
    for name, value in {
        "choices_object": {},
        "choices_text": "x",
        "choices_of_text": ["x"],
        "choices_of_null": [None],
        "delta_text": [{"index": 0, "delta": "w3 "}],
    }.items():
        yield openai_stream(
            f"{name}_for_word", EITHER_AFTER, ROLE, *FIRST, data({**CHUNK, "choices": value}), *REST[1:], *ends
        )
    yield openai_stream(
        "deep_json",
        EITHER_AFTER,
        ROLE,
        *SAID,
        b'data: {"choices":[],"x":' + b"[" * 5000 + b"]" * 5000 + b"}\n\n",
        *ends,
    )
    yield openai_stream(
        "name_twice",
        EITHER_AFTER,
        ROLE,
        *FIRST,
        b'data: {"choices":[],"choices":[{"index":0,"delta":{"content":"w3 "}}]}\n\n',
        *REST[1:],
        *ends,
    )


def usages() -> Iterator[Shape]:
    """Usage of every kind: it must never cost the answer."""
    for name, usage in {
        "null": None, "empty": {}, "number": 7, "text": "x", "list": [1], "false": False,
        "floats": {"prompt_tokens": 3.0, "completion_tokens": 1.5}, "texts": {"prompt_tokens": "3", "completion_tokens": "10"},
        "negative": {"prompt_tokens": -3, "completion_tokens": -1}, "huge": {"prompt_tokens": 10**30, "completion_tokens": 1},
        "nulls": {"prompt_tokens": None, "completion_tokens": None}, "nested_null": {**USAGE, "prompt_tokens_details": None, "completion_tokens_details": None},
        "bools": {"prompt_tokens": True, "completion_tokens": False}, "no_total": {"prompt_tokens": 3, "completion_tokens": 10},
    }.items():  # fmt: skip
        yield openai_stream(f"usage_{name}", W, ROLE, *SAID, STOP, data({**CHUNK, "choices": [], "usage": usage}), DONE)
        body = compact({**FORMS["openai"].body(PLAIN), "usage": usage})
        yield Shape(f"usage_{name}", "openai", False, W, partial(sized, Answer([body], "application/json")))
    yield openai_stream("usage_on_each", W, *(chunk({"content": word}, usage=USAGE) for word in WORDS), STOP, DONE)
    yield openai_stream(
        "usage_before_finish", W, ROLE, *SAID, data({**CHUNK, "choices": [], "usage": USAGE}), STOP, DONE
    )
    yield openai_stream(
        "usage_twice", W, ROLE, *SAID, STOP, *[data({**CHUNK, "choices": [], "usage": USAGE})] * 2, DONE
    )
