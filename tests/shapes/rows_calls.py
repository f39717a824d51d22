"""What OpenAI-compatible servers stream: tool calls. Half a call must never look like one."""

from collections.abc import Iterator

from tests.shapes.forms import (
    CHUNK,
    DONE,
    FORMS,
    TWO_CALLS,
    WORDS,
    Call,
    Told,
    call_delta,
    chunk,
    data,
    streamed,
)  # fmt: skip
from tests.shapes.framing import CHUNKED, LAST, chunk_of
from tests.shapes.rows import AFTER, EITHER_AFTER, W
from tests.shapes.rows_openai import HALF, ROLE, SAID, STOP, F, G, openai_stream
from tests.shapes.shape import Shape
from tests.shapes.upstream import Step


def openai_calls() -> Iterator[Shape]:
    """Tool calls in every kind of server's way. Half a call must never look like one."""
    calls = chunk({}, "tool_calls")
    begin = [chunk(call_delta(0, "", F))]
    rest = [chunk(call_delta(0, HALF[0])), chunk(call_delta(0, HALF[1]))]
    one, two, none = Told((), (F,)), Told((), (F, G)), Told((), (Call("f", "{}"),))
    first = [*begin, *rest]
    second = [chunk(call_delta(1, G.arguments[:5], G)), chunk(call_delta(1, G.arguments[5:]))]
    yield openai_stream("call", W, ROLE, *first, calls, DONE, told=one)
    yield openai_stream("calls", W, ROLE, *first, *second, calls, DONE, told=two)
    yield openai_stream("call_after_text", W, ROLE, *SAID, *first, calls, DONE, told=Told(WORDS, (F,)))
    yield openai_stream("call_in_one_delta", W, chunk(call_delta(0, F.arguments, F)), calls, DONE, told=one)
    yield openai_stream("call_with_finish", W, chunk(call_delta(0, F.arguments, F), "tool_calls"), DONE, told=one)
    yield openai_stream(
        "calls_in_one_delta",
        W,
        chunk(
            {"tool_calls": [*call_delta(0, F.arguments, F)["tool_calls"], *call_delta(1, G.arguments, G)["tool_calls"]]}
        ),
        calls,
        DONE,
        told=two,
    )
    yield openai_stream(
        "calls_interleaved", W, ROLE, begin[0], second[0], rest[0], second[1], rest[1], calls, DONE, told=two
    )
    yield openai_stream("calls_finish_stop", W, ROLE, *first, STOP, DONE, told=one)
    yield openai_stream("calls_no_finish", W, ROLE, *first, DONE, told=one)
    yield openai_stream("half_call_done", AFTER, ROLE, *begin, rest[0], DONE, told=one)
    half = Told((), (Call("f", HALF[0]),))
    # A model may well end its arguments too early and say so: where arguments are text, that is what it said.
    yield openai_stream(
        "half_call_finish", EITHER_AFTER, ROLE, *begin, rest[0], calls, DONE, told=half, callers=("openai", "responses")
    )
    yield openai_stream("half_call_end", AFTER, ROLE, *begin, rest[0], told=one)
    yield openai_stream(
        "half_call_length",
        EITHER_AFTER,
        ROLE,
        *begin,
        rest[0],
        chunk({}, "length"),
        DONE,
        told=half,
        callers=("openai",),
    )
    yield openai_stream("half_second_call_done", AFTER, ROLE, *first, second[0], DONE, told=two)
    yield openai_stream(
        "garbage_arguments",
        EITHER_AFTER,
        chunk(call_delta(0, "not json", F)),
        calls,
        DONE,
        told=Told((), (Call("f", "not json"),)),
        callers=("openai",),
    )
    yield openai_stream(
        "no_arguments",
        W,
        chunk(call_delta(0, "", F)),
        calls,
        DONE,
        told=none,
        callers=("anthropic", "gemini", "ollama"),
    )
    yield openai_stream(
        "arguments_null",
        W,
        data(
            {
                **CHUNK,
                "choices": [
                    {
                        "index": 0,
                        "delta": {
                            "tool_calls": [
                                {
                                    "index": 0,
                                    "id": "a",
                                    "type": "function",
                                    "function": {"name": "f", "arguments": None},
                                }
                            ]
                        },
                        "finish_reason": None,
                    }
                ],
            }
        ),
        calls,
        DONE,
        told=none,
        callers=("anthropic", "gemini", "ollama"),
    )
    yield openai_stream(
        "arguments_object",
        W,
        data(
            {
                **CHUNK,
                "choices": [
                    {
                        "index": 0,
                        "delta": {
                            "tool_calls": [
                                {
                                    "index": 0,
                                    "id": "a",
                                    "type": "function",
                                    "function": {"name": "f", "arguments": {"a": 1}},
                                }
                            ]
                        },
                        "finish_reason": None,
                    }
                ],
            }
        ),
        calls,
        DONE,
        told=Told((), (Call("f", '{"a": 1}'),)),
    )
    yield openai_stream(
        "index_gap", W, *(_moved(event, {0: 0, 1: 3}) for event in [*first, *second]), calls, DONE, told=two
    )
    yield openai_stream(
        "index_from_one", W, *(_moved(event, {0: 1, 1: 2}) for event in [*first, *second]), calls, DONE, told=two
    )
    yield openai_stream(
        "index_missing",
        W,
        _without(chunk(call_delta(0, F.arguments, F)), b'"index":0,"id"', b'"id"'),
        calls,
        DONE,
        told=one,
    )
    yield openai_stream(
        "index_same_ids_differ",
        W,
        chunk(call_delta(0, F.arguments, F)),
        _without(chunk(call_delta(0, G.arguments, G)), b"call_0", b"call_9"),
        calls,
        DONE,
        told=two,
    )
    yield openai_stream(
        "ids_missing",
        W,
        *(
            _without(chunk(call_delta(place, call.arguments, call)), b'"id":"call_%d",' % place, b"")
            for place, call in enumerate(TWO_CALLS)
        ),
        calls,
        DONE,
        told=two,
    )
    yield openai_stream(
        "ids_empty",
        W,
        *(
            _without(chunk(call_delta(place, call.arguments, call)), b"call_%d" % place, b"")
            for place, call in enumerate(TWO_CALLS)
        ),
        calls,
        DONE,
        told=two,
    )
    yield openai_stream(
        "ids_same",
        W,
        chunk(call_delta(0, F.arguments, F)),
        _without(chunk(call_delta(1, G.arguments, G)), b"call_1", b"call_0"),
        calls,
        DONE,
        told=two,
    )
    repeated = [
        data(
            {
                **CHUNK,
                "choices": [
                    {
                        "index": 0,
                        "delta": {
                            "tool_calls": [
                                {
                                    "index": 0,
                                    "id": "call_0",
                                    "type": "function",
                                    "function": {"name": "f", "arguments": half},
                                }
                            ]
                        },
                        "finish_reason": None,
                    }
                ],
            }
        )
        for half in HALF
    ]
    yield openai_stream("name_repeated", W, *repeated, calls, DONE, told=one)
    yield openai_stream(
        "name_empty_later",
        W,
        *begin,
        *(
            data(
                {
                    **CHUNK,
                    "choices": [
                        {
                            "index": 0,
                            "delta": {
                                "tool_calls": [{"index": 0, "id": "", "function": {"name": "", "arguments": half}}]
                            },
                        }
                    ],
                }
            )
            for half in HALF
        ),
        calls,
        DONE,
        told=one,
    )
    yield openai_stream(
        "name_null_later",
        W,
        *begin,
        *(
            data(
                {
                    **CHUNK,
                    "choices": [
                        {
                            "index": 0,
                            "delta": {
                                "tool_calls": [
                                    {
                                        "index": 0,
                                        "id": None,
                                        "type": None,
                                        "function": {"name": None, "arguments": half},
                                    }
                                ]
                            },
                        }
                    ],
                }
            )
            for half in HALF
        ),
        calls,
        DONE,
        told=one,
    )
    between = [chunk({"content": "\n"}) for _ in range(2)]
    yield openai_stream(
        "text_between_pieces",
        W,
        ROLE,
        *begin,
        between[0],
        rest[0],
        between[1],
        rest[1],
        calls,
        DONE,
        told=Told(("\n", "\n"), (F,)),
    )
    both = [chunk({"content": "\n", **call_delta(0, half)}) for half in HALF]
    yield openai_stream("text_in_the_same_delta", W, ROLE, *begin, *both, calls, DONE, told=Told(("\n", "\n"), (F,)))
    yield openai_stream("text_after_call", W, ROLE, *first, *SAID, calls, DONE, told=Told(WORDS, (F,)))
    yield openai_stream(
        "empty_text_between",
        W,
        ROLE,
        *begin,
        chunk({"content": ""}),
        rest[0],
        chunk({"content": ""}),
        rest[1],
        calls,
        DONE,
        told=one,
    )
    yield openai_stream(
        "reasoning_between_pieces",
        W,
        ROLE,
        *begin,
        chunk({"reasoning_content": "hm"}),
        rest[0],
        chunk({"reasoning_content": "hm"}),
        rest[1],
        calls,
        DONE,
        told=one,
    )
    yield openai_stream(
        "finish_on_each_call_piece",
        W,
        chunk(call_delta(0, "", F), "tool_calls"),
        *(chunk(call_delta(0, half), "tool_calls") for half in HALF),
        DONE,
        told=one,
    )
    yield openai_stream("finish_before_call", W, ROLE, *SAID, STOP, *first, calls, DONE, told=Told(WORDS, (F,)))
    yield openai_stream("finish_tool_calls_without", EITHER_AFTER, ROLE, *SAID, calls, DONE)
    yield openai_stream(
        "surrogates_in_arguments",
        W,
        chunk(call_delta(0, '{"a":"', F)),
        *(b"data: " + _arguments(half) + b"\n\n" for half in (r"\ud83d", r"\ude00")),
        chunk(call_delta(0, '"}')),
        calls,
        DONE,
        told=Told((), (Call("f", '{"a":"😀"}'),)),
    )
    big = Call("f", '{"a": 18446744073709551616, "b": 1' + "0" * 30 + "}")
    yield openai_stream("big_integers", W, chunk(call_delta(0, big.arguments, big)), calls, DONE, told=Told((), (big,)))
    large = Call("f", '{"a": "' + "x" * 1_500_000 + '"}')
    yield openai_stream(
        "big_call", W, chunk(call_delta(0, large.arguments, large)), calls, DONE, told=Told((), (large,))
    )
    legacy = [
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        *(chunk({"function_call": {"arguments": half}}) for half in HALF),
    ]
    yield openai_stream(
        "legacy_function_call",
        EITHER_AFTER,
        *legacy,
        chunk({}, "function_call"),
        DONE,
        told=one,
        callers=("anthropic", "gemini", "ollama"),
    )
    slow = [
        step
        for piece in [G.arguments[at : at + 3] for at in range(0, len(G.arguments), 3)]
        for step in (0.4, chunk_of(chunk(call_delta(1, piece))))
    ]
    head = streamed(FORMS["openai"]).head(CHUNKED)
    steps: list[Step] = [
        head,
        *map(chunk_of, [ROLE, *first, chunk(call_delta(1, "", G))]),
        *slow,
        chunk_of(calls),
        chunk_of(DONE),
        LAST,
    ]
    yield Shape("slow_second_call", "openai", True, W, lambda: steps, two)
    slow_one: list[Step] = [
        head,
        chunk_of(begin[0]),
        *(
            step
            for piece in [F.arguments[at : at + 4] for at in range(0, len(F.arguments), 4)]
            for step in (0.4, chunk_of(chunk(call_delta(0, piece))))
        ),
        chunk_of(calls),
        chunk_of(DONE),
        LAST,
    ]
    yield Shape("slow_call", "openai", True, W, lambda: slow_one, one)


def _arguments(content: str) -> bytes:
    return chunk(call_delta(0, "@")).removeprefix(b"data: ").rstrip().replace(b'"@"', f'"{content}"'.encode())


def _moved(event: bytes, to: dict[int, int]) -> bytes:
    for old, new in to.items():
        if b'"tool_calls":[{"index":%d' % old in event:
            return event.replace(b'"tool_calls":[{"index":%d' % old, b'"tool_calls":[{"index":%d' % new)
    return event


def _without(event: bytes, old: bytes, new: bytes) -> bytes:
    assert old in event, (old, event)
    return event.replace(old, new)
