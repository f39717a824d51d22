"""A chat stream: whatever the upstream does, its caller gets what clients can read."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.dialects.openai.stream import MOST_CHOICES, ChatStream
from orcestator.errors import UpstreamBroken, UpstreamRateLimited, UpstreamTimeout, UpstreamUnavailable
from orcestator.json_text import Json
from orcestator.usage import Usage
from tests.dialects.client_rules import (
    END,
    PROMPT_BYTES,
    ROLE,
    SHOWN,
    STOP,
    assert_client_safe,
    chunk,
    head,
    run,
    safe,
    sse,
    terms,
    text,
)

HELLO = (ROLE, text("Hel"), text("lo"))
USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}


def failing(*events: Any, after: bytes = b"") -> UpstreamBroken:
    """The failure of a stream that has not begun: the loop may go on to the next candidate."""
    told = run([sse(*events) + after])
    assert told.fell_back
    assert isinstance(told.failure, UpstreamBroken)
    return told.failure


class TestHealthyStream:
    def test_text_arrives_with_the_shown_model_and_one_finish(self) -> None:
        seen = safe(sse(*HELLO, STOP, END))

        assert (seen.text, seen.finish) == ("Hello", "stop")

    def test_a_plain_chunk_keeps_its_bytes_but_for_the_model(self) -> None:
        event = text("lo", system_fingerprint="fp", x_unknown={"b": [1, 2.50]})

        output = run([sse(ROLE, text("a"), event, event, STOP, END)]).output

        assert output.count(sse(event).replace(b"gpt-x", SHOWN.encode())) == 2

    @pytest.mark.parametrize("before", ["ab", "abcde"], ids=["one by one", "a run at once"])
    def test_a_chunk_in_which_the_text_has_no_room_is_not_taken_for_one_like_the_last(self, before: str) -> None:
        """Its one quotation mark cannot be the end of what is before the text and the begin of what is behind it."""
        half = sse(text("x")).replace(b'"x"', b'"')

        told = run([sse(ROLE, *map(text, before)) + half + sse(STOP, END)])

        assert isinstance(told.failure, UpstreamBroken)
        assert told.failure.cause == "garbage"

    def test_unknown_fields_of_a_changed_chunk_stay(self) -> None:
        first = chunk({"role": "assistant", "content": "x", "annotations": [1]}, provider="deep", extra=1)

        frame = json.loads(run([sse(first, STOP, END)]).output.split(b"\n\n")[0][6:])

        assert (frame["provider"], frame["extra"], frame["choices"][0]["delta"]["annotations"]) == ("deep", 1, [1])

    @pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "refusal"])
    def test_other_text_than_content_commits_and_passes(self, name: str) -> None:
        told = run([sse(ROLE, chunk({name: "hm"}), chunk({name: "m"}), STOP, END)])

        assert told.stream.committed
        assert told.stream.text == []
        assert told.output.count(f'"{name}":'.encode()) == 2
        assert_client_safe(told.output)

    def test_text_is_kept_for_the_log_up_to_the_cap_and_counted_whole(self) -> None:
        stream = ChatStream(terms(text_cap=4))

        run([sse(ROLE, text("abc"), text("def"), text("ghi"), STOP, END)], stream)

        assert ("".join(stream.text), stream.completion_chars) == ("abcdef", 9)

    def test_the_model_name_inside_the_text_is_left_alone(self) -> None:
        said = 'I am "model":"gpt-x", "usage":null'

        assert safe(sse(ROLE, text("a"), text(said), text(said), STOP, END)).text == "a" + said * 2

    def test_a_model_name_that_cannot_be_told_apart_is_still_replaced(self) -> None:
        twice = text("b", nested={"model": "gpt-x"})

        assert safe(sse(ROLE, text("a"), twice, twice, STOP, END)).text == "abb"

    @pytest.mark.parametrize("missing", ["id", "created", "object", "model"])
    def test_a_head_without_a_field_is_completed(self, missing: str) -> None:
        events = [{key: value for key, value in event.items() if key != missing} for event in (*HELLO, STOP)]

        assert safe(sse(*events, END)).text == "Hello"

    @pytest.mark.parametrize(("name", "value"), [("id", 5), ("id", None), ("created", "now"), ("object", "x")])
    def test_a_head_of_another_shape_is_mended_wherever_it_comes(self, name: str, value: object) -> None:
        odd = text("odd") | {name: value}

        assert safe(sse(odd, STOP, END)).text == "odd"
        if name != "created":
            assert safe(sse(*HELLO, odd, odd, STOP, END)).text == "Hellooddodd"

    def test_json_with_spaces_and_escapes_is_read_the_same(self) -> None:
        events = [json.dumps(event) for event in (ROLE, text("é"), text("ü/\u2028"), STOP)]

        assert safe(sse(*events, END)).text == "éü/\u2028"


class TestCommitPoint:
    def test_a_role_alone_commits_nothing(self) -> None:
        stream = ChatStream(terms())

        stream.feed(sse(ROLE, chunk({"role": "assistant"}), chunk({"role": "assistant"}), chunk({"content": ""})))

        assert not stream.committed

    @pytest.mark.parametrize(
        "first",
        [text("x"), chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]}), STOP],
    )
    def test_content_a_call_or_a_finish_commits(self, first: Json) -> None:
        stream = ChatStream(terms())

        stream.feed(sse(first))

        assert stream.committed

    @pytest.mark.parametrize(
        "error",
        [
            b'data: {"error":{"message":"boom"}}\n\n',
            b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"boom"}}\n\n',
            b'data: {"object":"error","message":"boom","code":50001}\n\n',
            b'data: {"id":"c1","error":{"code":502,"message":"boom"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}\n\n',
            b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"error","error":{"message":"boom"}}]}\n\n',
            b'data: {"error":"boom"}\n\n',
        ],
    )
    @pytest.mark.parametrize("before", [b"", sse(ROLE), sse(ROLE, chunk({"role": "assistant"}))])
    def test_an_error_before_content_is_a_failure_of_the_attempt(self, error: bytes, before: bytes) -> None:
        told = run([before + error])

        assert told.fell_back
        assert told.failure is not None
        assert "boom" in told.failure.message

    @pytest.mark.parametrize(
        ("detail", "kind"),
        [
            ({"code": 429, "message": "m"}, UpstreamRateLimited),
            ({"code": "rate_limit_exceeded"}, UpstreamRateLimited),
            ({"code": 408}, UpstreamTimeout),
            ({"code": 503}, UpstreamUnavailable),
            ({"code": {}, "type": []}, UpstreamBroken),
            ({"code": [1], "type": {"a": 1}, "message": {"a": 1}}, UpstreamBroken),
            ([1], UpstreamBroken),
            (True, UpstreamBroken),
        ],
    )
    def test_an_error_of_any_shape_has_a_class(self, detail: object, kind: type) -> None:
        assert isinstance(run([sse({"error": detail})]).failure, kind)


class TestErrorAfterContent:
    def test_finish_then_error_then_done(self) -> None:
        seen = assert_client_safe(run([sse(*HELLO, {"error": {"message": "boom"}})]).output)

        assert (seen.text, seen.finish) == ("Hello", "error")
        assert seen.error is not None
        assert "boom" in seen.error["message"]

    def test_an_error_on_a_chunk_that_has_text_too(self) -> None:
        seen = assert_client_safe(run([sse(*HELLO, text("!", error={"message": "boom"}))]).output)

        assert (seen.text, seen.finish) == ("Hello", "error")

    def test_a_cut_stream(self) -> None:
        wire = sse(*HELLO)

        seen = assert_client_safe(run([wire, sse(text("lost"))[:-9]]).output)

        assert (seen.text, seen.finish) == ("Hello", "error")

    def test_an_error_after_the_finish_is_told_as_any_other(self) -> None:
        seen = assert_client_safe(run([sse(*HELLO, STOP, {"error": {"message": "boom"}})]).output)

        assert seen.finish == "error"
        assert seen.error is not None

    def test_every_open_choice_is_finished(self) -> None:
        events = [text("a"), text("b", index=1), chunk({}, "stop", index=1), text("c", index=2)]

        seen = assert_client_safe(run([sse(*events, {"error": "x"})]).output)

        assert {index: choice.finish for index, choice in seen.choices.items()} == dict.fromkeys((0, 1, 2), "error")

    def test_waiting_tool_calls_are_not_sent_in_half(self) -> None:
        calls = [{"index": i, "id": f"id{i}", "function": {"name": "f", "arguments": '{"a'}} for i in (0, 1)]

        seen = assert_client_safe(run([sse(chunk({"tool_calls": calls}))]).output)

        assert [call["id"] for call in seen.calls] == ["id0"]

    def test_nothing_follows_the_failure(self) -> None:
        told = run([sse(*HELLO, {"error": "x"})])

        told.stream.feed(sse(text("late"), STOP, END))
        told.stream.end()

        assert told.stream.take() == b""

    def test_a_failure_without_any_chunk_is_still_well_formed(self) -> None:
        stream = ChatStream(terms())

        assert_client_safe(stream.failure_frames(UpstreamTimeout("Nothing came.", cause="first_byte")))


class TestEnd:
    def test_a_finish_without_done_is_a_whole_answer(self) -> None:
        assert safe(sse(*HELLO, STOP)).text == "Hello"

    def test_done_without_a_finish_gets_one(self) -> None:
        assert safe(sse(*HELLO, END)).finish == "stop"

    @pytest.mark.parametrize(
        "tail", [b"data: [DONE]", b"data:[DONE]\n\n", b"data: [DONE] \n\n", b"data: [DONE]\r\n\r\n"]
    )
    def test_done_in_every_spelling(self, tail: bytes) -> None:
        told = run([sse(*HELLO, STOP) + tail])

        assert told.stream.done
        assert_client_safe(told.output)

    def test_what_follows_done_is_dropped(self) -> None:
        assert safe(sse(*HELLO, STOP, END, text("late"), {"error": "x"}, END)).text == "Hello"

    @pytest.mark.parametrize("ends", [(END,), (chunk({}, "length"), END), (chunk({}, "length"),)])
    def test_content_after_a_finish_is_delivered_before_the_one_finish(self, ends: tuple[Any, ...]) -> None:
        seen = safe(sse(*HELLO, text("!"), STOP, text(" late"), text("r"), *ends))

        assert (seen.text, seen.finish) == ("Hello! later", "stop" if ends == (END,) else "length")

    @pytest.mark.parametrize("reasons", [("stop", "stop", "stop"), ("stop", "stop", "length")])
    def test_a_finish_on_every_chunk_is_that_of_the_last(self, reasons: tuple[str, ...]) -> None:
        said = [chunk({"content": part}, reason) for part, reason in zip(("Hel", "lo", " world"), reasons, strict=True)]

        seen = safe(sse(*said, END))

        assert (seen.text, seen.finish) == ("Hello world", reasons[-1])

    def test_a_finish_on_every_chunk_says_nothing_about_the_end(self) -> None:
        """Without ``[DONE]`` such a stream was cut, as far as anybody can tell."""
        told = run([sse(chunk({"content": "Hel"}, "stop"), chunk({"content": "lo"}, "stop"))])

        assert assert_client_safe(told.output).error is not None

    def test_a_call_after_a_finish_is_delivered(self) -> None:
        call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}

        seen = safe(sse(*HELLO, STOP, chunk({"tool_calls": [call]}), END))

        assert (seen.text, [one["name"] for one in seen.calls], seen.finish) == ("Hello", ["f"], "tool_calls")

    @pytest.mark.parametrize("later", [("stop",), ("length", "stop"), ("stop", "length", "stop")])
    def test_a_second_finish_is_dropped(self, later: tuple[str, ...]) -> None:
        """And a plain stop after it does not make whole what was cut."""
        seen = safe(sse(*HELLO, *[chunk({}, reason) for reason in ("stop", *later)], END))

        assert seen.finish == ("length" if "length" in later else "stop")

    def test_content_on_the_finish_chunk_is_kept(self) -> None:
        assert safe(sse(ROLE, chunk({"content": "all"}, "stop"), END)).text == "all"

    def test_no_events_at_all(self) -> None:
        assert failing().cause == "closed"

    def test_done_alone(self) -> None:
        assert failing(END).cause == "empty"

    def test_a_role_and_done_is_no_answer(self) -> None:
        assert failing(ROLE, END).cause == "empty"

    def test_a_role_and_a_finish_is_an_empty_answer(self) -> None:
        assert safe(sse(ROLE, STOP, END)).text == ""

    def test_the_end_before_content_is_a_failed_attempt(self) -> None:
        assert failing(ROLE).cause == "closed"

    def test_complete_says_that_every_choice_has_finished(self) -> None:
        stream = ChatStream(terms())
        states = [stream.complete]
        for event in (text("a"), text("b", index=1), STOP, chunk({}, "stop", index=1)):
            stream.feed(sse(event))
            states.append(stream.complete)

        assert states == [False, False, False, False, True]


class TestFinishReason:
    @pytest.mark.parametrize(
        ("theirs", "ours"),
        [
            ("stop", "stop"),
            ("length", "length"),
            ("content_filter", "content_filter"),
            ("eos", "stop"),
            ("STOP", "stop"),
            ("MAX_TOKENS", "length"),
            ("SAFETY", "content_filter"),
            ("sensitive", "content_filter"),
            ("PROHIBITED_CONTENT", "content_filter"),
            ("content_filter: RECITATION", "content_filter"),
            ("tool_calls", "stop"),
            ("tool_use", "stop"),
            ("function_call", "stop"),
            ("something new", "stop"),
            (7, "stop"),
            (["stop"], "stop"),
            ({"type": "stop"}, "stop"),
        ],
    )
    def test_one_of_the_five_words(self, theirs: object, ours: str) -> None:
        assert safe(sse(*HELLO, chunk({}, theirs), END)).finish == ours

    @pytest.mark.parametrize("reason", ["stop", "tool_calls", "tool_use", "function_call", "eos", None])
    def test_calls_end_as_calls(self, reason: object) -> None:
        """Whatever the upstream says: agents go by the reason, or by the calls."""
        call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}

        assert safe(sse(ROLE, chunk({"tool_calls": [call]}), chunk({}, reason), END)).finish == "tool_calls"

    @pytest.mark.parametrize("reason", ["stop", "function_call", None])
    def test_a_legacy_call_keeps_its_reason(self, reason: object) -> None:
        events = [
            chunk({"function_call": {"name": "f", "arguments": "{"}}),
            chunk({"function_call": {"arguments": "}"}}),
        ]

        assert safe(sse(ROLE, *events, chunk({}, reason), END)).finish == (reason or "function_call")

    @pytest.mark.parametrize(
        "reason",
        [
            "error",
            "abort",
            "network_error",
            "insufficient_system_resource",
            "Timeout",
            "MALFORMED_FUNCTION_CALL",
            "OTHER",
            "function_call_filter: MALFORMED_FUNCTION_CALL",
            "malformed_model_output",
            "interrupted",
            "generation_failed",
        ],
    )
    def test_reasons_that_are_failures(self, reason: str) -> None:
        assert failing(ROLE, chunk({}, reason), END).cause == "error_in_200"
        assert assert_client_safe(run([sse(*HELLO, chunk({}, reason), END)]).output).error is not None

    @pytest.mark.parametrize("delta", [{}, {"content": "lo"}])
    def test_an_error_in_a_choice_is_a_failure(self, delta: Json) -> None:
        """Also beside content, where a healthy event would go by unread."""
        broken = head(choices=[{"index": 0, "delta": delta, "finish_reason": None, "error": {"message": "boom"}}])

        seen = assert_client_safe(run([sse(*HELLO, text(" w"), text("or"), broken, END)]).output)
        assert (seen.text, seen.finish) == ("Hello wor", "error")

    @pytest.mark.parametrize("nothing", ["", "null", None, False])
    def test_an_empty_reason_is_none(self, nothing: object) -> None:
        events = [chunk({"content": part}, nothing) for part in ("a", "b", "c")]

        assert safe(sse(*events, STOP, END)).text == "abc"


class TestUsage:
    @pytest.mark.parametrize(
        "events",
        [
            (STOP, head(choices=[], usage=USAGE)),
            (chunk({}, "stop", usage=USAGE),),
            (chunk({"content": ""}, usage=USAGE), STOP),
            ({"usage": USAGE}, STOP),
            (STOP, {"usage": USAGE}),
            (STOP, head(choices=None, usage=USAGE)),
            (chunk({}, usage={"prompt_tokens": 7, "completion_tokens": 1}), chunk({}, "stop", usage=USAGE)),
            (chunk({}, "stop", usage=USAGE), head(choices=[], usage={})),
        ],
    )
    @pytest.mark.parametrize("end", [(END,), ()])
    def test_wherever_it_comes_it_goes_out_once_at_the_end(self, events: tuple[Any, ...], end: tuple[str, ...]) -> None:
        told = run([sse(*HELLO, *events, *end)], ChatStream(terms(include_usage=True)))

        assert assert_client_safe(told.output, include_usage=True).usage == USAGE
        assert told.stream.usage == Usage(7, 2)

    def test_it_is_kept_back_from_a_caller_who_did_not_ask(self) -> None:
        nulls = [event | {"usage": None} for event in (*HELLO, text("!"), STOP)]

        told = run([sse(*nulls, head(choices=[], usage=USAGE), END)])

        assert b'"usage"' not in told.output
        assert assert_client_safe(told.output).text == "Hello!"
        assert told.stream.usage == Usage(7, 2)

    @pytest.mark.parametrize(
        "usage",
        [None, {}, [], "many", {"prompt_tokens": -1, "completion_tokens": 1}, {"prompt_tokens": "7"},
         {"prompt_tokens": 1e18, "completion_tokens": 2}, {"prompt_tokens": None, "completion_tokens": True}],
    )  # fmt: skip
    def test_an_impossible_one_is_replaced_by_an_estimate(self, usage: object) -> None:
        told = run([sse(*HELLO, STOP, head(choices=[], usage=usage), END)], ChatStream(terms(include_usage=True)))

        seen = assert_client_safe(told.output, include_usage=True)
        assert seen.usage == {"prompt_tokens": PROMPT_BYTES // 4, "completion_tokens": 2, "total_tokens": 12}
        assert told.stream.usage is not None
        assert told.stream.usage.tokens_estimated

    def test_details_and_a_missing_total_are_kept_and_made(self) -> None:
        usage = {"prompt_tokens": 7.0, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 3}}

        seen = safe(sse(*HELLO, STOP, head(choices=[], usage=usage), END), include_usage=True)

        assert seen.usage == USAGE | {"prompt_tokens_details": {"cached_tokens": 3}}


class TestForeignEvents:
    @pytest.mark.parametrize("nothing", ["null", "{}"])
    def test_what_holds_nothing_goes_by(self, nothing: str) -> None:
        assert safe(sse(ROLE, nothing, text("ok"), nothing, STOP, END)).text == "ok"

    @pytest.mark.parametrize(
        "garbage", ["{", "7", '"x"', "hello", '{"a":NaN}', "[" * 5000, '{"choices":[{"delta":{"conte']
    )
    def test_what_cannot_be_read_fails_the_attempt_or_is_told(self, garbage: str) -> None:
        """Never skipped: what was in it would be missing, and the rest looks whole."""
        assert failing(ROLE, garbage, text("ok"), STOP, END).cause == "garbage"

        seen = assert_client_safe(run([sse(*HELLO, garbage, text("!"), STOP, END)]).output)
        assert (seen.text, seen.finish) == ("Hello", "error")
        assert seen.error is not None

    @pytest.mark.parametrize(
        "event",
        [{}, head(), head(choices=[]), {"error": None}, {"type": "ping"}],
    )
    def test_events_that_say_nothing_are_skipped(self, event: Json) -> None:
        assert safe(sse(event, *HELLO, event, text("!"), event, STOP, END)).text == "Hello!"

    @pytest.mark.parametrize(
        "odd",
        [
            head(choices="x"),
            head(choices=[3]),
            head(choices=[{"index": 0, "delta": {}}, None]),
            head(choices=[None]),
            head(choices={}),
            head(choices=""),
            [],
            head(choices={"a": 1}),
            *[head(choices=[{"index": 0, "delta": delta}]) for delta in ("x", 3, [1])],
            *[chunk({"content": content}) for content in (True, {"a": 1}, [True], {"text": 4})],
            *[chunk({name: "x"}) for name in ("tool_calls", "function_call")],
        ],
    )
    def test_a_chunk_that_cannot_be_read_is_a_failure(self, odd: Any) -> None:
        assert failing(ROLE, odd, STOP, END).cause == "garbage"
        assert assert_client_safe(run([sse(*HELLO, odd, STOP, END)]).output).error is not None

    @pytest.mark.parametrize("delta", [None, [], {}, ""])
    def test_a_delta_of_another_shape_is_an_empty_one(self, delta: object) -> None:
        odd = head(choices=[{"index": 0, "delta": delta, "finish_reason": None}])

        assert safe(sse(odd, *HELLO, odd, STOP, END)).text == "Hello"

    @pytest.mark.parametrize(
        ("content", "read"),
        [
            ([{"type": "text", "text": "a"}, {"type": "x", "text": None}, 3, {"text": "b"}, "c"], "a3bc"),
            ([{"type": "text", "text": {"value": "a"}}, {"type": "reference", "reference_ids": [1]}], "a"),
            (4, "4"),
            (0.5, "0.5"),
            ({"text": "w4"}, "w4"),
            ({}, ""),
            ([], ""),
        ],
    )
    def test_content_of_another_shape_becomes_text(self, content: object, read: str) -> None:
        odd = chunk({"content": content})

        assert safe(sse(odd, text("."), odd, STOP, END)).text == f"{read}.{read}"

    def test_thinking_in_parts_is_reasoning(self) -> None:
        """Mistral's."""
        parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}]

        told = run([sse(ROLE, chunk({"content": parts}), STOP, END)])

        assert b'"reasoning_content":"hm"' in told.output
        assert assert_client_safe(told.output).text == "a"

    def test_whole_messages_in_a_stream_are_read_where_there_are_no_deltas(self) -> None:
        whole = head(
            choices=[{"index": 0, "message": {"role": "assistant", "content": "all"}, "finish_reason": "stop"}]
        )

        assert safe(sse(whole, END)).text == "all"
        assert safe(sse(*HELLO, whole, END)).text == "Hello"

    def test_deep_nesting_is_garbage_and_not_a_crash(self) -> None:
        deep = json.loads("[" * 400 + "]" * 400)

        assert failing(ROLE, text("a", x=deep), text("b"), STOP, END).cause == "garbage"

    def test_integers_over_64_bits_in_a_mended_chunk_are_written(self) -> None:
        odd = '{"id":"c1","choices":[{"index":0,"delta":{"content":"\\ud800"}}],"n":1' + "0" * 40 + "}"

        assert safe(sse(odd, STOP, END)).text == "\ufffd"

    def test_data_in_several_lines_goes_out_in_one(self) -> None:
        lines = b"".join(b"data: " + line + b"\n" for line in json.dumps(text("b"), indent=1).encode().split(b"\n"))
        compact = sse(text("c")).replace(b',"model"', b'\ndata: ,"model"')

        assert safe(sse(ROLE, text("a")) + lines + b"\n" + compact + compact + sse(STOP, END)).text == "abcc"


class TestCharacters:
    @pytest.mark.parametrize("said", ["\0", "\u2028", "\x85", "😀", "\x7f", '"\\', "\ufeff", "data: [DONE]\n\n"])
    def test_every_character_arrives(self, said: str) -> None:
        assert safe(sse(ROLE, text("a"), text(said), text(said), STOP, END)).text == "a" + said * 2

    @pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\\ud83d", b"\xed\xa0\x80"])
    @pytest.mark.parametrize("place", ["content", "id"])
    def test_what_is_no_character_is_replaced_and_never_relayed(self, bad: bytes, place: str) -> None:
        event = sse(text("@") if place == "content" else text("@") | {"id": "c1@"}).replace(b"@", bad, 1)
        if place == "id":
            event = event.replace(b"@", b"x")

        seen = safe(sse(ROLE, text("a"), text("b")) + event + event + sse(STOP, END))

        assert seen.text.startswith("ab")
        assert ("\ufffd" in seen.text) == (place == "content")

    def test_invalid_text_inside_the_template_of_the_last_chunk(self) -> None:
        event = sse(text("@"))

        output = run([sse(ROLE, text("a")) + event.replace(b"@", b"\xff") + event + sse(STOP, END)]).output

        assert assert_client_safe(output).text == "a\ufffd@"


class TestChoices:
    def test_interleaved_choices_keep_apart(self) -> None:
        events = [text(part, index=index) for part in "ab" for index in (0, 1, 2)]
        ends = [chunk({}, "stop", index=index) for index in (2, 0, 1)]

        seen = safe(sse(*events, *ends, END))

        assert [choice.text for choice in seen.choices.values()] == ["ab"] * 3

    def test_several_choices_in_one_chunk(self) -> None:
        both = head(choices=[{"index": i, "delta": {"content": "x"}, "finish_reason": "stop"} for i in (0, 1)])

        assert len(safe(sse(both, END)).choices) == 2

    @pytest.mark.parametrize("index", [None, "0", -1, 0.0, MOST_CHOICES, 10**9])
    def test_a_foreign_index_is_the_first_choice(self, index: object) -> None:
        assert safe(sse(chunk({"content": "a"}, index=index), chunk({}, "stop", index=index), END)).text == "a"

    def test_a_choice_that_comes_late_does_not_disturb_the_first(self) -> None:
        events = [ROLE, text("a"), text("b"), text("z", index=1), text("c"), STOP, text("late")]

        seen = safe(sse(*events, chunk({}, "stop", index=1), END))

        assert [choice.text for choice in seen.choices.values()] == ["abclate", "z"]


class TestWholeReply:
    def test_an_upstream_that_ignored_stream(self) -> None:
        call = {"id": "k", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        message = {"role": "assistant", "content": "hi", "tool_calls": [call], "reasoning_content": "hm"}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls", "logprobs": None}
        stream = ChatStream(terms(include_usage=True))

        stream.feed_reply(head(choices=[choice], usage=USAGE) | {"object": "chat.completion"})

        seen = assert_client_safe(stream.take(), include_usage=True)
        assert (seen.text, seen.finish, seen.usage) == ("hi", "tool_calls", USAGE)
        assert seen.calls == [{"id": "k", "type": "function", "name": "f", "text": "{}", "more": {}}]
        assert stream.done
        stream.end()


class TestSize:
    def test_many_small_chunks_in_one_piece(self) -> None:
        assert len(safe(sse(ROLE, *[text("ab")] * 5000, STOP, END)).text) == 10_000

    def test_a_picture_in_one_event(self) -> None:
        said = "x" * (3 << 20)

        assert safe(sse(ROLE, text(said), STOP, END)).text == said

    @pytest.mark.parametrize("ended", [True, False])
    def test_an_event_over_the_limit_ends_the_stream_after_what_came_before(self, ended: bool) -> None:
        longest = 1 << 20
        wire = sse(*HELLO, text("x" * longest), STOP, END)
        stream = ChatStream(terms()._replace(longest_event=longest))

        seen = assert_client_safe(run([wire if ended else wire[: longest + 900]], stream).output)

        assert seen.text == "Hello"
        assert seen.error is not None


# --- the same bytes in any slicing give the same answer -------------------------------------------------------------

_texts = st.text(max_size=6) | st.sampled_from(["\0", "\u2028", "é", "😀", '"', "\\", "\n", "\r\n\r\n", "data: "])
_calls = st.fixed_dictionaries(
    {},
    optional={
        "index": st.sampled_from([0, 1, 2, None, "0", 0.5]),
        "id": st.sampled_from(["a", "b", "", None, 5, [1]]),
        "type": st.sampled_from(["function", "custom", None, 3]),
        "function": st.fixed_dictionaries(
            {},
            optional={
                "name": st.sampled_from(["f", "g", "", None]),
                "arguments": st.sampled_from(["{", "}", "", None, {"x": 1}]),
            },
        )
        | st.just("x"),
        "custom": st.fixed_dictionaries({"name": st.just("c"), "input": st.text(max_size=3)}),
        "extra_content": st.just({"sig": "s"}),
    },
)
_deltas = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["assistant", None]),
        "content": _texts | st.none() | st.just([{"text": "p"}]),
        "reasoning_content": _texts | st.none(),
        "tool_calls": st.lists(_calls | st.none(), max_size=3) | st.just("x"),
    },
)
_finishes = st.sampled_from([None] * 6 + ["stop", "tool_calls", "eos", "", "error", 3, ["x"]])
_usages = st.sampled_from([None, USAGE, {}, "x", {"prompt_tokens": -1}])
_chunks = st.builds(
    lambda delta, finish, index, usage, spoilt: chunk(delta, finish, index, usage=usage) | spoilt,
    _deltas,
    _finishes,
    st.sampled_from([0, 0, 0, 0, 1, None, "x"]),
    _usages,
    st.sampled_from([{}] * 6 + [{"id": None}, {"model": "other"}, {"created": 0}, {"error": None}]),
)
_events = st.one_of(
    _chunks,
    _texts.map(text),
    _texts.map(text),
    st.sampled_from(
        ["[DONE]", "{", "", " ", {"error": {"message": "boom"}}, {"error": {"code": [1]}}, {}, b'{"a":"\xff"}']
    ),
)
_ends = st.sampled_from(
    [b"\n\n"] * 4 + [b"\r\n\r\n", b"\r\r", b"\n\n\n", b"\n: comment\n\n", b"\nid: 3\nretry: 1\n\n", b"\r\n\n"]
)


@st.composite
def _wires(draw: st.DrawFn) -> bytes:
    wire = draw(st.sampled_from([b"", b"\xef\xbb\xbf", b": hello\n\n", b"event: x\n"]))
    wire += b"".join(sse(event, end=draw(_ends)) for event in draw(st.lists(_events, max_size=8)))
    return wire + draw(st.sampled_from([b"", sse(STOP), sse(STOP, END), b"data: [DONE]", b"data: {"]))


@given(wire=_wires(), cuts=st.lists(st.integers(0, 2000), max_size=12), include_usage=st.booleans())
@settings(max_examples=400, deadline=None)
def test_any_slicing_gives_the_same_safe_answer(wire: bytes, cuts: list[int], include_usage: bool) -> None:
    places = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    slicings = [
        [wire],
        [wire[start:stop] for start, stop in pairwise(places)] + [b""],
        [wire[place : place + 1] for place in range(len(wire))],
    ]

    told = [run(pieces, ChatStream(terms(include_usage=include_usage))) for pieces in slicings]

    assert told[0].output == told[1].output == told[2].output
    assert len({one.fell_back for one in told}) == 1
    assert len({type(one.failure) for one in told}) == 1
    if told[0].output:
        assert_client_safe(told[0].output, include_usage=include_usage)
    else:
        assert told[0].fell_back


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_one_byte_at_a_time(end: bytes) -> None:
    wire = b"\xef\xbb\xbf" + sse(*HELLO, text("é😀"), STOP, END, end=end)

    told = run([wire[place : place + 1] for place in range(len(wire))])

    assert assert_client_safe(told.output).text == "Helloé😀"


@pytest.mark.parametrize(
    ("reported", "said", "expected"),
    [
        ({"prompt_tokens": 90, "completion_tokens": 40}, "", (90, 40, False)),
        ({"prompt_tokens": 90, "completion_tokens": 1}, "x" * 400, (90, 100, True)),
        ({"prompt_tokens": 90, "completion_tokens": 200}, "x" * 4, (90, 200, False)),
    ],
)
def test_a_stream_that_breaks_counts_what_was_told(reported: Json, said: str, expected: tuple[int, int, bool]) -> None:
    """What came after the last report is estimated."""
    made = ChatStream(terms())
    made.feed(sse(ROLE, chunk({"content": "w"}), head(choices=[], usage=reported)))
    if said:
        made.feed(sse(chunk({"content": said})))
    prompt, completion, estimated = made.usage_so_far[:3]
    assert (prompt, estimated) == (expected[0], expected[2])
    assert abs(completion - expected[1]) <= 1
