"""Whole answers, good, bent and cut, of every dialect."""

import gzip
from collections.abc import Iterator
from functools import partial
from typing import Any

from tests.shapes import framing
from tests.shapes.forms import (
    FORMS,
    ONE_CALL,
    PLAIN,
    TWO_CALLS,
    UPSTREAMS,
    Answer,
    Call,
    Told,
    compact,
    streamed,
    whole,
)  # fmt: skip
from tests.shapes.framing import CHUNKED, LAST, chunk_of, chunked, sized, unfinished, until_close
from tests.shapes.rows import BEFORE, EITHER, W
from tests.shapes.rows_heads import refusal
from tests.shapes.rows_openai import HALF, escaped
from tests.shapes.shape import Right, Shape
from tests.shapes.upstream import FIN, HOLD, RST, Step


def wholes() -> Iterator[Shape]:
    """Whole answers, good, bent and cut, of every dialect."""
    for dialect in UPSTREAMS:
        form = FORMS[dialect]
        answer, body = whole(form), form.whole(PLAIN)

        def row(
            name: str, right: Right, *steps: Step, told: Told = PLAIN, dialect: str = dialect, **more: Any
        ) -> Shape:
            return Shape(name, dialect, False, right, lambda: steps, told, **more)

        yield row("plain", W, *sized(answer))
        yield row("one_call", W, *sized(whole(form, Told((), ONE_CALL))), told=Told((), ONE_CALL))
        yield row("two_calls", W, *sized(whole(form, Told((), TWO_CALLS))), told=Told((), TWO_CALLS))
        yield row("spaces_around", W, *sized(answer.with_(pieces=[b"\n \n" + body + b"\n\n"])))
        yield row("bom_whole", W, *sized(answer.with_(pieces=[b"\xef\xbb\xbf" + body])))
        yield row("cut_by_fin", BEFORE, answer.head(b"Content-Length: %d" % len(body)) + body[:-7], FIN)
        yield row("cut_by_rst", BEFORE, answer.head(b"Content-Length: %d" % len(body)) + body[:-7], RST)
        yield row("cut_cleanly", BEFORE, *sized(answer.with_(pieces=[body[:-7]])))
        yield row("cut_until_close", BEFORE, *until_close(answer.with_(pieces=[body[:-7]])))
        yield row("cut_in_chunk", BEFORE, answer.head(CHUNKED), chunk_of(body)[:-9], FIN)
        # The JSON is whole, only its framing is not: it may be taken, or the next one asked.
        yield row("last_chunk_missing", EITHER, *unfinished(answer))
        yield row("length_longer_than_all", EITHER, answer.head(b"Content-Length: %d" % (len(body) + 50)) + body, FIN)
        yield row("length_shorter_than_all", BEFORE, answer.head(b"Content-Length: %d" % (len(body) - 5)) + body, FIN)
        yield row("fin_before_head", BEFORE, FIN)
        yield row("rst_before_head", BEFORE, RST)
        yield row("silent", BEFORE, HOLD)
        yield row("silent_after_head", BEFORE, answer.head(CHUNKED), HOLD)
        yield row("silent_in_body", BEFORE, answer.head(CHUNKED), chunk_of(body[:20]), HOLD)
        blanks: list[Step] = [step for _ in range(24) for step in (0.3, chunk_of(b"\n"))]
        yield row("blank_lines_for_ever", BEFORE, answer.head(CHUNKED), *blanks, HOLD)
        yield row("blank_lines_then_all", W, answer.head(CHUNKED), *blanks[:4], chunk_of(body), LAST)
        yield row("error_in_a_200", BEFORE, *sized(answer.with_(pieces=[compact(form.error)])))
        yield row("no_content_type", W, *sized(answer.with_(content_type=None)))
        yield row("labelled_text", W, *sized(answer.with_(content_type="text/plain")))
        yield row("labelled_loudly", W, *sized(answer.with_(content_type="Application/JSON; Charset=UTF-8")))
        yield row("status_500_whole", BEFORE, *refusal(dialect, 500, "own_error"))
        yield row("two_bodies", BEFORE, *sized(answer.with_(pieces=[body + body])))
        yield row("gzip_cut", BEFORE, *framing.encoded(answer, b"gzip", [gzip.compress(body)[:-12]]))
        # A stream in answer to a request for a whole one: documented as the next provider's turn; reading it is right too.
        yield row("a_stream", EITHER, *chunked(streamed(form)))
        stream_row = Shape("a_whole_reply", dialect, True, W, partial(sized, answer))
        yield stream_row
    for name, (right, told, body) in OPENAI_BODIES.items():
        callers = ("openai", "responses") if name == "half_arguments" else ()
        yield Shape(
            name, "openai", False, right, partial(sized, Answer([body], "application/json")), told, callers=callers
        )


def _body(told: Told = PLAIN, **message: Any) -> bytes:
    made = FORMS["openai"].body(told)
    made["choices"][0]["message"].update(message)
    return compact(made)


def _body_finish(finish: Any, told: Told = PLAIN) -> bytes:
    made = FORMS["openai"].body(told)
    made["choices"][0]["finish_reason"] = finish
    return compact(made)


_HALF_CALL = Told((), (Call("f", HALF[0]),))
_CALLS = Told((), ONE_CALL)
OPENAI_BODIES: dict[str, tuple[Right, Told, bytes]] = {
    "finish_stop_with_call": (W, _CALLS, _body_finish("stop", _CALLS)),
    "finish_null": (W, PLAIN, _body_finish(None)),
    "finish_missing_call": (W, _CALLS, _body_finish(None, _CALLS)),
    "finish_calls_without": (EITHER, PLAIN, _body_finish("tool_calls")),
    "finish_error": (BEFORE, PLAIN, _body_finish("error")),
    # As in a stream: what the model said, where arguments are text.
    "half_arguments": (EITHER, _HALF_CALL, _body(_HALF_CALL)),
    "content_null": (EITHER, Told(()), _body(content=None)),
    "content_number": (EITHER, Told(("4",)), _body(content=4)),
    "content_parts": (EITHER, Told(("w4",)), _body(content=[{"type": "text", "text": "w4"}])),
    "no_choices": (BEFORE, PLAIN, compact({**FORMS["openai"].body(PLAIN), "choices": []})),
    "choices_null": (BEFORE, PLAIN, compact({**FORMS["openai"].body(PLAIN), "choices": None})),
    "error_beside_choices": (EITHER, PLAIN, compact({**FORMS["openai"].body(PLAIN), "error": None})),
    "nulls": (W, PLAIN, _body(tool_calls=None, function_call=None, refusal=None, reasoning_content=None, audio=None)),
    "raw_control": (EITHER, Told(("a\x01b",)), _body(Told(("a@b",))).replace(b"a@b", b"a\x01b")),
    "bad_utf8": (EITHER, Told(("a\ufffdb",)), _body(Told(("a@b",))).replace(b"a@b", b"a\xffb")),
    "ascii_escapes": (W, PLAIN, escaped(_body())),
    "big_integers": (W, Told((), (Call("f", '{"a": 18446744073709551616}'),)), _body(Told((), (Call("f", '{"a": 18446744073709551616}'),)))),
    "bad_finish_number": (EITHER, PLAIN, _body_finish(7)),
}  # fmt: skip
