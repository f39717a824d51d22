"""Every recorded crossing: a call to its wire form, a reply and a stream back, and the same for callers.

A case is a folder ``fixtures/<dialect>/<case>/``; what it holds says what is tested. Ids are counted, the time stands.
"""

import importlib
import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from orcestator.dialects.canonical import CallerDialect, ReadTerms, Target, UpstreamDialect, WriteTerms
from orcestator.dialects.openai.events import StreamTerms
from orcestator.dialects.openai.stream import ChatStream
from orcestator.dialects.sse import SseSplitter
from orcestator.errors import UpstreamError

FIXTURES = Path(__file__).parent / "fixtures"
CREATED = 1_700_000_000


def cases(*needed: str) -> list[Any]:
    """The cases that have all these files."""
    folders = sorted(folder for folder in FIXTURES.glob("*/*") if all((folder / name).exists() for name in needed))
    return [pytest.param(folder, id=f"{folder.parent.name}-{folder.name}") for folder in folders]


def held(folder: Path, name: str) -> Any:
    """What a JSON file of the case holds."""
    return json.loads((folder / name).read_text("utf-8"))


def counted() -> Callable[[str], str]:
    """Ids that anybody can foresee."""
    numbers = count(1)
    return lambda prefix: f"{prefix}{next(numbers)}"


def upstream_of(folder: Path) -> UpstreamDialect:
    """The upstream side of the case's dialect."""
    found: UpstreamDialect = importlib.import_module(f"orcestator.dialects.{folder.parent.name}.upstream").UPSTREAM
    return found


def caller_of(folder: Path) -> CallerDialect:
    """The caller side of the case's dialect."""
    found: CallerDialect = importlib.import_module(f"orcestator.dialects.{folder.parent.name}.caller").CALLER
    return found


def target_of(folder: Path) -> Target:
    """The case's target: its own, or one of that model."""
    own = held(folder, "target.json") if (folder / "target.json").exists() else {}
    call = held(folder, "request.json")
    return Target(
        **{"provider": folder.parent.name, "model": call["model"], "streamed": call.get("stream") is True, **own}
    )


def read_terms(folder: Path) -> ReadTerms:
    """Terms under which ids and time are foreseen."""
    return ReadTerms(folder.parent.name, counted(), CREATED)


@pytest.mark.parametrize("folder", cases("request.json", "wire_request.json"))
def test_a_call_becomes_the_wire_request(folder: Path) -> None:
    """Path, body and the names of what was left out."""
    call = held(folder, "request.json")
    made = upstream_of(folder).request(call, target_of(folder))
    assert {"path": made.path, "body": made.body, "dropped": list(made.dropped)} == held(folder, "wire_request.json")
    assert call == held(folder, "request.json"), "the call was changed"


@pytest.mark.parametrize("folder", cases("wire_reply.json", "reply.json"))
def test_a_wire_reply_becomes_the_reply(folder: Path) -> None:
    """Or raises what the case says."""
    expected = held(folder, "reply.json")
    wire = held(folder, "wire_reply.json")
    if "raises" in expected:
        with pytest.raises(UpstreamError) as raised:
            upstream_of(folder).reply(wire, read_terms(folder))
        assert type(raised.value).__name__ == expected["raises"]
    else:
        assert upstream_of(folder).reply(wire, read_terms(folder)) == expected


def events_of(folder: Path, dialect: UpstreamDialect) -> list[bytes]:
    """The data of the recorded stream's events."""
    wire = (folder / "wire_stream.txt").read_bytes()
    if dialect.is_lines:
        return [line for line in wire.split(b"\n") if line.strip()]
    splitter = SseSplitter()
    events = splitter.feed(wire) + splitter.flush()
    return events if splitter.error is None else [*events, splitter.error]


@pytest.mark.parametrize("folder", cases("wire_stream.txt", "chunks.json"))
def test_a_wire_stream_becomes_chunks(folder: Path) -> None:
    """What each event means, up to the error that ends it when there is one."""
    dialect = upstream_of(folder)
    reader = dialect.reader(read_terms(folder))
    seen: list[Any] = []
    try:
        seen.extend(reader.read(data) for data in events_of(folder, dialect))
    except UpstreamError as error:
        seen.append({"raises": type(error).__name__})
    assert seen == held(folder, "chunks.json")


@pytest.mark.parametrize("folder", cases("caller_request.json", "request.json"))
def test_a_callers_request_becomes_a_call(folder: Path) -> None:
    """The canonical call and the names of what it cannot hold."""
    body = held(folder, "caller_request.json")
    read = caller_of(folder).read(body)
    assert read.call == held(folder, "request.json")
    dropped = folder / "caller_dropped.json"
    assert list(read.dropped) == (held(folder, "caller_dropped.json") if dropped.exists() else [])
    assert body == held(folder, "caller_request.json"), "the caller's body was changed"


def write_terms(folder: Path) -> WriteTerms:
    """Terms of an answer to the case's caller."""
    own = held(folder, "caller_request.json") if (folder / "caller_request.json").exists() else {}
    return WriteTerms("orcestator", CREATED, counted(), "request-1", include_usage=True, prompt_tokens=7, call=own)


@pytest.mark.parametrize("folder", cases("reply.json", "caller_reply.json"))
def test_a_reply_becomes_the_callers(folder: Path) -> None:
    """The caller's own shape of a whole answer."""
    assert caller_of(folder).reply(held(folder, "reply.json"), write_terms(folder)) == held(folder, "caller_reply.json")


def chunk_events(folder: Path) -> Iterator[bytes]:
    """The recorded chunks as an OpenAI upstream would send them."""
    for made in held(folder, "chunks.json"):
        chunks = [{"choices": [{"index": 0, "delta": {"content": made}}]}] if isinstance(made, str) else made or []
        yield from (b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks if "raises" not in chunk)
    yield b"data: [DONE]\n\n"


@pytest.mark.parametrize("folder", cases("chunks.json", "caller_stream.txt"))
def test_chunks_become_the_callers_stream(folder: Path) -> None:
    """Byte for byte, through the stream that checks them."""
    terms = StreamTerms("upstream", "orcestator", True, 28, CREATED, 1000, counted())
    stream = ChatStream(terms, writer=caller_of(folder).writer(write_terms(folder)))
    written = b""
    for data in chunk_events(folder):
        stream.feed(data)
        written += stream.take()
    assert written.decode() == (folder / "caller_stream.txt").read_text("utf-8")
