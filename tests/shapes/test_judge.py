"""The judge itself: it must see each way in which a caller can be left with less than it thinks."""

from collections.abc import Callable

import pytest

from tests.shapes.forms import FORMS, ONE_CALL, PLAIN, SECOND, Told, chunk, compact, data, streamed, whole
from tests.shapes.framing import chunked, sized
from tests.shapes.oracle import judge
from tests.shapes.readers import CALLERS
from tests.shapes.shape import Right, Shape
from tests.shapes.upstream import Steps

FAILED = data({"error": {"message": "boom", "type": "server_error", "param": None, "code": "x"}})


def shape(right: Right, *, is_stream: bool = True, told: Told = PLAIN) -> Shape:
    """A shape of which only the expectation counts."""
    return Shape("x", "openai", is_stream, right, list, told)


def wire(steps: Steps) -> bytes:
    """What a reader would have of these steps."""
    return b"".join(step for step in steps if isinstance(step, bytes))


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("told", [Told(), Told((), ONE_CALL)])
@pytest.mark.parametrize(("made", "is_stream", "frame"), [(streamed, True, chunked), (whole, False, sized)])
def test_a_whole_answer_is_whole(
    caller: str, told: Told, made: Callable[..., object], is_stream: bool, frame: Callable[..., Steps]
) -> None:
    """In every caller's dialect, streamed and not."""
    answer = made(FORMS[caller], told)
    verdict = judge(wire(frame(answer)), caller, shape(Right.WHOLE, is_stream=is_stream, told=told), False)
    assert verdict.outcome == "whole", verdict.why


@pytest.mark.parametrize("caller", CALLERS)
def test_a_missing_word_is_seen(caller: str) -> None:
    """An answer that ends well and lacks a word."""
    words = Told().words
    answer = streamed(FORMS[caller], Told((*words[:3], *words[4:])))
    assert "a success with" in judge(wire(chunked(answer)), caller, shape(Right.WHOLE), False).why


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("left_out", [1, 2])
def test_a_missing_end_is_seen(caller: str, left_out: int) -> None:
    """An answer without its last events."""
    answer = streamed(FORMS[caller])
    cut = answer.with_(pieces=answer.pieces[:-left_out])
    assert judge(wire(chunked(cut)), caller, shape(Right.EITHER_AFTER), True).outcome == "wrong"


@pytest.mark.parametrize("caller", CALLERS)
def test_a_cut_body_is_seen(caller: str) -> None:
    """Chunks without the last one, in the middle of the text."""
    raw = wire(chunked(streamed(FORMS[caller])))
    assert judge(raw[: len(raw) // 2], caller, shape(Right.AFTER), True).outcome == "wrong"


@pytest.mark.parametrize(
    ("events", "outcome", "why"),
    [
        ([chunk({"content": "w0 "}), chunk({}, "error"), FAILED, b"data: [DONE]\n\n"], "told", "boom"),
        ([chunk({"content": "w0 "}), chunk({}, "stop"), FAILED, b"data: [DONE]\n\n"], "wrong", "both an error and"),
        ([chunk({"content": "w1 "}), FAILED], "wrong", "told after a wrong text"),
        ([chunk({"content": "w0 "}), FAILED, chunk({"content": "w1 "})], "wrong", "after the error"),
        ([chunk({}, "stop"), chunk({"content": "w0 "})], "wrong", "content after the finish"),
        ([b"data: {cut\n\n"], "wrong", "not JSON"),
    ],
)
def test_the_end_of_a_broken_stream(events: list[bytes], outcome: str, why: str) -> None:
    """Told is told once, at the end, after a beginning of the text, and never beside a success."""
    answer = streamed(FORMS["openai"]).with_(pieces=events)
    verdict = judge(wire(chunked(answer)), "openai", shape(Right.AFTER), False)
    assert verdict.outcome == outcome
    assert why in verdict.why


@pytest.mark.parametrize(("right", "has_second"), [(Right.WHOLE, True), (Right.BEFORE, False), (Right.REFUSED, True)])
def test_the_second_ones_answer_is_not_always_right(right: Right, has_second: bool) -> None:
    """Not when the first one's was there, nor when there is no second one, nor when the request was refused."""
    raw = wire(chunked(streamed(FORMS["openai"], Told((SECOND,)))))
    assert judge(raw, "openai", shape(right), has_second).outcome == "wrong"
    assert judge(raw, "openai", shape(Right.BEFORE), True).outcome == "second"


@pytest.mark.parametrize("status", [b"401 Unauthorized", b"200 OK", b"502 Bad Gateway"])
def test_an_error_is_in_the_callers_form(status: bytes) -> None:
    """OpenAI's error is none of Anthropic's, is none with 200, and is never a 401 of ours."""
    answer = whole(FORMS["openai"]).with_(pieces=[FAILED.removeprefix(b"data: ").strip()], status=status)
    raw = wire(sized(answer))
    is_right = status.startswith(b"502")
    assert (judge(raw, "openai", shape(Right.BEFORE, is_stream=False), False).outcome == "told") is is_right
    assert judge(raw, "anthropic", shape(Right.BEFORE, is_stream=False), False).outcome == "wrong"


def test_a_name_twice_is_no_json() -> None:
    """What two parsers read differently is not whole."""
    body = compact(FORMS["openai"].body(Told())).replace(b'"choices"', b'"choices":[],"choices"')
    raw = wire(sized(whole(FORMS["openai"]).with_(pieces=[body])))
    assert "twice" in judge(raw, "openai", shape(Right.WHOLE, is_stream=False), False).why
