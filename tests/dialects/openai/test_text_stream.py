"""A legacy text stream: the rules of a chat stream, with text in place of deltas."""

import json
from typing import Any

import pytest

from orcestator.dialects.openai.text_stream import TextStream
from orcestator.errors import UpstreamBroken
from orcestator.json_text import Json
from tests.dialects.client_rules import SHOWN, Told, run, sse, terms


def piece(text: Any = "", reason: Any = None, index: int = 0, **more: Any) -> Json:
    choice = {"index": index, "text": text, "finish_reason": reason, "logprobs": None}
    return {"id": "c1", "object": "text_completion", "created": 1, "model": "gpt-x", "choices": [choice], **more}


def told(*events: Any) -> Told:
    return run([sse(*events)], TextStream(terms()))


def frames(output: bytes) -> list[Json]:
    *bodies, done, rest = output.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    return [json.loads(body[6:]) for body in bodies]


def test_text_arrives_under_the_shown_model_and_ends_once() -> None:
    bodies = frames(told(piece("a"), piece("b"), piece("", "eos"), piece("late"), "[DONE]").output)

    assert [(b["object"], b["model"]) for b in bodies] == [("text_completion", SHOWN)] * 4
    assert [b["choices"][0]["text"] for b in bodies] == ["a", "b", "late", ""]
    assert [b["choices"][0]["finish_reason"] for b in bodies] == [None, None, None, "stop"]


@pytest.mark.parametrize("nothing", [None, "", "null"])
def test_an_empty_reason_is_none_and_done_adds_one(nothing: object) -> None:
    bodies = frames(told(piece([{"text": "a"}], nothing), "[DONE]").output)

    assert [b["choices"][0]["finish_reason"] for b in bodies] == [None, "stop"]


def test_a_head_without_an_id_is_made() -> None:
    assert frames(told({"choices": [{"text": "a"}]}, "[DONE]").output)[0]["id"] == "cmpl-made1"


@pytest.mark.parametrize("events", [(), ("[DONE]",), (piece(""), "[DONE]"), (piece(""),), (piece("", "error"),)])
def test_nothing_is_no_answer(events: tuple[Any, ...]) -> None:
    outcome = told(*events)

    assert outcome.fell_back
    assert isinstance(outcome.failure, UpstreamBroken)


@pytest.mark.parametrize("failure", [{"error": {"message": "boom"}}, piece("", "error")])
def test_a_failure_after_text_is_told_in_the_shape_of_text(failure: Json) -> None:
    bodies = frames(told(piece("a"), failure).output)

    assert bodies[1]["choices"] == [{"index": 0, "text": "", "finish_reason": "error"}]
    assert bodies[2]["error"]["partial"] is True


def test_usage_comes_only_when_asked_for() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    events = sse(piece("a", "stop", usage=usage))
    asked = run([events], TextStream(terms(include_usage=True)))

    assert frames(asked.output)[-1]["usage"] == usage
    assert b"usage" not in run([events], TextStream(terms())).output


def test_a_whole_reply_of_an_upstream_that_ignored_stream() -> None:
    stream = TextStream(terms())

    stream.feed_reply(piece("all", "length"))

    assert [b["choices"][0]["finish_reason"] for b in frames(stream.take())] == [None, "length"]
    assert stream.text == ["all"]
