"""A whole reply: checked before a 200 is sent, mended where clients need it, otherwise byte for byte."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.dialects.openai.reply import Reply, ReplyTerms, chat_reply, parsed_object, plain_reply, text_reply
from orcestator.dialects.openai.stream import ChatStream
from orcestator.errors import UpstreamBroken, UpstreamError, UpstreamKeyRefused, UpstreamRateLimited
from orcestator.json_text import Json
from orcestator.usage import Usage
from tests.dialects.client_rules import FINISH_REASONS, SHOWN, assert_client_safe, ids, terms

USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}


def reply_terms() -> ReplyTerms:
    return ReplyTerms("prov", SHOWN, 40, 1_700_000_000, ids())


def choice(content: Any = "hi", reason: Any = "stop", index: Any = 0, **message: Any) -> Json:
    return {"index": index, "message": {"role": "assistant", "content": content, **message}, "finish_reason": reason}


def wire(*choices: Any, **more: Any) -> Json:
    head = {"id": "c1", "object": "chat.completion", "created": 1, "model": "gpt-x", "usage": USAGE}
    return {**head, "choices": list(choices), **more}


def read(value: Any) -> Reply:
    return chat_reply(value if isinstance(value, bytes) else json.dumps(value).encode(), reply_terms())


def shown(value: Any) -> Json:
    parsed: Json = json.loads(read(value).body.decode("utf-8", "strict"))
    return parsed


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_a_healthy_reply_keeps_its_bytes_but_for_the_model(separators: tuple[str, str]) -> None:
    body = json.dumps(wire(choice("é"), x=[1.50]), separators=separators, ensure_ascii=False).encode()

    reply = chat_reply(body, reply_terms())

    assert reply.body == body.replace(b"gpt-x", SHOWN.encode())
    assert (reply.text, reply.usage) == ("é", Usage(7, 2))


def test_a_model_that_already_has_the_name_and_one_that_is_said_twice() -> None:
    same = json.dumps(wire(choice(), model=SHOWN)).encode()

    assert read(same).body == same
    assert shown(wire(choice(), nested={"model": "gpt-x"})) == wire(choice(), nested={"model": "gpt-x"}, model=SHOWN)
    assert shown(wire(choice('"model":"gpt-x"')))["choices"][0]["message"]["content"] == '"model":"gpt-x"'


def test_a_nested_model_is_not_taken_for_a_missing_one() -> None:
    body = wire(choice(), nested={"model": None})
    del body["model"]

    assert shown(body) == body | {"model": SHOWN}


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"7", b'"x"', b"<html>busy</html>", b'{"choices":[{"index":0,"mess', b'{"a":NaN}', b"[" * 9000,
        '{"choices":[]}'.encode("utf-16"), b"{}", b'{"choices":null}', b'{"choices":[]}', b'{"choices":{}}',
        b'{"choices":[null]}', b'{"choices":[{}]}', b'{"choices":[{"message":null}]}',
        b'{"choices":[{"message":{"content":null}}]}', b'{"choices":[{"message":{"content":""},"finish_reason":""}]}',
        b'{"error":{"message":"boom"}}', b'{"object":"error","message":"boom","code":50001}',
        b'{"choices":[{"message":{"content":"x"},"finish_reason":"error"}]}',
        b'{"choices":[{"message":{"tool_calls":[{"id":"a"}]}}]}',
    ],
)  # fmt: skip
def test_what_cannot_be_passed_on_is_no_answer(body: bytes) -> None:
    with pytest.raises(UpstreamBroken):
        read(body)


def test_an_error_in_a_200_has_the_class_of_its_status() -> None:
    with pytest.raises(UpstreamRateLimited):
        read({"error": {"code": 429}})
    with pytest.raises(UpstreamKeyRefused):
        parsed_object(b'{"error":{"type":"insufficient_quota"}}', "prov")


@pytest.mark.parametrize("prefix", [b"\n\n  \n", b"\xef\xbb\xbf"])
def test_blank_lines_and_a_byte_order_mark_are_tolerated(prefix: bytes) -> None:
    assert shown(prefix + json.dumps(wire(choice())).encode())["model"] == SHOWN


@pytest.mark.parametrize("bad", [b"\xff", b"\\ud83d", b"\xed\xa0\x80"])
def test_what_is_no_character_is_replaced_and_never_relayed(bad: bytes) -> None:
    body = json.dumps(wire(choice("a@"))).encode().replace(b"@", bad)

    content = shown(body)["choices"][0]["message"]["content"]

    assert content.startswith("a\ufffd")
    assert plain_reply(body, reply_terms()).body.decode("utf-8", "strict").count("\ufffd")


@pytest.mark.parametrize("said", ["\0", "\u2028", "😀", "\ufeff"])
def test_every_character_arrives(said: str) -> None:
    for ascii_only in (True, False):
        body = json.dumps(wire(choice(said)), ensure_ascii=ascii_only).encode()
        assert shown(body)["choices"][0]["message"]["content"] == said


def test_deep_nesting_is_refused_and_not_a_crash() -> None:
    with pytest.raises(UpstreamBroken):
        read(b'{"x":' + b"[" * 300 + b"]" * 300 + b',"choices":[{"message":{"content":"x"}}]}')


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("stop", "stop"), ("eos", "stop"), ("MAX_TOKENS", "length"), (None, "stop"), ("", "stop"), ("null", "stop"), (3, "stop"),
     (["stop"], "stop"), ({}, "stop"), ("new", "stop")],
)  # fmt: skip
def test_one_of_the_five_finish_reasons(theirs: object, ours: str) -> None:
    assert shown(wire(choice(reason=theirs)))["choices"][0]["finish_reason"] == ours


def test_calls_without_a_reason_finish_as_calls() -> None:
    called = choice(
        None, None, tool_calls=[{"id": "a", "type": "function", "function": {"name": "f", "arguments": {}}}]
    )

    mended = shown(wire(called))["choices"][0]

    assert mended["finish_reason"] == "tool_calls"
    assert mended["message"]["tool_calls"][0]["function"]["arguments"] == "{}"


@pytest.mark.parametrize("indexes", [(None, None), (0, 0), (3, 7), ("0", "1")])
def test_choices_are_numbered(indexes: tuple[object, object]) -> None:
    choices = shown(wire(*[choice(index=index) for index in indexes]))["choices"]

    assert [one["index"] for one in choices] == [0, 1]


@pytest.mark.parametrize(
    ("content", "reason", "read_as"),
    [(None, "stop", ""), ([{"type": "text", "text": "a"}, {"text": None}], "stop", "a"), (7, None, "7")],
)
def test_content_becomes_text(content: object, reason: str | None, read_as: str) -> None:
    assert shown(wire(choice(content, reason)))["choices"][0]["message"]["content"] == read_as


def test_a_message_without_a_role_is_the_assistants() -> None:
    assert shown(wire(choice(role=None)))["choices"][0]["message"]["role"] == "assistant"


@pytest.mark.parametrize(
    "usage", [None, {}, "x", {"prompt_tokens": -1, "completion_tokens": 1}, {"prompt_tokens": "7"}]
)
def test_impossible_usage_becomes_an_estimate(usage: object) -> None:
    reply = read(wire(choice("12345678"), usage=usage))

    assert reply.usage == Usage(10, 2, tokens_estimated=True)
    assert json.loads(reply.body)["usage"] == {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}


@pytest.mark.parametrize("name", ["id", "created", "object", "usage", "model"])
def test_a_missing_field_is_made(name: str) -> None:
    body = wire(choice())
    del body[name]

    mended = shown(body)

    assert mended["object"] == "chat.completion"
    assert mended["model"] == SHOWN
    assert mended["id"]
    assert mended["created"]
    assert mended["usage"]["total_tokens"] > 0


class TestTextCompletion:
    def test_a_healthy_one_keeps_its_bytes(self) -> None:
        text = {"index": 0, "text": "hi", "finish_reason": "stop", "logprobs": None}
        body = json.dumps(wire(text, object="text_completion")).encode()

        reply = text_reply(body, reply_terms())

        assert (reply.body, reply.text) == (body.replace(b"gpt-x", SHOWN.encode()), "hi")

    def test_an_odd_one_is_mended(self) -> None:
        body = json.dumps(wire({"text": [{"text": "a"}], "finish_reason": "eos"}, id=None, object="x")).encode()

        mended = json.loads(text_reply(body, reply_terms()).body)

        assert mended["choices"] == [{"text": "a", "finish_reason": "stop", "index": 0}]
        assert (mended["id"], mended["object"]) == ("cmpl-made1", "text_completion")

    @pytest.mark.parametrize(
        "choices", [[], None, [None], [{"text": "", "finish_reason": None}], [{"text": "x", "finish_reason": "error"}]]
    )
    def test_nothing_is_no_answer(self, choices: object) -> None:
        with pytest.raises(UpstreamBroken):
            text_reply(json.dumps({"choices": choices}).encode(), reply_terms())


class TestPlainReply:
    def test_the_bytes_stay_but_for_the_model(self) -> None:
        body = b'{"object":"list","data":[{"embedding":[0.10,2e3]}],"model":"ada","usage":{"prompt_tokens":8,"total_tokens":8}}'

        reply = plain_reply(body, reply_terms())

        assert reply.body == body.replace(b"ada", SHOWN.encode())
        assert reply.usage == Usage(8)

    def test_no_model_is_invented(self) -> None:
        assert plain_reply(b'{"created":1,"data":[]}', reply_terms()).body == b'{"created":1,"data":[]}'

    def test_an_error_is_raised(self) -> None:
        with pytest.raises(UpstreamError):
            plain_reply(b'{"error":{"message":"no"},"data":[]}', reply_terms())
        for failure in (b'{"errors":[{"message":"no"}]}', b'{"detail":"no"}', b'{"status":"failed","message":"no"}'):
            with pytest.raises(UpstreamError, match="no"):
                plain_reply(failure, reply_terms())
        assert plain_reply(b'{"text":"no","detail":"low"}', reply_terms()).body == b'{"text":"no","detail":"low"}'


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "stop", "x", "error", "null"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["text", "name", "model"]), inner, max_size=2)
    ),
    max_leaves=3,
)
_message = st.fixed_dictionaries(
    {}, optional={name: _json for name in ("role", "content", "tool_calls", "reasoning_content", "function_call")}
)
_choices = st.fixed_dictionaries({}, optional={"index": _json, "message": _message | _json, "finish_reason": _json})
_replies = st.fixed_dictionaries(
    {"choices": st.lists(_choices | st.just(choice()), min_size=1, max_size=2)},
    optional={name: _json for name in ("id", "object", "created", "model", "usage")},
)


@given(_replies)
def test_any_reply_is_refused_or_fit_for_clients_both_whole_and_as_a_stream(theirs: Json) -> None:
    try:
        reply = read(theirs)
    except UpstreamError:
        return
    body = json.loads(reply.body)

    assert body["model"] == SHOWN
    for place, one in enumerate(body["choices"]):
        assert one["index"] == place
        assert one["finish_reason"] in FINISH_REASONS
        assert one["message"]["role"]
        assert isinstance(one["message"].get("content"), str | None)
    assert all(type(body["usage"][name]) is int for name in USAGE)
    stream = ChatStream(terms(include_usage=True))
    stream.feed_reply(reply.wire)
    assert_client_safe(stream.take(), include_usage=True)
