"""Recorded streams of every upstream, in whatever pieces the network brings them, to every caller's dialect."""

from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.dialects.canonical import CallerDialect, ReadTerms, UpstreamDialect, WriteTerms
from orcestator.dialects.openai.events import StreamTerms
from orcestator.dialects.openai.stream import ChatStream
from orcestator.dialects.relay import RelayStream
from orcestator.dialects.sse import LineSplitter, SseSplitter
from orcestator.errors import UpstreamError
from orcestator.upstream.dialect_table import UPSTREAM_DIALECTS
from orcestator.web.routes import ANTHROPIC, GEMINI, GEMINI_ARRAY, GENERATE, OLLAMA, RESPONSES
from tests.crossing import caller_anthropic, caller_gemini, caller_ollama, caller_openai, caller_responses
from tests.crossing.asked import Answer
from tests.crossing.frames import Wire

STREAMS = tuple(sorted((Path(__file__).parents[1] / "dialects" / "fixtures").glob("*/*/wire_stream.txt")))
CALLERS: tuple[CallerDialect | None, ...] = (None, RESPONSES, ANTHROPIC, GEMINI, GEMINI_ARRAY, OLLAMA, GENERATE)
READERS: dict[str, Callable[[Wire], Answer]] = {
    "openai": caller_openai.stream,
    "responses": caller_responses.stream,
    "anthropic": caller_anthropic.stream,
    "gemini": caller_gemini.stream,
    "gemini-array": caller_gemini.array,
    "ollama": caller_ollama.stream,
}
ONLY_OPENAI = ("custom_tools",)
"""What no caller of another dialect is ever told, as none of them can offer such a tool."""
CREATED = 1_700_000_000


def named(path: Path) -> str:
    """A recorded stream's dialect and case."""
    return f"{path.parent.parent.name}-{path.parent.name}"


def caller_name(caller: CallerDialect | None) -> str:
    return "openai" if caller is None else caller.name


def counted() -> Callable[[str], str]:
    """Ids that anybody can foresee."""
    numbers = count(1)
    return lambda prefix: f"{prefix}{next(numbers)}"


def decoder(dialect: UpstreamDialect, caller: CallerDialect | None, *, relays: bool) -> ChatStream:
    """What reads such a stream for such a caller."""
    new_id = counted()
    terms = StreamTerms("prov", "shown", True, 40, CREATED, 1000, new_id)
    # Gemini hides thoughts from callers that do not ask for them.
    call = {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}}
    write_terms = WriteTerms("shown", CREATED, new_id, "request-1", include_usage=True, prompt_tokens=10, call=call)
    writer = None if caller is None else caller.writer(write_terms)
    reader = dialect.reader(ReadTerms("prov", new_id, CREATED))
    made: ChatStream
    if relays:
        made = RelayStream(terms, reader, writer, names_events=dialect.names_events, is_lines=dialect.is_lines)
    else:
        made = ChatStream(terms, reader, writer)
    if dialect.is_lines:
        made.split_lines()
    return made


def told(pieces: list[bytes], stream: ChatStream) -> tuple[bytes, str]:
    """What a caller gets of a stream in these pieces, and how it failed, if it did."""
    output = b""
    try:
        for piece in pieces:
            stream.feed(piece)
            # Before the first content nothing is sent: another upstream may still be asked.
            output += stream.take() if stream.committed else b""
        stream.end()
        return output + stream.take(), ""
    except UpstreamError as error:
        return output + (stream.failure_frames(error) if stream.committed else b""), type(error).__name__


@cache
def unsplit(path: Path, caller: CallerDialect | None, *, relays: bool = False) -> tuple[bytes, str]:
    """The same of the stream in one piece."""
    return told([path.read_bytes()], decoder(dialect_of(path), caller, relays=relays))


def dialect_of(path: Path) -> UpstreamDialect:
    """Whose stream it is."""
    return UPSTREAM_DIALECTS[path.parent.parent.name]


def relays_of(path: Path) -> list[CallerDialect]:
    """The callers that get it as it comes."""
    return [caller for caller in CALLERS if caller is not None and caller.name == path.parent.parent.name]


@pytest.mark.parametrize("path", STREAMS, ids=named)
def test_two_pieces_hold_the_same_events_as_one(path: Path) -> None:
    """Split at every byte. What any caller gets is a function of the events, so that this holds for them all."""
    wire = path.read_bytes()
    kind = LineSplitter if dialect_of(path).is_lines else SseSplitter
    whole = kind()
    expected = whole.feed(wire) + whole.flush()
    for place in range(len(wire) + 1):
        split = kind()
        assert split.feed(wire[:place]) + split.feed(wire[place:]) + split.flush() == expected, place


@pytest.mark.parametrize("path", STREAMS, ids=named)
def test_single_bytes_tell_the_same(path: Path) -> None:
    """Every split at once, for every writer."""
    wire = path.read_bytes()
    pieces = [wire[place : place + 1] for place in range(len(wire))]
    for caller in CALLERS:
        made = told(pieces, decoder(dialect_of(path), caller, relays=False))
        assert made == unsplit(path, caller), caller_name(caller)


@pytest.mark.parametrize("path", [path for path in STREAMS if relays_of(path)], ids=named)
def test_single_bytes_are_relayed_the_same(path: Path) -> None:
    """The same of streams that go through as they come."""
    wire = path.read_bytes()
    pieces = [wire[place : place + 1] for place in range(len(wire))]
    for caller in relays_of(path):
        made = told(pieces, decoder(dialect_of(path), caller, relays=True))
        assert made == unsplit(path, caller, relays=True)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_pieces_tell_the_same(data: st.DataObject) -> None:
    """Any stream in any pieces, to any caller, translated and relayed."""
    path = data.draw(st.sampled_from(STREAMS))
    wire = path.read_bytes()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(wire)), max_size=12)))
    pieces = [wire[start:end] for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    caller = data.draw(st.sampled_from(CALLERS))
    relays = caller in relays_of(path) and data.draw(st.booleans())
    assert told(pieces, decoder(dialect_of(path), caller, relays=relays)) == unsplit(path, caller, relays=relays)


@pytest.mark.parametrize("path", [path for path in STREAMS if path.parent.name not in ONLY_OPENAI], ids=named)
def test_every_caller_reads_the_same_answer(path: Path) -> None:
    """Text, reasoning, calls and usage of a recorded stream are the same in every dialect, and so is its failure."""
    answers = {
        caller_name(caller): unsplit(path, caller) for caller in CALLERS if caller_name(caller) != "ollama-generate"
    }
    assert len({failure for _, failure in answers.values()}) == 1
    if not answers["openai"][0]:
        return
    read = {name: READERS[name](as_wire(name, output)) for name, (output, _) in answers.items()}
    first = read["openai"]
    for name, answer in read.items():
        assert answer.text == first.text, name
        assert bool(answer.error) == bool(first.error), name
        if not first.error:
            assert answer.thought == first.thought, name
            assert [(call.name, call.arguments) for call in answer.calls] == [
                (call.name, call.arguments) for call in first.calls
            ], name
            assert answer.usage == first.usage, name


def as_wire(name: str, output: bytes) -> Wire:
    """Bytes as an answer of that dialect's route."""
    kinds = {"ollama": OLLAMA.stream_type, "gemini-array": GEMINI_ARRAY.stream_type}
    return Wire(200, {"content-type": kinds.get(name, "text/event-stream")}, output, True)
