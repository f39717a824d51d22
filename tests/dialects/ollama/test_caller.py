"""Callers of Ollama's dialect: what they ask, and lines that Ollama's own clients read."""

import base64
import json
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.dialects.canonical import ReadTerms, Target, WriteTerms
from orcestator.dialects.ollama.caller import CHAT, GENERATE, chat_load, generate_load
from orcestator.dialects.ollama.upstream import UPSTREAM
from orcestator.errors import InvalidRequest, ModelNotFound, UpstreamBroken
from orcestator.json_text import Json
from tests.dialects.ollama.ollama_garbage import BODIES, GARBAGE, MESSAGES

HELLO = {"role": "user", "content": "Hi"}
TERMS = WriteTerms("m", 1_700_000_000, lambda prefix: f"{prefix}1")
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
CHUNK_HEAD = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(24)).decode()
NUMBERS = st.integers(-(2**53), 2**53)
PLAIN_JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
CALLS = st.tuples(st.text("abc_", min_size=1, max_size=4), st.dictionaries(st.text(max_size=3), PLAIN_JSON, max_size=3))


def chunk(delta: Json, finish: str | None = None) -> Json:
    """A whole canonical chunk."""
    return {**CHUNK_HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def call_deltas(place: int, name: str, arguments: str) -> list[Json]:
    """One tool call as an OpenAI stream has it: name first, arguments in two pieces."""
    half = len(arguments) // 2
    first = {"index": place, "id": f"call_{place}", "type": "function", "function": {"name": name, "arguments": ""}}
    rest = [{"index": place, "function": {"arguments": part}} for part in (arguments[:half], arguments[half:])]
    return [{"tool_calls": [delta]} for delta in (first, *rest)]


def read_back(written: bytes) -> list[Any]:
    """What our own upstream side makes of lines."""
    numbers = count(1)
    reader = UPSTREAM.reader(ReadTerms("ollama", lambda prefix: f"{prefix}{next(numbers)}", 0))
    return [reader.read(line) for line in written.splitlines()]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=6), max_size=4), st.lists(CALLS, max_size=3))
def test_what_is_written_reads_back(texts: list[str], calls: list[tuple[str, Json]]) -> None:
    """Text, tool calls, finish reason and usage come through a stream of lines unchanged."""
    writer = CHAT.writer(TERMS)
    written = writer.chunk(chunk({"role": "assistant", "content": ""}))
    written += b"".join(writer.text(text) for text in texts)
    for place, (name, arguments) in enumerate(calls):
        for delta in call_deltas(place, name, json.dumps(arguments)):
            written += writer.chunk(chunk(delta))
    written += writer.chunk(chunk({}, "tool_calls" if calls else "stop")) + writer.end(USAGE)

    reads = read_back(written)
    chunks = [piece for read in reads if isinstance(read, list) for piece in read]
    deltas = [piece["choices"][0]["delta"] for piece in chunks]
    assert "".join(read for read in reads if isinstance(read, str)) == "".join(texts)
    seen = [call["function"] for delta in deltas for call in delta.get("tool_calls", [])]
    assert [(call["name"], json.loads(call["arguments"])) for call in seen] == calls
    assert chunks[-1]["choices"][0]["finish_reason"] == ("tool_calls" if calls else "stop")
    assert chunks[-1]["usage"] == USAGE


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=4), st.lists(CALLS, max_size=2)), min_size=1, max_size=3), st.booleans())
def test_what_is_asked_reads_back(turns: list[tuple[str, list[tuple[str, Json]]]], stream: bool) -> None:
    """A caller's request that goes to an Ollama again is the one that came."""
    messages: list[Json] = []
    for turn, (text, calls) in enumerate(turns):
        wires = [
            {"id": f"c{turn}{place}", "function": {"index": place, "name": name, "arguments": arguments}}
            for place, (name, arguments) in enumerate(calls)
        ]
        messages.append({"role": "user", "content": text, "images": [PNG]})
        messages.append(
            {"role": "assistant", "content": text, "thinking": "Hm"} | ({"tool_calls": wires} if wires else {})
        )
        messages += [
            {"role": "tool", "content": text, "tool_name": wire["function"]["name"], "tool_call_id": wire["id"]}
            for wire in wires
        ]
    body = {
        "model": "m",
        "messages": messages,
        "stream": stream,
        "format": "json",
        "think": "high",
        "options": {"seed": 7, "num_predict": 9, "stop": ["x"]},
    }
    read = CHAT.read(body)

    assert read.dropped == ()
    assert UPSTREAM.request(read.call, Target("ollama", "m", streamed=stream)).body == body


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thinking_has_two_names(name: str) -> None:
    """The canonical one, and the one that an upstream of the OpenAI dialect may use."""
    message = {"role": "assistant", "content": "Hi", name: "Hm"}
    line = json.loads(CHAT.writer(TERMS).chunk(chunk(message)))
    whole = CHAT.reply({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}, TERMS)
    assert line["message"] == whole["message"] == {"role": "assistant", "content": "Hi", "thinking": "Hm"}


def test_text_gives_what_chunk_gives() -> None:
    """Only faster, also for a model name that looks like JSON."""
    terms = WriteTerms('"\0",{"content":"\0"}', 0, lambda prefix: prefix)
    for dialect in (CHAT, GENERATE):
        writer = dialect.writer(terms)
        for content in ("Hi", '"\\\n\0é', "\u2028"):
            assert writer.text(content) == writer.chunk(chunk({"content": content}))


@pytest.mark.parametrize("end", ["\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_a_line_has_one_end_by_any_reading(end: str) -> None:
    """The Python client breaks lines where Unicode does; in text, in arguments and in errors alike."""
    writer = CHAT.writer(WriteTerms(f"m{end}m", 0, lambda prefix: prefix))
    written = [writer.text(f"a{end}b"), writer.failure(UpstreamBroken(f"a{end}b", cause="closed"))]
    for delta in call_deltas(0, "f", json.dumps({"a": f"a{end}b"}, ensure_ascii=False)):
        writer.chunk(chunk(delta))
    written.append(writer.chunk(chunk({}, "tool_calls")))

    assert [len(lines.decode().splitlines()) for lines in written] == [1, 1, 1]
    assert json.loads(written[0])["message"]["content"] == f"a{end}b"


def test_calls_wait_until_they_are_whole() -> None:
    """A call goes out when the next begins or the choice ends, and text may pass it."""
    writer = CHAT.writer(TERMS)
    first, second = call_deltas(0, "f", '{"a":1}'), call_deltas(1, "g", "{x}")
    lines = [writer.chunk(chunk(delta)) for delta in first]
    passing = writer.text("by the way")
    lines += [writer.chunk(chunk(delta)) for delta in second] + [writer.chunk(chunk({}, "tool_calls"))]

    assert [len(line.splitlines()) for line in lines] == [0, 0, 0, 1, 0, 0, 1]
    assert json.loads(passing)["message"] == {"role": "assistant", "content": "by the way"}
    broken = json.loads(lines[-1])["message"]["tool_calls"][0]["function"]
    assert broken == {"index": 1, "name": "g", "arguments": {"INVALID_JSON": "{x}"}}


def test_generate_has_a_response_instead_of_a_message() -> None:
    """In a stream and in a whole answer."""
    writer = GENERATE.writer(TERMS)
    written = writer.chunk(chunk({"role": "assistant", "reasoning_content": "Hm"})) + writer.text("Hi")
    lines = [
        json.loads(line) for line in (written + writer.chunk(chunk({}, "length")) + writer.end(USAGE)).splitlines()
    ]
    message = {"role": "assistant", "content": "Hi", "reasoning_content": "Hm"}
    reply = {"choices": [{"index": 0, "message": message, "finish_reason": "length"}], "usage": USAGE}
    whole = GENERATE.reply(reply, TERMS)

    assert [(line["response"], line.get("thinking"), line["done"]) for line in lines] == [
        ("", "Hm", False),
        ("Hi", None, False),
        ("", None, True),
    ]
    assert (whole["response"], whole["thinking"], whole["done"]) == ("Hi", "Hm", True)
    for end in (lines[-1], whole):
        assert (end["done_reason"], end["prompt_eval_count"], end["eval_count"]) == ("length", 3, 2)
        assert "message" not in end


@pytest.mark.parametrize("dialect", [CHAT, GENERATE])
def test_failures(dialect: Any) -> None:
    """One text, as a body and as the last line."""
    assert dialect.error(ModelNotFound("No such model."), "r") == {"error": "No such model."}
    line = dialect.writer(TERMS).failure(UpstreamBroken("It broke.", cause="closed"))
    assert json.loads(line) == {"error": "It broke."}
    assert line.endswith(b"\n")


def test_other_choices_are_left_out() -> None:
    """This wire has one."""
    other = {**CHUNK_HEAD, "choices": [{"index": 1, "delta": {"content": "x"}, "finish_reason": None}]}
    assert CHAT.writer(TERMS).chunk(other) == b""


@pytest.mark.parametrize(
    ("stream", "wanted"), [({}, True), ({"stream": None}, True), ({"stream": True}, True), ({"stream": False}, False)]
)
def test_answers_stream_unless_told_otherwise(stream: Json, wanted: bool) -> None:
    """In both requests."""
    assert CHAT.read({"model": "m", "messages": [HELLO], **stream}).call["stream"] is wanted
    assert GENERATE.read({"model": "m", "prompt": "Hi", **stream}).call["stream"] is wanted


def test_a_generate_request() -> None:
    """Rules, prompt and images become two messages; what a chat has no place for is named."""
    body = {
        "model": "m",
        "prompt": "Hi",
        "system": "Be brief.",
        "images": [PNG],
        "template": "{{ .Prompt }}",
        "raw": True,
        "context": [1],
        "truncate": False,
        "options": {"mirostat": 1, "unknown": 2},
    }
    read = GENERATE.read(body)
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}

    assert read.call["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, image]},
    ]
    assert read.dropped == ("template", "raw", "context", "truncate", "options.mirostat")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"BM", "image/bmp"),
    ],
)
def test_the_kind_of_an_image_is_told_by_its_bytes(head: bytes, kind: str) -> None:
    """The wire does not name it, and a data URL must."""
    image = base64.b64encode(head + bytes(32)).decode()
    call = CHAT.read({"model": "m", "messages": [{"role": "user", "images": [image]}]}).call
    assert call["messages"][0]["content"][0]["image_url"]["url"] == f"data:{kind};base64,{image}"


def test_a_sound_is_no_image() -> None:
    """Ollama takes both in one list."""
    sound = base64.b64encode(b"RIFF\0\0\0\0WAVEfmt " + bytes(16)).decode()
    call = CHAT.read({"model": "m", "messages": [{"role": "user", "images": [sound]}]}).call
    assert call["messages"][0]["content"] == [{"type": "input_audio", "input_audio": {"data": sound, "format": "wav"}}]


@pytest.mark.parametrize(
    ("results", "ids"),
    [
        ([{}, {}], ["call_1_0", "own"]),
        ([{"tool_name": "g"}, {"tool_name": "f"}], ["own", "call_1_0"]),
        ([{"tool_call_id": "own"}, {}], ["own", "call_1_0"]),
        ([{}, {}, {}], ["call_1_0", "own", "call_4"]),
    ],
)
def test_results_find_their_calls(results: list[Json], ids: list[str]) -> None:
    """By id, else by the tool's name, else by order; ids that are missing are made from the place."""
    calls = [{"function": {"name": "f", "arguments": {}}}, {"id": "own", "function": {"name": "g"}}]
    messages = [
        HELLO,
        {"role": "assistant", "tool_calls": calls},
        *({"role": "tool", "content": "x", **one} for one in results),
    ]
    call = CHAT.read({"model": "m", "messages": messages}).call
    assert [message["tool_call_id"] for message in call["messages"][2:]] == ids


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": [HELLO, 7]}, "messages[1].role"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "images": ["AAAA"]}]}, "messages[0].images[0]"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages[0].tool_calls[0].function.name"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": 1}}]}]},
            "messages[0].tool_calls[0].function.arguments",
        ),
        ({"stream": "yes"}, "stream"),
        ({"options": []}, "options"),
        ({"options": {"temperature": "hot"}}, "options.temperature"),
        ({"options": {"seed": 1.5}}, "options.seed"),
        ({"options": {"num_predict": True}}, "options.num_predict"),
        ({"options": {"stop": [1]}}, "options.stop"),
        ({"format": "xml"}, "format"),
        ({"think": "hard"}, "think"),
        ({"logprobs": 1}, "logprobs"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"function": {}}]}, "tools[0].function.name"),
    ],
)
def test_a_chat_request_that_cannot_be_understood(fields: Json, param: str) -> None:
    """Names the field as the caller spelled it."""
    with pytest.raises(InvalidRequest) as raised:
        CHAT.read({"model": "m", "messages": [HELLO], **fields})
    assert raised.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"prompt": ""}, "prompt"), ({"prompt": 1}, "prompt"), ({"suffix": "}"}, "suffix"), ({"system": []}, "system")],
)
def test_a_generate_request_that_cannot_be_understood(fields: Json, param: str) -> None:
    """Likewise; an insertion is refused, as Ollama does it for models that only chat."""
    with pytest.raises(InvalidRequest) as raised:
        GENERATE.read({"model": "m", "prompt": "Hi", **fields})
    assert raised.value.param == param


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "load"),
        ({"keep_alive": "5m"}, "load"),
        ({"keep_alive": -1}, "load"),
        ({"keep_alive": 0}, "unload"),
        ({"keep_alive": "0s"}, "unload"),
        ({"messages": [], "prompt": "", "keep_alive": 0.0}, "unload"),
        ({"messages": [HELLO], "prompt": "Hi", "keep_alive": 0}, None),
    ],
)
def test_a_request_that_only_loads(body: Json, reason: str | None) -> None:
    """Is answered at once: there is nothing to load."""
    chat, generate = chat_load(body, TERMS), generate_load(body, TERMS)
    if reason is None:
        assert (chat, generate) == (None, None)
    else:
        head = {"model": "m", "created_at": "2023-11-14T22:13:20.000000000Z"}
        end = {"done": True, "done_reason": reason}
        assert chat == {**head, "message": {"role": "assistant", "content": ""}, **end}
        assert generate == {**head, "response": "", **end}


@settings(max_examples=60, deadline=None)
@given(BODIES, MESSAGES, GARBAGE)
def test_any_request_is_understood_or_refused(body: Json, messages: list[Any], prompt: Any) -> None:
    """Nothing but InvalidRequest leaves, with the name of a field, and the body stays as it was."""
    body = {"model": "m", **body, "messages": messages, "prompt": prompt}
    before = json.dumps(body)
    for dialect in (CHAT, GENERATE):
        try:
            read = dialect.read(body)
        except InvalidRequest as error:
            params = error.param
        else:
            params = read.call["model"]
            UPSTREAM.request(read.call, Target("ollama", "m"))
        assert params
    assert chat_load(body, TERMS) is None or not messages
    generate_load(body, TERMS)
    assert json.dumps(body) == before
