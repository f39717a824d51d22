"""The rest of a broken stream, as a client sees it behind the part that it already has: one answer, one role, one end."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.dialects.openai.resumed import Broken, ResumedWriter, head_in
from orcestator.dialects.openai.stream import ChatStream
from orcestator.dialects.sse import DONE
from orcestator.errors import StreamInterrupted, UpstreamBroken
from orcestator.json_text import Json
from tests.dialects.client_rules import ROLE, SHOWN, STOP, Seen, Told, assert_client_safe, chunk, head, run, sse, terms

HEAD: Json = {"id": "c-first", "object": "chat.completion.chunk", "created": 1_500_000_000, "model": SHOWN}
EARLIER = 7
BROKEN = Broken(HEAD, EARLIER)
FIRST = sse(
    {**HEAD, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Once"}, "finish_reason": None}]}
)
"""What the caller has of the stream that broke."""
ERROR = {"error": {"message": "the second one is overloaded", "type": "server_error"}}


def writer(*, include_usage: bool = False, broken: Broken = BROKEN) -> ResumedWriter:
    return ResumedWriter(broken, include_usage=include_usage)


def resumed(*events: Any, include_usage: bool = False) -> Told:
    """The second model's stream, written behind the first one's."""
    stream = ChatStream(terms(include_usage=include_usage), writer=writer(include_usage=include_usage))
    return run([sse(event) for event in events], stream)


def whole(told: Told, *, include_usage: bool = False) -> Seen:
    """What a client makes of both parts, by the rules of clients."""
    return assert_client_safe(FIRST + told.output, include_usage=include_usage)


def bodies(output: bytes) -> list[Json]:
    *frames, done, rest = output.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    return [json.loads(frame.removeprefix(b"data: ")) for frame in frames]


def deltas(output: bytes) -> list[Json]:
    return [choice["delta"] for body in bodies(output) for choice in body["choices"]]


def test_both_parts_are_one_answer() -> None:
    """A client that puts it together sees one text and one end, as of one model."""
    told = resumed(ROLE, chunk({"content": " upon"}), chunk({"content": " a time"}), STOP, "[DONE]")
    seen = whole(told)
    assert (seen.text, seen.finish, seen.usage) == ("Once upon a time", "stop", None)


def test_every_chunk_has_the_first_ones_head() -> None:
    """Whatever the second upstream calls its own: id, time, model, and what else it has there."""
    told = resumed(
        chunk({"role": "assistant", "content": " upon"}, system_fingerprint="fp"),
        chunk({"content": " a"}),
        chunk({"content": " time"}),
        STOP,
        {**head(choices=[]), "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}},
        "[DONE]",
        include_usage=True,
    )
    written = bodies(told.output)
    assert len(written) == 5
    for body in written:
        assert {name: body[name] for name in HEAD} == HEAD
        assert body.keys() <= HEAD.keys() | {"choices", "usage"}


@pytest.mark.parametrize(
    "first",
    [
        (ROLE, chunk({"content": " upon"})),
        (chunk({"role": "assistant", "content": " upon"}),),
        (chunk({"role": "assistant"}), chunk({"role": "assistant", "content": " upon"})),
        (chunk({"content": " upon"}),),
    ],
)
def test_the_role_is_not_said_twice(first: tuple[Json, ...]) -> None:
    """However the second upstream says it; an event that says nothing else is left out."""
    told = resumed(*first, STOP, "[DONE]")
    assert not any("role" in delta for delta in deltas(told.output))
    assert [delta["content"] for delta in deltas(told.output) if delta.get("content")] == [" upon"]
    assert whole(told).text == "Once upon"


def test_a_chunk_of_nothing_but_a_role_is_nothing() -> None:
    """A finish reason is something: it is kept with an empty delta."""
    bare = {**head(), "choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}]}
    assert writer().chunk(bare) == b""
    finished = {**head(), "choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": "length"}]}
    (body,) = bodies(writer().chunk(finished) + DONE)
    assert body["choices"] == [{"index": 0, "delta": {}, "finish_reason": "length"}]


def test_a_chunk_is_written_and_not_changed() -> None:
    """It is the reader's: others may still look at it."""
    given_chunk = chunk({"role": "assistant", "content": "x"})
    before = json.dumps(given_chunk)
    writer().chunk(given_chunk)
    assert json.dumps(given_chunk) == before


def test_text_is_the_chunk_that_would_be_written_for_it() -> None:
    """The writer's promise: only faster."""
    for content in (" upon", 'a "quoted" \\ line\nand \u2028 another', "\U0001f600"):
        assert writer().text(content) == writer().chunk(chunk({"content": content}))


def test_usage_is_that_of_one_answer() -> None:
    """What was given to the second model to go on from is no prompt of the caller's: it is the first part of the answer."""
    usage = {"prompt_tokens": 30 + EARLIER, "completion_tokens": 5, "total_tokens": 35 + EARLIER, "cost": 0.5}
    told = resumed(chunk({"content": "x"}), STOP, {**head(choices=[]), "usage": usage}, "[DONE]", include_usage=True)
    assert whole(told, include_usage=True).usage == {
        **usage, "prompt_tokens": 30, "completion_tokens": 5 + EARLIER, "total_tokens": 35 + EARLIER,
    }  # fmt: skip


def test_usage_is_told_to_those_who_asked() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
    told = resumed(chunk({"content": "x"}), STOP, {**head(choices=[]), "usage": usage}, "[DONE]")
    assert whole(told).usage is None
    assert writer().end(usage) == DONE


@given(*(st.integers(0, 10**9),) * 3)
def test_usage_adds_up_and_is_never_negative(prompt: int, completion: int, earlier: int) -> None:
    """An upstream may count less for all that it was given than we did for a part of it."""
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    (body,) = bodies(writer(include_usage=True, broken=Broken(HEAD, earlier)).end(usage))
    told = body["usage"]
    assert told["total_tokens"] == told["prompt_tokens"] + told["completion_tokens"]
    assert told["completion_tokens"] == completion + earlier
    assert told["prompt_tokens"] == max(0, prompt - earlier)


@pytest.mark.parametrize(
    "events",
    [
        (chunk({"content": " upon"}), ERROR),
        (chunk({"content": " upon"}),),
        (chunk({"content": " upon"}), chunk({}, "error")),
        (chunk({"content": " upon"}), "{"),
    ],
    ids=["error event", "cut", "error reason", "garbage"],
)
def test_one_that_breaks_again_ends_as_any_other(events: tuple[Any, ...]) -> None:
    """The same end, in the same shape, that the same failure has in a stream that nobody continued."""
    told = resumed(*events)
    assert told.failure is not None
    seen = whole(told)
    assert (seen.text, seen.finish) == ("Once upon", "error")

    plain = run([sse(event) for event in events], ChatStream(terms()))
    assert seen.error == assert_client_safe(plain.output).error
    ends = [[(sorted(b), b.get("choices")) for b in bodies(one.output)[-2:]] for one in (told, plain)]
    assert ends[0] == ends[1]


def test_what_broke_after_its_finish_reason_finishes_once() -> None:
    """As broken: a reason is told when nothing more can come."""
    events = (chunk({"content": " upon"}), STOP, ERROR)
    plain = assert_client_safe(run([sse(event) for event in events], ChatStream(terms())).output)
    seen = whole(resumed(*events))
    assert (seen.text, seen.finish, seen.error) == ("Once upon", "error", plain.error)


def test_a_failure_before_anything_was_written_ends_what_the_caller_has() -> None:
    error = StreamInterrupted(UpstreamBroken("prov went away.", cause="closed"))
    seen = assert_client_safe(FIRST + writer().failure(error))
    assert (seen.text, seen.finish) == ("Once", "error")
    assert seen.error is not None
    assert (seen.error["message"], seen.error["type"]) == ("prov went away.", "upstream_error")


def test_a_head_is_what_all_chunks_have() -> None:
    """As they were written, without what is of one chunk alone."""
    assert head_in(FIRST) == HEAD
    assert head_in(sse({**HEAD, "choices": [], "usage": {}, "system_fingerprint": "fp"})) == HEAD


def test_a_head_is_that_of_the_first_chunk() -> None:
    frames = b": keep-alive\n\n" + FIRST + sse({**HEAD, "id": "other", "choices": []}) + DONE
    assert head_in(frames) == HEAD


def test_a_head_is_found_in_what_a_stream_writes() -> None:
    """The whole way round: the head of one stream's frames makes another's continue it."""
    first = run([sse(ROLE, chunk({"content": "Once"}))], ChatStream(terms()))
    found = head_in(first.output)
    assert found is not None
    stream = ChatStream(terms(), writer=writer(broken=Broken(found, 1)))
    second = run([sse(chunk({"content": " more"}, id="c2", model="m2"), STOP)], stream)
    heads = [{name: body.get(name) for name in HEAD} for body in bodies(second.output)]
    assert heads == [found] * 2


@pytest.mark.parametrize(
    "frames",
    [
        b"",
        b"\n\n",
        b": keep-alive\n\n",
        DONE,
        b"data: \n\n",
        b"data: []\n\n",
        b"event: ping\n\n",
        sse(ERROR),
        sse({"type": "message_start", "message": {"id": "m1"}}),
    ],
)
def test_frames_without_a_chunk_have_no_head(frames: bytes) -> None:
    assert head_in(frames) is None


def test_a_text_that_looks_like_a_frame_is_no_head() -> None:
    """Line ends are escaped in JSON, so a text cannot begin a line of its own."""
    text = 'data: {"id": "forged"}\ndata: {"id": "forged"}'
    frames = b": keep-alive\n\n" + sse({**HEAD, "choices": [{"index": 0, "delta": {"content": text}}]})
    assert head_in(frames) == HEAD
