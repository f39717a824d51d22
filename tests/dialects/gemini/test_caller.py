"""Callers that speak Gemini's API: what recorded crossings do not show."""

import json
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.dialects.canonical import CallerDialect, WriteTerms
from orcestator.dialects.gemini.caller import ARRAY_CALLER, CALLER
from orcestator.dialects.gemini.models import model_card, model_list
from orcestator.dialects.gemini.tokens import count_estimate
from orcestator.errors import AttemptsExhausted, InvalidRequest, ModelNotFound, OrcestatorError, UpstreamRateLimited
from orcestator.json_text import Json

HI = [{"parts": [{"text": "Hi"}]}]
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def read(**fields: Any) -> Json:
    """The canonical call of a body."""
    return CALLER.read({"model": "m", "stream": False, "contents": HI, **fields}).call


def terms(**call: Any) -> WriteTerms:
    """Terms of an answer to a body."""
    numbers = count(1)
    return WriteTerms("m", 0, lambda prefix: f"{prefix}{next(numbers)}", "r-1", call=call)


def chunk(finish: str | None = None, index: int = 0, **delta: Any) -> Json:
    """A canonical chunk."""
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def tool_delta(text: str, call_id: str = "", name: str = "") -> Json:
    """A delta of a tool call: its first one when it has an id."""
    head = {"id": call_id, "type": "function"} if call_id else {}
    function = {"name": name, "arguments": text} if name else {"arguments": text}
    return chunk(tool_calls=[{"index": 0, **head, "function": function}])


@pytest.mark.parametrize(
    ("thinking", "canonical"),
    [
        ({"thinkingBudget": 0}, {"reasoning": {"enabled": False, "exclude": True}}),
        ({"thinkingBudget": -1, "includeThoughts": True}, {"reasoning": {"enabled": True}}),
        ({"thinking_budget": 64}, {"reasoning": {"max_tokens": 64, "exclude": True}}),
        ({"thinkingLevel": "HIGH", "includeThoughts": True}, {"reasoning_effort": "high"}),
        ({"includeThoughts": True}, {"reasoning": {"enabled": True}}),
        ({}, {}),
    ],
)
def test_thinking(thinking: Json, canonical: Json) -> None:
    """In the canonical words; without the config nothing is said."""
    call = read(generationConfig={"thinkingConfig": thinking})

    assert {name: value for name, value in call.items() if name.startswith("reasoning")} == canonical


def test_both_spellings_mean_the_same() -> None:
    """As in Google's own parser."""
    camel = {"generationConfig": {"maxOutputTokens": 5}, "toolConfig": {}, "systemInstruction": "s"}
    snake = {
        "generation_config": {"max_output_tokens": 5},
        "tool_config": {},
        "system_instruction": {"parts": [{"text": "s"}]},
    }

    assert read(**camel) == read(**snake)


def test_results_without_ids_find_their_calls() -> None:
    """In the order of the calls of that name, turn by turn."""
    calls = {"role": "model", "parts": [{"functionCall": {"name": name}} for name in ("a", "b", "a")]}
    results = [
        {"functionResponse": {"name": name, "response": {"output": text}}}
        for name, text in (("a", "1"), ("b", "2"), ("a", "3"))
    ]

    messages = read(contents=[*HI, calls, {"parts": results}, calls, {"parts": results[:1]}])["messages"]

    first, second = (message["tool_calls"] for message in messages if message["role"] == "assistant")
    answered = [message["tool_call_id"] for message in messages if message["role"] == "tool"]
    assert answered == [first[0]["id"], first[1]["id"], first[2]["id"], second[0]["id"]]
    assert len({call["id"] for call in first + second}) == 6


def test_an_id_that_is_too_long_for_others_is_shortened_alike() -> None:
    """In the call and in its result."""
    call = {"role": "model", "parts": [{"functionCall": {"name": "a", "id": "x" * 80}}]}
    result = {"parts": [{"functionResponse": {"name": "a", "id": "x" * 80, "response": {"output": "1"}}}]}

    _, said, answered = read(contents=[*HI, call, result])["messages"]

    assert said["tool_calls"][0]["id"] == answered["tool_call_id"]
    assert len(answered["tool_call_id"]) <= 40


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"contents": "Hi"}, "contents"),
        ({"contents": [7]}, "contents[0]"),
        ({"contents": []}, "contents"),
        ({"contents": [{"role": "boss", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"parts": {"text": "x"}}]}, "contents[0].parts"),
        ({"contents": [{"parts": [{"text": 7}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": [{"functionCall": {}}]}]}, "contents[0].parts[0].functionCall.name"),
        ({"generationConfig": {"temperature": "hot"}}, "generationConfig.temperature"),
        ({"generationConfig": {"seed": 1.5}}, "generationConfig.seed"),
        ({"generationConfig": {"stopSequences": "END"}}, "generationConfig.stopSequences"),
        ({"tools": [{"functionDeclarations": [{"description": "x"}]}]}, "tools[0].functionDeclarations[0].name"),
        ({"cachedContent": "cachedContents/1"}, "cachedContent"),
        ({"model": None}, "model"),
    ],
)
def test_a_mistake_is_named_with_its_place(fields: Json, param: str) -> None:
    """And with what to do."""
    with pytest.raises(InvalidRequest) as refused:
        read(**fields)
    assert refused.value.param == param


def written(dialect: CallerDialect, chunks: list[Any], failure: OrcestatorError | None = None) -> bytes:
    """What a caller receives of these chunks and texts."""
    writer = dialect.writer(terms())
    sent = b"".join(writer.text(made) if isinstance(made, str) else writer.chunk(made) for made in chunks)
    return sent + (writer.end(USAGE) if failure is None else writer.failure(failure))


def parts_of_stream(events: list[Json]) -> list[Json]:
    """All parts that came."""
    return [part for event in events for candidate in event["candidates"] for part in candidate["content"]["parts"]]


CHUNKS = [
    chunk(role="assistant", content="a\u2028"),
    "b\x85",
    tool_delta("", "call_1", "f"),
    tool_delta('{"x":'),
    tool_delta("1}"),
    tool_delta("", "call_2", "g"),
    chunk("tool_calls"),
]


def test_tool_calls_are_sent_whole_and_the_finish_last() -> None:
    """As events, none of which has a line end inside."""
    sent = written(CALLER, CHUNKS).decode()

    events = [json.loads(event.removeprefix("data: ")) for event in sent.split("\n\n")[:-1]]
    assert len(sent.splitlines()) == 2 * len(events), "no reader of lines finds one inside a text"
    assert parts_of_stream(events) == [
        {"text": "a\u2028"},
        {"text": "b\x85"},
        {"functionCall": {"id": "call_1", "name": "f", "args": {"x": 1}}},
        {"functionCall": {"id": "call_2", "name": "g", "args": {}}},
        {"text": ""},
    ]
    assert [event["candidates"][0].get("finishReason") for event in events] == [None] * 4 + ["STOP"]
    assert events[-1]["usageMetadata"] == {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}


def test_without_alt_sse_it_is_one_array() -> None:
    """Of the same events, whole after its end and after a failure."""
    whole = json.loads(written(ARRAY_CALLER, CHUNKS))
    broken = json.loads(written(ARRAY_CALLER, CHUNKS[:2], ModelNotFound("gone")))
    nothing = json.loads(written(ARRAY_CALLER, [], ModelNotFound("gone")))

    assert len(whole) == 5
    assert [sorted(event)[0] for event in broken] == ["candidates", "candidates", "error"]
    assert [event["error"]["status"] for event in nothing] == ["NOT_FOUND"]


def test_every_candidate_ends_in_the_last_event() -> None:
    """With its own reason."""
    chunks = [
        chunk(role="assistant", content="a"),
        chunk(index=1, content="b"),
        chunk("stop"),
        chunk("length", index=1),
    ]

    last = json.loads(written(CALLER, chunks).decode().split("data: ")[-1])

    assert [(made["index"], made["finishReason"]) for made in last["candidates"]] == [(0, "STOP"), (1, "MAX_TOKENS")]


def test_a_failure_is_an_event_and_stands_alone() -> None:
    """Node's SDK 1.30 finds it only there, and 1.52 only when no line ends after it."""
    sent = written(CALLER, CHUNKS[:2], ModelNotFound("gone")).decode().split("\n\n")

    assert sent[-2] == "data: " + sent[-1]
    assert json.loads(sent[-1])["error"]["code"] == 404


@pytest.mark.parametrize("shows", [True, False])
def test_thoughts_are_shown_to_who_asked(shows: bool) -> None:
    """The API hides them by default."""
    asked = {"generation_config": {"thinkingConfig": {"include_thoughts": shows}}}
    message = {"role": "assistant", "content": "a", "reasoning_content": "hm"}
    reply = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": USAGE}

    parts = CALLER.reply(reply, terms(**asked))["candidates"][0]["content"]["parts"]

    assert parts == [{"text": "hm", "thought": True}] * shows + [{"text": "a"}]
    assert (CALLER.writer(terms(**asked)).chunk(chunk(reasoning_content="hm")) != b"") is shows


def test_only_geminis_signatures_go_out() -> None:
    """SDKs decode them."""
    details = [{"type": "reasoning.text", "text": "x", "signature": "s", "format": "anthropic-claude-v1"}]
    message = {"role": "assistant", "content": None, "reasoning_details": details}
    reply = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}

    assert CALLER.reply(reply, terms())["candidates"][0]["content"]["parts"] == [{"text": ""}]


def limited(wait: float | None) -> UpstreamRateLimited:
    """A failure with a pause."""
    return UpstreamRateLimited("slow", cause="http_429", upstream_status=429, retry_after=wait)


@pytest.mark.parametrize(
    ("error", "status", "details"),
    [
        (InvalidRequest("no", param="contents"), "INVALID_ARGUMENT", ["BadRequest", "RequestInfo"]),
        (ModelNotFound("no"), "NOT_FOUND", ["RequestInfo"]),
        (limited(3.5), "RESOURCE_EXHAUSTED", ["RetryInfo", "RequestInfo"]),
        (AttemptsExhausted([limited(7)], limited(7), "all"), "RESOURCE_EXHAUSTED", ["RetryInfo", "RequestInfo"]),
    ],
)
def test_errors_have_googles_words(error: OrcestatorError, status: str, details: list[str]) -> None:
    """By HTTP status, with the details that its SDKs read."""
    made = CALLER.error(error, "r-1")["error"]

    assert (made["code"], made["status"]) == (error.http_status, status)
    assert [detail["@type"].rpartition(".")[2] for detail in made["details"]] == details


def test_keep_alives_are_no_comments() -> None:
    """Google's SDKs take a comment for broken JSON; blank lines are read over, and an array has room for nothing."""
    assert CALLER.keep_alive.strip() == b""
    assert ARRAY_CALLER.keep_alive == b""


def test_the_list_of_models() -> None:
    """Limits where they are known."""
    facts = {"context_length": 1000, "max_output_tokens": 50, "supported_parameters": ["reasoning"]}

    known, unknown = model_list([("a", facts), ("b", {})])["models"]

    assert known == {
        "name": "models/a",
        "version": "1",
        "displayName": "a",
        "inputTokenLimit": 1000,
        "outputTokenLimit": 50,
        "thinking": True,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }
    assert unknown == model_card("b", {})
    assert "inputTokenLimit" not in unknown


def test_tokens_are_estimated() -> None:
    """Texts, tools and media."""
    blob = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}

    assert count_estimate(read()) == 1
    assert count_estimate(read(contents=[{"parts": [{"text": "x" * 400}, blob]}])) == 100 + 258
    assert count_estimate(read(tools=[{"functionDeclarations": [{"name": "f", "description": "d" * 400}]}])) > 100


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["user", "model", "STRING", "ANY"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "parts",
                    "text",
                    "thought",
                    "thoughtSignature",
                    "inlineData",
                    "mime_type",
                    "data",
                    "fileData",
                    "fileUri",
                    "functionCall",
                    "functionResponse",
                    "name",
                    "id",
                    "args",
                    "response",
                    "output",
                    "functionDeclarations",
                    "parameters",
                    "parametersJsonSchema",
                    "type",
                    "properties",
                    "enum",
                    "format",
                    "nullable",
                    "any_of",
                    "mode",
                    "functionCallingConfig",
                    "allowedFunctionNames",
                    "thinkingConfig",
                    "thinkingBudget",
                    "responseMimeType",
                    "responseSchema",
                    "stop_sequences",
                    "topK",
                    "odd",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)
NAMES = st.sampled_from(
    [
        "contents",
        "systemInstruction",
        "system_instruction",
        "tools",
        "toolConfig",
        "generationConfig",
        "model",
        "labels",
    ]
)


@given(st.dictionaries(NAMES, JSON, max_size=4), st.lists(JSON, max_size=3))
@settings(max_examples=60, deadline=None)
def test_garbage_is_read_or_refused(body: Json, parts: list[Any]) -> None:
    """Nothing but InvalidRequest, and what was read is JSON with messages of known roles."""
    before = repr(body)
    for asked in (body, {"model": "m", **body, "contents": [*HI, {"role": "model", "parts": parts}, {"parts": parts}]}):
        try:
            call = CALLER.read(asked).call
        except InvalidRequest:
            continue
        json.dumps(call)
        assert {message["role"] for message in call["messages"]} <= {"system", "user", "assistant", "tool"}
        assert count_estimate(call) >= 0
    assert repr(body) == before


def test_a_turn_in_several_contents_is_one_turn() -> None:
    """Google's SDK keeps each streamed piece of the model's turn as a content of its own."""
    pieces = [
        {"role": "model", "parts": [{"functionCall": {"id": f"call_{place}", "name": "look", "args": {}}}]}
        for place in range(2)
    ]
    results = [
        {"functionResponse": {"id": f"call_{place}", "name": "look", "response": {"output": str(place)}}}
        for place in (1, 0)
    ]
    asked = {"role": "user", "parts": [{"text": "look twice"}]}
    body = {"model": "m", "contents": [asked, *pieces, {"role": "user", "parts": results}]}
    messages = CALLER.read(body).call["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "tool"]
    assert [call["id"] for call in messages[1]["tool_calls"]] == ["call_0", "call_1"]
    assert [(message["tool_call_id"], message["content"]) for message in messages[2:]] == [
        ("call_1", "1"),
        ("call_0", "0"),
    ]
