"""Text and reasoning between the pieces of a call: every caller gets the arguments whole, and all that was said."""

import json
from typing import Any

import pytest

from orcestator.dialects.canonical import WriteTerms
from orcestator.dialects.openai.stream import MOST_HELD, ChatStream
from orcestator.errors import UpstreamBroken
from orcestator.json_text import Json
from orcestator.web import routes
from tests.crossing import caller_anthropic, caller_gemini, caller_ollama, caller_responses
from tests.crossing.asked import Answer
from tests.crossing.frames import Wire
from tests.dialects.client_rules import END, ROLE, assert_client_safe, chunk, ids, run, sse, terms, text

THOUGHTS = {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}}
CALLERS: dict[str, tuple[Any, Any, str]] = {
    "anthropic": (routes.ANTHROPIC, caller_anthropic.stream, "text/event-stream"),
    "responses": (routes.RESPONSES, caller_responses.stream, "text/event-stream"),
    "gemini": (routes.GEMINI, caller_gemini.stream, "text/event-stream"),
    "ollama": (routes.OLLAMA, caller_ollama.stream, "application/x-ndjson"),
}


def piece(arguments: str, *, index: int = 0, **delta: Any) -> Json:
    """A piece of a call's arguments, and whatever else is in the same delta."""
    return chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments}}], **delta})


def opened(index: int = 0, name: str = "f", **delta: Any) -> Json:
    """The beginning of a call."""
    call = {"index": index, "id": f"c{index}", "type": "function", "function": {"name": name, "arguments": ""}}
    return chunk({"tool_calls": [call], **delta})


def thought(said: str, name: str = "reasoning_content") -> Json:
    return chunk({name: said})


def told(caller: str, *events: Any, reason: str = "tool_calls") -> Answer:
    """The answer as a client of that dialect puts it together."""
    dialect, read, kind = CALLERS[caller]
    writer = dialect.writer(WriteTerms("orcestator", 1, ids(), "req-1", call=THOUGHTS))
    made = run([sse(ROLE, *events, chunk({}, reason), END)], ChatStream(terms(), writer=writer))
    assert made.failure is None, made.failure
    answer: Answer = read(Wire(200, {"content-type": kind}, made.output, True))
    return answer


BETWEEN = {
    "in the same chunk": [opened(), piece('{"a"', content="\n"), piece(":1}")],
    "between": [opened(), piece('{"a"'), text("\n"), piece(":1}")],
    "right after the beginning": [opened(), text("\n"), piece('{"a":1}')],
    "with the beginning": [opened(content="\n"), piece('{"a":1}')],
    "many": [opened(), piece("{"), text("\n"), piece('"a"'), text(""), piece(":1"), piece("}")],
    "after it": [opened(), piece('{"a":1}'), text("\n")],
}


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("events", BETWEEN.values(), ids=BETWEEN)
def test_arguments_arrive_whole_and_the_text_too(caller: str, events: list[Json]) -> None:
    answer = told(caller, *events)
    assert [(call.name, call.arguments) for call in answer.calls] == [("f", {"a": 1})]
    assert answer.text == "\n"


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "reasoning_text"])
def test_reasoning_between_pieces_arrives_under_every_name(caller: str, name: str) -> None:
    answer = told(caller, thought("hm ", name), opened(), piece('{"a"'), thought("so", name), piece(":1}"))
    assert [call.arguments for call in answer.calls] == [{"a": 1}]
    assert answer.thought == "hm so"


@pytest.mark.parametrize("caller", CALLERS)
def test_text_between_two_calls_that_take_turns(caller: str) -> None:
    events = [opened(0), opened(1, "g"), piece('{"a"'), text("x"), piece('{"b"', index=1), text("y"), piece(":1}")]
    answer = told(caller, *events, piece(":2}", index=1))
    assert [(call.name, call.arguments) for call in answer.calls] == [("f", {"a": 1}), ("g", {"b": 2})]
    assert answer.text == "xy"


def test_text_after_a_whole_call_is_not_held() -> None:
    """It goes out as it comes."""
    writer = routes.ANTHROPIC.writer(WriteTerms("orcestator", 1, ids(), "req-1"))
    stream = ChatStream(terms(), writer=writer)
    stream.feed(sse(ROLE, opened(), piece('{"a":1}')))
    stream.take()
    for said in ("one", "two"):
        stream.feed(sse(text(said)))
        assert f'"text":"{said}"'.encode() in stream.take()


def test_a_call_that_goes_on_after_its_end_is_a_failure() -> None:
    """Its block is closed, and more arguments behind whole ones are no JSON anyway."""
    writer = routes.ANTHROPIC.writer(WriteTerms("orcestator", 1, ids(), "req-1"))
    events = [opened(), piece('{"a":1}'), text("x"), piece("}")]
    failure = run([sse(ROLE, *events, END)], ChatStream(terms(), writer=writer)).failure
    assert isinstance(failure, UpstreamBroken)


def test_what_is_held_is_bounded() -> None:
    writer = routes.ANTHROPIC.writer(WriteTerms("orcestator", 1, ids(), "req-1"))
    stream = ChatStream(terms(), writer=writer)
    stream.feed(sse(ROLE, opened(), piece("{")))
    with pytest.raises(UpstreamBroken):
        stream.feed(sse(*[text("x")] * (MOST_HELD + 1)))


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("reason", ["stop", "eos", "tool_calls", "function_call"])
def test_calls_end_as_calls_in_the_callers_word(caller: str, reason: str) -> None:
    """``tool_use`` exactly where there is a ``tool_use`` block, and the same elsewhere."""
    module = {"anthropic": caller_anthropic, "responses": caller_responses, "gemini": caller_gemini}.get(
        caller, caller_ollama
    )
    assert told(caller, opened(), piece("{}"), reason=reason).finish == module.FINISH["tool_calls"]
    assert told(caller, text("a"), reason=reason).finish == module.FINISH["stop"]


@pytest.mark.parametrize("caller", ["gemini", "ollama"])
def test_a_call_that_was_cut_is_not_given_out_where_calls_are_objects(caller: str) -> None:
    """Half an object is none, and a client would run it; the reason says that the answer was cut."""
    answer = told(caller, text("a"), opened(), piece('{"a": "n'), reason="length")
    assert answer.calls == []
    assert "length" in answer.finish.lower() or "MAX_TOKENS" in answer.finish


def test_openai_callers_get_everything_as_it_comes() -> None:
    """They keep calls and text apart by themselves."""
    seen = assert_client_safe(run([sse(ROLE, *BETWEEN["between"], chunk({}, "stop"), END)]).output)
    assert (seen.text, seen.calls[0]["text"]) == ("\n", json.dumps({"a": 1}, separators=(",", ":")))
