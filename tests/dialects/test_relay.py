"""A relayed stream: every event as it came, the model's name aside, and failures told once and in our own words."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.dialects.canonical import ReadTerms, UpstreamDialect, WriteTerms
from orcestator.dialects.openai.events import StreamTerms
from orcestator.dialects.relay import RelayStream, event_type, renamed
from orcestator.errors import UpstreamBroken, UpstreamError, UpstreamUnavailable
from orcestator.json_text import Json
from orcestator.upstream.dialect_table import UPSTREAM_DIALECTS
from orcestator.usage import Usage
from orcestator.web.routes import ANTHROPIC, GEMINI, OLLAMA, RESPONSES

CALLERS = {"anthropic": ANTHROPIC, "gemini": GEMINI, "responses": RESPONSES, "ollama": OLLAMA}
SHOWN = "claude/fast"


def new_id(prefix: str) -> str:
    """An id that is always the same."""
    return prefix + "1"


def relay(name: str) -> RelayStream:
    """A stream of a dialect to a caller of the same."""
    dialect: UpstreamDialect = UPSTREAM_DIALECTS[name]
    terms = StreamTerms("prov", SHOWN, False, 40, 1, 100, new_id)
    writer = CALLERS[name].writer(WriteTerms(SHOWN, 1, new_id, "req-1"))
    reader = dialect.reader(ReadTerms("prov", new_id, 1))
    made = RelayStream(terms, reader, writer, names_events=dialect.names_events, is_lines=dialect.is_lines)
    if dialect.is_lines:
        made.split_lines()
    return made


def anthropic_events(*texts: str) -> Iterator[Json]:
    """A stream of Anthropic's up to the texts."""
    yield {"type": "message_start", "message": {"id": "msg_x", "model": "claude-9", "content": [], "usage": {}}}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for text in texts:
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


ENDING = (
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"input_tokens": 3, "output_tokens": 2}},
    {"type": "message_stop"},
)


def wire(*events: Json | bytes) -> bytes:
    """Events as an upstream writes them, with spaces that nobody has to keep but we do."""
    datas = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    return b"".join(b"event: x\ndata: " + data + b"\n\n" for data in datas)


def test_events_keep_their_bytes_but_for_the_model() -> None:
    """Names, spaces, unknown events and unknown fields; the tokens are counted all the same."""
    unknown = {"type": "weather_report", "weather": "fine", "e": 1.50}
    events = [*anthropic_events("Hel", "lo"), unknown, *ENDING]
    made = relay("anthropic")
    for byte in wire(*events):
        made.feed(bytes([byte]))
    made.end()
    shown = b"".join(
        b"event: " + event["type"].encode() + b"\ndata: " + json.dumps(event).encode() + b"\n\n" for event in events
    )
    assert made.take() == shown.replace(b'"model": "claude-9"', b'"model": "claude/fast"')
    assert ("".join(made.text), made.usage) == ("Hello", Usage(3, 2))


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ([{"type": "error", "error": {"type": "overloaded_error", "message": "x"}}], UpstreamUnavailable),
        ([b'{"error":{"message":"cut","type":"t","orcestator":{"class":"UpstreamUnavailable"}}}'], UpstreamUnavailable),
        ([b'{"error":{"no json'], UpstreamBroken),
        ([b"<html>"], UpstreamBroken),
    ],
    ids=["its own error", "a worker's", "garbage that looks like a worker's", "garbage"],
)
def test_a_failure_is_told_once(events: list[Any], kind: type[UpstreamError]) -> None:
    """What came before it is there, and neither the upstream's own words for it nor our worker's facts."""
    made = relay("anthropic")
    with pytest.raises(kind) as raised:
        made.feed(wire(*anthropic_events("Hel"), *events))
    told = made.failure_frames(raised.value)
    names = [line[7:] for line in told.decode().splitlines() if line.startswith("event: ")]
    assert names == ["message_start", "content_block_start", "content_block_delta", "error"]
    assert b"orcestator" not in told


DELTA, STOP = ENDING[1:]
BLOCK_END = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
MESSAGE_END = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


@pytest.mark.parametrize(
    ("ending", "added"),
    [
        ((DELTA, STOP), BLOCK_END),
        ((ENDING[0], DELTA), MESSAGE_END),
        ((DELTA,), BLOCK_END + MESSAGE_END),
        (ENDING, b""),
    ],
)
def test_the_ends_that_a_client_waits_for_are_there(ending: tuple[Json, ...], added: bytes) -> None:
    """Once the upstream has said why it stopped, they are all that can be missing."""
    made = relay("anthropic")
    made.feed(wire(*anthropic_events("Hello"), *ending))
    made.end()
    shown = made.take()
    came = b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.dumps(event).encode()) for event in ending
    )
    for one in (BLOCK_END, MESSAGE_END) if added else ():
        came += one if one in added else b""
    assert sorted(shown.split(b"\n\n")[3:]) == sorted(came.split(b"\n\n"))
    assert shown.rindex(b"content_block_stop") < shown.index(b"message_delta") < shown.rindex(b"message_stop")


@pytest.mark.parametrize("ending", [(ENDING[0], STOP), ({**DELTA, "delta": {"stop_reason": None}}, STOP)])
def test_a_message_that_does_not_say_why_it_ended_is_not_whole(ending: tuple[Json, ...]) -> None:
    """No reason is made up."""
    made = relay("anthropic")
    with pytest.raises(UpstreamBroken):
        made.feed(wire(*anthropic_events("Hello"), *ending))
    assert b"message_stop" not in made.take()


def test_a_stream_that_stops_early_is_no_answer() -> None:
    """Neither before nor after its content."""
    for events in ([], list(anthropic_events("Hi"))):
        made = relay("anthropic")
        made.feed(wire(*events))
        with pytest.raises(UpstreamBroken):
            made.end()


@pytest.mark.parametrize("kind", ["response.completed", "response.incomplete"])
def test_the_whole_response_of_a_stream(kind: str) -> None:
    """Is the one in its last event, under the caller's name for the model."""
    made = relay("responses")
    assert made.native is None
    head = {"id": "resp_x", "model": "gpt-9", "output": []}
    whole = {**head, "status": "completed", "output": [{"type": "message", "content": []}], "usage": {}}
    made.feed(wire({"type": "response.created", "response": head}))
    assert made.native is None
    made.feed(
        wire(
            {
                "type": "response.output_text.delta",
                "item_id": "m",
                "output_index": 0,
                "content_index": 0,
                "delta": "Hi",
            },
            {"type": kind, "response": whole},
        )
    )
    assert made.native == {**whole, "model": SHOWN}


def test_lines_are_relayed_as_lines() -> None:
    """Ollama's."""
    lines = [
        b'{"model": "llama", "message": {"role": "assistant", "content": "Hi"}, "done": false}',
        b'{"model": "llama", "message": {"role": "assistant", "content": ""}, "done": true, "done_reason": "stop"}',
    ]
    made = relay("ollama")
    made.feed(b"\n".join(lines) + b"\n")
    made.end()
    assert made.take() == (b"\n".join(lines) + b"\n").replace(b'"llama"', b'"claude/fast"')


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"model": "a", "x": 1.0}', b'{"model": "b", "x": 1.0}'),
        (b'{"model":"a","n":"\\u0041"}', b'{"model":"b","n":"\\u0041"}'),
        (b'{"message": {"model": "a"}}', b'{"message": {"model": "b"}}'),
        (b'{"response":{"model":"a"}}', b'{"response":{"model":"b"}}'),
        (b'{"model":"a","tool":{"model":"a"}}', b'{"model":"b","tool":{"model":"a"}}'),
        (b'{"model":"b"}', b'{"model":"b"}'),
        (b'{"model":7}', b'{"model":7}'),
        (b'["model"]', b'["model"]'),
        (b"no json", b"no json"),
    ],
)
def test_the_models_name(body: bytes, shown: bytes) -> None:
    """Is replaced where the answer names the model, and nowhere else."""
    assert renamed(body, "b") == shown


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b'{"type":"ping"}', b"ping"),
        (b' { "type" : "response.output_text.delta" }', b"response.output_text.delta"),
        (b'{"index":0,"type":"late"}', b"late"),
        (b'{"type":"two\\nlines"}', b"two\\nlines"),
        (b'{"type":["list"]}', b"['list']"),
        (b'{"index":0}', b"message"),
        (b"[]", b"message"),
        (b"no json", b"message"),
    ],
)
def test_the_name_of_an_event(data: bytes, name: bytes) -> None:
    """What its JSON says, in one line whatever that is."""
    assert event_type(data) == name


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["type", "model", "message", "response", "error", "delta"]) | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(sorted(CALLERS)), events=st.lists(JSON, max_size=5), cut=st.binary(max_size=20))
def test_whatever_comes_ends_in_frames_or_a_failure(name: str, events: list[Any], cut: bytes) -> None:
    """And a failure can always be told."""
    made = relay(name)
    prefix, separator = (b"", b"\n") if UPSTREAM_DIALECTS[name].is_lines else (b"data: ", b"\n\n")
    pieces = [*(json.dumps(event).encode() for event in events), b'{"error":{"' + cut]
    failure = failure_of(made, [prefix + piece + separator for piece in pieces])
    assert failure is None or made.failure_frames(failure)


def failure_of(made: RelayStream, pieces: list[bytes]) -> UpstreamError | None:
    """How a stream of these pieces fails, if it does."""
    try:
        for piece in pieces:
            made.feed(piece)
        made.end()
    except UpstreamError as failure:
        return failure
    return None
