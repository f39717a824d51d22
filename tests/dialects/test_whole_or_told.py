"""No answer ends well that is not whole, and nothing that came is passed over: in every upstream's dialect.

A stream goes through the decoder that an attempt would have, translated to OpenAI's chunks or relayed.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import pytest

from orcestator.dialects.canonical import ReadTerms, WriteTerms
from orcestator.dialects.openai.events import StreamTerms
from orcestator.dialects.openai.reply import ReplyTerms, chat_reply, translated_reply
from orcestator.dialects.openai.stream import ChatStream
from orcestator.dialects.relay import RelayStream
from orcestator.errors import UpstreamBroken, UpstreamError
from orcestator.json_text import Json
from orcestator.upstream.dialect_table import UPSTREAM_DIALECTS
from orcestator.web import routes
from tests.dialects.client_rules import assert_client_safe, ids

Event = Json | bytes
CALLERS = {
    "anthropic": routes.ANTHROPIC,
    "gemini": routes.GEMINI,
    "responses": routes.RESPONSES,
    "ollama": routes.OLLAMA,
}


class Wire(NamedTuple):
    """How an upstream says things. ``says`` takes the text of one event; ``calls`` the pieces of one call's arguments."""

    opens: list[Event]
    says: Callable[[Any], list[Event]]
    calls: Callable[[list[str]], list[Event]] | None
    ends: Callable[[str], list[Event]]


def _openai(delta: Json, reason: str | None = None) -> Json:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def _openai_calls(pieces: list[str]) -> list[Event]:
    opened = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    more = [{"index": 0, "function": {"arguments": piece}} for piece in pieces]
    return [_openai({"tool_calls": [call]}) for call in (opened, *more)]


def _anthropic_block(place: int, block: Json, deltas: Iterable[Json]) -> list[Event]:
    return [
        {"type": "content_block_start", "index": place, "content_block": block},
        *({"type": "content_block_delta", "index": place, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": place},
    ]


def _anthropic_end(reason: str) -> list[Event]:
    word = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}[reason]
    usage = {"input_tokens": 3, "output_tokens": 2}
    return [{"type": "message_delta", "delta": {"stop_reason": word}, "usage": usage}, {"type": "message_stop"}]


def _responses_calls(pieces: list[str]) -> list[Event]:
    item = {"type": "function_call", "id": "fc", "call_id": "a", "name": "f", "arguments": ""}
    kind = "response.function_call_arguments.delta"
    return [
        {"type": "response.output_item.added", "output_index": 1, "item": item},
        *({"type": kind, "output_index": 1, "item_id": "fc", "delta": piece} for piece in pieces),
    ]


def _responses_end(reason: str) -> list[Event]:
    kind, status = ("incomplete", "incomplete") if reason == "length" else ("completed", "completed")
    details = {"reason": "max_output_tokens"} if reason == "length" else None
    return [{"type": f"response.{kind}", "response": {"status": status, "incomplete_details": details, "output": []}}]


def _cohere_calls(pieces: list[str]) -> list[Event]:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    more = [{"function": {"arguments": piece}} for piece in pieces]
    kinds = ["tool-call-start", *["tool-call-delta"] * len(more)]
    return [
        {"type": kind, "index": 0, "delta": {"message": {"tool_calls": told}}}
        for kind, told in zip(kinds, [call, *more], strict=True)
    ]


def _gemini(parts: list[Json], reason: str | None = None) -> Json:
    finish = {"finishReason": reason} if reason else {}
    return {"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0, **finish}], "modelVersion": "m"}


WIRES = {
    "openai": Wire(
        [_openai({"role": "assistant", "content": ""})],
        lambda text: [_openai({"content": text})],
        _openai_calls,
        lambda reason: [_openai({}, reason), b"[DONE]"],
    ),
    "anthropic": Wire(
        [{"type": "message_start", "message": {"id": "m", "content": [], "usage": {"input_tokens": 3}}}],
        lambda text: _anthropic_block(0, {"type": "text", "text": ""}, [{"type": "text_delta", "text": text}]),
        lambda pieces: _anthropic_block(
            1,
            {"type": "tool_use", "id": "a", "name": "f", "input": {}},
            [{"type": "input_json_delta", "partial_json": piece} for piece in pieces],
        ),
        _anthropic_end,
    ),
    "responses": Wire(
        [{"type": "response.created", "response": {"id": "r", "status": "in_progress", "output": []}}],
        lambda text: [{"type": "response.output_text.delta", "output_index": 0, "item_id": "i", "delta": text}],
        _responses_calls,
        _responses_end,
    ),
    "gemini": Wire(
        [],
        lambda text: [_gemini([{"text": text}])],
        None,
        lambda reason: [_gemini([{"text": ""}], "MAX_TOKENS" if reason == "length" else "STOP")],
    ),
    "ollama": Wire(
        [],
        lambda text: [{"model": "m", "message": {"role": "assistant", "content": text}, "done": False}],
        None,
        lambda reason: [{"model": "m", "message": {"content": ""}, "done": True, "done_reason": reason}],
    ),
    "cohere": Wire(
        [{"type": "message-start", "id": "x", "delta": {"message": {"role": "assistant"}}}],
        lambda text: [{"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}}],
        _cohere_calls,
        lambda reason: [
            {"type": "message-end", "delta": {"finish_reason": "MAX_TOKENS" if reason == "length" else "COMPLETE"}}
        ],
    ),
}
DIALECTS = sorted(WIRES)
WAYS = [(name, relays) for name in DIALECTS for relays in (False, True) if not relays or name in CALLERS]
CALLING = [(name, relays) for name, relays in WAYS if WIRES[name].calls]
HALF = ['{"a": "n', "17"]


def framed(name: str, events: Iterable[Event]) -> bytes:
    """The events as this upstream writes them; bytes stand as they are."""
    is_lines = name != "openai" and UPSTREAM_DIALECTS[name].is_lines
    datas = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    if is_lines:
        return b"".join(data + b"\n" for data in datas)
    return b"".join(data if data.startswith(b"event:") else b"data: " + data + b"\n\n" for data in datas)


def decoder(name: str, *, relays: bool) -> ChatStream:
    """What reads such a stream in an attempt."""
    new_id = ids()
    terms = StreamTerms("prov", "orcestator", False, 40, 1, 1000, new_id)
    if name == "openai":
        return ChatStream(terms)
    dialect = UPSTREAM_DIALECTS[name]
    reader = dialect.reader(ReadTerms("prov", new_id, 1))
    made: ChatStream
    if relays:
        writer = CALLERS[name].writer(WriteTerms("orcestator", 1, new_id, "req-1"))
        made = RelayStream(terms, reader, writer, names_events=dialect.names_events, is_lines=dialect.is_lines)
    else:
        made = ChatStream(terms, reader)
    if dialect.is_lines:
        made.split_lines()
    return made


def heard(name: str, relays: bool, *parts: Sequence[Event]) -> tuple[str, UpstreamError | None, bytes]:
    """The text that came, how the stream failed if it did, and what the caller got."""
    stream = decoder(name, relays=relays)
    output = b""
    try:
        for event in [*WIRES[name].opens, *(event for part in parts for event in part)]:
            stream.feed(framed(name, [event]))
            output += stream.take()
        stream.end()
    except UpstreamError as failure:
        return "".join(stream.text), failure, output + stream.failure_frames(failure)
    return "".join(stream.text), None, output + stream.take()


@pytest.mark.parametrize(("name", "relays"), WAYS)
def test_a_whole_answer_is_one(name: str, relays: bool) -> None:
    """The wires of these tests say what they should."""
    wire = WIRES[name]
    assert heard(name, relays, wire.says("Hel"), wire.says("lo"), wire.ends("stop"))[:2] == ("Hello", None)


@pytest.mark.parametrize(("name", "relays"), WAYS)
@pytest.mark.parametrize("ends", [[], [b"[DONE]"]])
def test_an_end_without_the_last_word_is_told(name: str, relays: bool, ends: list[Event]) -> None:
    """``[DONE]`` is the last word in OpenAI's dialect alone."""
    _, failure, _ = heard(name, relays, WIRES[name].says("Hel"), ends)
    assert isinstance(failure, UpstreamBroken) == (name != "openai" or not ends)


@pytest.mark.parametrize(("name", "relays"), CALLING)
@pytest.mark.parametrize("reason", ["tool_calls", "stop"])
def test_half_arguments_are_no_call(name: str, relays: bool, reason: str) -> None:
    """Whatever the upstream says of its end."""
    wire = WIRES[name]
    assert wire.calls is not None
    _, failure, output = heard(name, relays, wire.says("Hi"), wire.calls(HALF), wire.ends(reason))
    assert failure is not None
    assert failure.cause == "half_tool_call"
    assert b"completed" not in output
    assert b"message_stop" not in output


@pytest.mark.parametrize(("name", "relays"), CALLING)
def test_half_arguments_that_were_cut_are_told_as_cut(name: str, relays: bool) -> None:
    """A limit on the answer's length ends calls, too; the reason says so."""
    wire = WIRES[name]
    assert wire.calls is not None
    _, failure, output = heard(name, relays, wire.calls(HALF), wire.ends("length"))
    assert failure is None
    if not relays:
        seen = assert_client_safe(output)
        assert (seen.finish, seen.calls[0]["text"]) == ("length", "".join(HALF))


@pytest.mark.parametrize("pieces", [[], HALF, ["nonsense"], ['{"a":', "1"]])
def test_no_reason_is_added_over_a_call_that_is_not_seen_to_be_whole(pieces: list[str]) -> None:
    """``[DONE]`` alone is no reason to run a tool."""
    _, failure, output = heard("openai", False, _openai_calls(pieces), [b"[DONE]"])
    assert failure is not None
    assert assert_client_safe(output).finish == "error"


def test_a_reason_is_added_over_a_call_that_is_whole() -> None:
    _, failure, output = heard("openai", False, _openai_calls(['{"a":', "1}"]), [b"[DONE]"])
    assert failure is None
    assert assert_client_safe(output).finish == "tool_calls"


NAMED = [b'{"message":"boom","type":"overloaded_error"}', b"boom", b'{"choices":[{"delta":{"content":"boom"}}]}']


@pytest.mark.parametrize(("name", "relays"), [way for way in WAYS if way[0] != "ollama"])
@pytest.mark.parametrize("data", NAMED)
@pytest.mark.parametrize("ends", ["", "stop"])
def test_an_event_named_error_is_a_failure(name: str, relays: bool, data: bytes, ends: str) -> None:
    """The event's name says it, whatever its data looks like and whatever follows."""
    event = b"event: error\ndata: " + data + b"\n\n"
    wire = WIRES[name]
    said, failure, _ = heard(name, relays, wire.says("Hel"), [event], wire.ends(ends) if ends else [b"[DONE]"])
    assert said == "Hel"
    assert failure is not None
    assert "boom" in failure.message or b"choices" in data


@pytest.mark.parametrize(
    "wire",
    [
        b"event: error\n\n",
        b"event:error\r\ndata: x\r\n\r\n",
        b"data: x\nevent: error\n\n",
        b"id: 1\nevent: error\ndata: x\n\n",
        b"event: error\ndata: x",
        b"event: error\rdata: x\r\r",
    ],
)
@pytest.mark.parametrize("size", [1, 7, 999])
def test_the_name_of_an_event_in_every_spelling(wire: bytes, size: int) -> None:
    stream = decoder("openai", relays=False)
    whole = framed("openai", [_openai({"content": "Hel"})]) + wire
    with pytest.raises(UpstreamError):
        _fed(stream, [whole[place : place + size] for place in range(0, len(whole), size)])
    assert stream.text == ["Hel"]


def _fed(stream: ChatStream, pieces: list[bytes]) -> None:
    for piece in pieces:
        stream.feed(piece)
    stream.end()


def test_other_names_are_passed_over() -> None:
    wire = b"event: errors\n" + framed("openai", [_openai({"content": "a"})])
    wire += b"event: message\n" + framed("openai", [_openai({"content": "\nevent: error\n"}), _openai({}, "stop")])
    stream = decoder("openai", relays=False)
    stream.feed(wire)
    stream.end()
    assert stream.text == ["a", "\nevent: error\n"]


FAILURES: list[Json] = [
    {"detail": "boom"},
    {"detail": [{"msg": "boom"}]},
    {"error": "boom"},
    {"error": {"message": "boom"}},
    {"errors": ["boom"]},
    {"object": "error", "message": "boom"},
    {"type": "api_error", "message": "boom"},
    {"code": "InvalidApiKey", "message": "boom"},
    {"code": 20012, "message": "boom", "data": None},
    {"status": 500, "message": "boom"},
    {"success": False, "message": "boom"},
    {"text": "boom", "error_code": 50002},
    {"error_code": 336003, "error_msg": "boom"},
    {"base_resp": {"status_code": 1002, "status_msg": "boom"}, "choices": None},
]


@pytest.mark.parametrize(("name", "relays"), WAYS)
@pytest.mark.parametrize("event", FAILURES)
def test_an_event_that_says_it_failed_is_a_failure(name: str, relays: bool, event: Json) -> None:
    """In whatever words: what has no shape of the dialect's is looked at, and not passed over."""
    wire = WIRES[name]
    said, failure, _ = heard(name, relays, wire.says("Hel"), [event], wire.ends("stop"))
    assert said == "Hel"
    assert failure is not None
    assert "boom" in failure.message


@pytest.mark.parametrize("event", [{"message": "boom"}, {"note": "boom"}, {"status": "processing", "message": "boom"}])
def test_an_odd_event_is_judged_by_the_end(event: Json) -> None:
    """Where the upstream itself says why it ended, the answer is whole; where not, that event is the best reason there is."""
    said = [_openai({"content": "Hel"})]
    assert heard("openai", False, said, [event], [_openai({"content": "lo"}, "stop"), b"[DONE]"])[:2] == ("Hello", None)
    for end in ([b"[DONE]"], []):
        _, failure, _ = heard("openai", False, said, [event], end)
        assert failure is not None
        assert "boom" in failure.message


@pytest.mark.parametrize(("name", "relays"), WAYS)
@pytest.mark.parametrize("garbage", [b'{"cut": "ha', b"<html>", b"7", b'"x"'])
def test_what_cannot_be_read_is_told(name: str, relays: bool, garbage: bytes) -> None:
    wire = WIRES[name]
    said, failure, output = heard(name, relays, wire.says("Hel"), [garbage], wire.says("lo"), wire.ends("stop"))
    assert said == "Hel"
    assert isinstance(failure, UpstreamBroken)
    assert garbage not in output or garbage == b"7"


@pytest.mark.parametrize(("name", "relays"), WAYS)
@pytest.mark.parametrize("raw", ["\t", "\x00", "\x1f\x01"])
def test_raw_control_characters_in_a_text_arrive(name: str, relays: bool, raw: str) -> None:
    """And go on as strict JSON."""
    wire = WIRES[name]
    event = [json.dumps(event).encode().replace(b"@", raw.encode()) for event in wire.says("a@b")]
    said, failure, output = heard(name, relays, [*event], wire.says("c"), wire.ends("stop"))
    assert (said, failure) == (f"a{raw}bc", None)
    assert raw.encode() not in output


@pytest.mark.parametrize(("name", "relays"), WAYS)
@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ((b"a\\ud83d", b"\\ude00b"), "a😀b"),
        ((b"a\\ud83d", b"", b"\\ude00b"), "a😀b"),
        ((b"a\xf0\x9f", b"\x98\x80b"), "a😀b"),
        ((b"\xf0", b"\x9f", b"\x98", b"\x80"), "😀"),
        ((b"\\ud83d", b"x"), "\ufffdx"),
        ((b"x", b"\\ude00y"), "x\ufffdy"),
        ((b"a\\ud83d",), "a\ufffd"),
        ((b"\\ud83d\\ud83d", b"\\ude00"), "\ufffd😀"),
    ],
)
def test_a_character_split_over_two_events_arrives(
    name: str, relays: bool, pieces: tuple[bytes, ...], said: str
) -> None:
    """Half a surrogate pair or half of its bytes; what never becomes whole is U+FFFD."""
    wire = WIRES[name]
    events = [
        [json.dumps(event).encode().replace(b"@", piece) for event in wire.says("@" if piece else "")]
        for piece in pieces
    ]
    if name == "anthropic":
        # All in one block, as its deltas are.
        events = [events[0][:1], *([event[1]] for event in events), events[0][2:]]
    told, failure, _ = heard(name, relays, *[[*event] for event in events], wire.ends("stop"))
    assert (told, failure) == (said, None)


@pytest.mark.parametrize("name", [name for name in DIALECTS if WIRES[name].calls])
def test_a_character_split_in_the_arguments_arrives(name: str) -> None:
    wire = WIRES[name]
    assert wire.calls is not None
    called = [
        json.dumps(event).encode().replace(b"@1", b"\\ud83d").replace(b"@2", b"\\ude00")
        for event in wire.calls(['{"a":"@1', '@2"}'])
    ]
    _, failure, output = heard(name, False, [*called], wire.ends("tool_calls"))
    assert failure is None
    assert assert_client_safe(output).calls[0]["text"] == '{"a":"😀"}'


def test_split_characters_of_reasoning_and_of_choices_stay_apart() -> None:
    """Two choices that take turns, and reasoning beside text."""

    def event(index: int, name: str, text: bytes) -> bytes:
        chunk = _openai({name: "@"})
        chunk["choices"][0]["index"] = index
        return json.dumps(chunk).encode().replace(b"@", text)

    turns = [(0, "content"), (1, "content"), (0, "reasoning_content")]
    halves = [event(*turn, half) for half in (b"\\ud83d", b"\\ude00") for turn in turns]
    finishes = [_openai({}, "stop"), {**_openai({}), "choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}]}]
    _, failure, output = heard("openai", False, [*halves], [*finishes, b"[DONE]"])
    assert failure is None
    assert [choice.text for choice in assert_client_safe(output).choices.values()] == ["😀", "😀"]
    assert '"reasoning_content":"😀"'.encode() in output


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize(("content", "said"), [(4, "4"), ({"text": "w4"}, "w4")])
def test_a_text_of_another_shape_is_text(name: str, content: Any, said: str) -> None:
    wire = WIRES[name]
    told, failure, _ = heard(name, False, wire.says("a"), wire.says(content), wire.ends("stop"))
    assert failure is None
    assert told == f"a{said}" or (name == "gemini" and "w4" in told)


@pytest.mark.parametrize("name", DIALECTS)
def test_content_after_a_finish_is_delivered(name: str) -> None:
    wire = WIRES[name]
    finish = wire.ends("stop")[:1]
    told, failure, output = heard(name, False, wire.says("Hel"), finish, wire.says("lo"), wire.ends("length"))
    assert (told, failure) == ("Hello", None)
    assert assert_client_safe(output).finish == "length"


# --- whole replies ----------------------------------------------------------------------------------------------------


def replied(name: str, wire: Json) -> Json:
    """The canonical reply that an attempt would give its caller."""
    new_id = ids()
    terms = ReplyTerms("prov", "orcestator", 40, 1, new_id)
    if name == "openai":
        return chat_reply(json.dumps(wire).encode(), terms).wire
    return translated_reply(UPSTREAM_DIALECTS[name].reply(wire, ReadTerms("prov", new_id, 1)), terms).wire


def whole(name: str, arguments: str, reason: str | None) -> Json:
    """A whole reply that calls a tool."""
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}
    match name:
        case "openai":
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
            return {"choices": [{"index": 0, "message": message, "finish_reason": reason}]}
        case "responses":
            item = {"type": "function_call", "call_id": "a", "name": "f", "arguments": arguments}
            details = {"reason": "max_output_tokens"} if reason == "length" else None
            status = "incomplete" if reason == "length" else "completed"
            return {"status": status, "output": [item], "incomplete_details": details}
    finish = {"length": "MAX_TOKENS", "tool_calls": "TOOL_CALL"}.get(reason or "", "COMPLETE")
    return {"message": {"role": "assistant", "tool_calls": [call]}, "finish_reason": finish}


@pytest.mark.parametrize("name", ["openai", "responses", "cohere"])
@pytest.mark.parametrize("reason", ["tool_calls", "stop", None])
def test_a_whole_reply_with_half_arguments_is_broken(name: str, reason: str | None) -> None:
    with pytest.raises(UpstreamBroken) as raised:
        replied(name, whole(name, "".join(HALF), reason))
    assert raised.value.cause == "half_tool_call"


@pytest.mark.parametrize("name", ["openai", "responses", "cohere"])
def test_a_whole_reply_that_was_cut_says_so(name: str) -> None:
    choice = replied(name, whole(name, "".join(HALF), "length"))["choices"][0]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == "".join(HALF)


@pytest.mark.parametrize("reason", ["stop", "function_call", None, "tool_calls"])
def test_a_whole_reply_with_calls_ends_with_them(reason: str | None) -> None:
    assert replied("openai", whole("openai", "{}", reason))["choices"][0]["finish_reason"] == "tool_calls"


def test_a_whole_reply_without_calls_does_not_end_with_any() -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "tool_calls"}
    assert replied("openai", {"choices": [choice]})["choices"][0]["finish_reason"] == "stop"


def test_a_part_of_an_ollama_stream_is_no_whole_reply() -> None:
    with pytest.raises(UpstreamBroken):
        replied("ollama", {"message": {"role": "assistant", "content": "Hel"}, "done": False})


def test_a_whole_reply_with_raw_control_characters_is_read_and_rewritten() -> None:
    body = b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "a\tb"}, "finish_reason": "stop"}]}'
    reply = chat_reply(body, ReplyTerms("prov", "orcestator", 40, 1, ids()))
    assert json.loads(reply.body)["choices"][0]["message"]["content"] == "a\tb"
