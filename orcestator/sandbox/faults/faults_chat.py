"""The faults of a chat answer's content (H4 to H6, H10), as a body and as chunks. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from zlib import crc32

import orjson

from orcestator.json_text import Json
from orcestator.sandbox import tools
from orcestator.sandbox.call import Call
from orcestator.sandbox.dialects import chat
from orcestator.sandbox.dialects.chat import Completion, chunk_choice
from orcestator.sandbox.faults.faults_transport import Spoil
from orcestator.sandbox.wire.script import DONE, Answer, Step, event, json_answer, whole

MANY_CALLS = 10_000
DEFAULT_TOOL: Json = {
    "type": "function",
    "function": {"name": "sandbox_tool", "parameters": {"properties": {"text": {"type": "string"}}}},
}
UNDECLARED_TOOL: Json = {
    "type": "function",
    "function": {"name": "never_declared", "parameters": {"properties": {"text": {"type": "string"}}}},
}

USAGES: Mapping[str, Json] = {
    "negative": {"prompt_tokens": -5, "completion_tokens": -7, "total_tokens": -12},
    "strings": {"prompt_tokens": "5", "completion_tokens": "7", "total_tokens": "12"},
    "float": {"prompt_tokens": 5.5, "completion_tokens": 7.25, "total_tokens": 12.75},
    "huge": {"prompt_tokens": 10**18, "completion_tokens": 10**18, "total_tokens": 2 * 10**18},
    "inconsistent": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 1},
}


def offered_calls(call: Call, count: int) -> list[Json]:
    """``count`` good calls of the tools offered, in turn; of a tool of our own when none is."""
    offered = [tool for tool in call.body.get("tools") or [] if isinstance(tool, dict)] or [DEFAULT_TOOL]
    text = "text for the tool"
    return [tools.call(offered[place % len(offered)], text, f"call_{call.number}_{place}") for place in range(count)]


def with_deltas(done: Completion, deltas: Iterator[Json]) -> Iterator[Step]:
    """A stream that makes tool calls by these deltas."""
    yield event(done.chunk(chunk_choice(0, {"role": "assistant", "content": None})))
    for delta in deltas:
        yield event(done.chunk(chunk_choice(0, {"tool_calls": [delta]})))
    yield event(done.chunk(chunk_choice(0, {}, "tool_calls")))
    yield DONE


def _edited(edit: Callable[[Json], None], call: Call, answer: Answer) -> Answer:
    """Each body or chunk with choices, edited."""
    done = chat.complete(call)
    if not call.streams:
        body = chat.body(done)
        edit(body)
        return json_answer(body)
    return chat.streamed(call, _edited_events(edit, done))


def _edited_events(edit: Callable[[Json], None], done: Completion) -> Iterator[Step]:
    for chunk in chat.chunks(done):
        if chunk["choices"]:
            edit(chunk)
        yield event(chunk)
    yield DONE


def _no_choices(body: Json) -> None:
    body["choices"] = []


def _missing_choices(body: Json) -> None:
    del body["choices"]


def _null_choices(body: Json) -> None:
    body["choices"] = None


def _null_message(body: Json) -> None:
    for choice in body["choices"]:
        choice["message" if "message" in choice else "delta"] = None


def _null_content(body: Json) -> None:
    for choice in body["choices"]:
        choice["message" if "message" in choice else "delta"] = {"role": "assistant", "content": None}
        choice["finish_reason"] = None


def _unknown_finish(body: Json) -> None:
    for choice in body["choices"]:
        choice["finish_reason"] = choice["finish_reason"] and "eos"


def _second_choice(index: int, body: Json) -> None:
    body["choices"] = [*body["choices"], body["choices"][0] | {"index": index}]


def _other_model(body: Json) -> None:
    body["model"] = "another-model-9000"


def _other_id(body: Json) -> None:
    """Another answer's id; where it stands for a chunk, one that no other chunk has."""
    suffix = f"-{crc32(orjson.dumps(body['choices'])):x}" if "delta" in body["choices"][0] else ""
    body["id"] = f"chatcmpl-of-another-request{suffix}"


def _usage(usage: Json, call: Call, answer: Answer) -> Answer:
    done = chat.complete(call)
    if not call.streams:
        return json_answer(chat.body(done) | {"usage": usage})
    return chat.streamed(call, _with_usage(done, (usage,)))


def _no_usage(call: Call, answer: Answer) -> Answer:
    done = chat.complete(call)
    if not call.streams:
        return json_answer({name: value for name, value in chat.body(done).items() if name != "usage"})
    return chat.streamed(call, _with_usage(done, ()))


def _two_usages(call: Call, answer: Answer) -> Answer:
    done = chat.complete(call)
    if call.streams:
        return chat.streamed(call, _with_usage(done, (USAGES["inconsistent"], done.usage())))
    first = b'{"usage":' + orjson.dumps(USAGES["inconsistent"]) + b","
    return whole(first + orjson.dumps(chat.body(done))[1:])


def _with_usage(done: Completion, usages: tuple[Json, ...]) -> Iterator[Step]:
    """The stream with these usage chunks, asked for or not."""
    yield from (event(chunk | {"usage": None}) for chunk in chat.chunks(done) if chunk["choices"])
    yield from (event(done.chunk() | {"usage": usage}) for usage in usages)
    yield DONE


def _usage_on_finish(call: Call, answer: Answer) -> Answer:
    done = chat.complete(call)

    def edit(chunk: Json) -> None:
        if chunk["choices"][0]["finish_reason"]:
            chunk["usage"] = done.usage()

    return chat.streamed(call, (step for step in _edited_events(edit, _usage_unasked(done))))


def _usage_unasked(done: Completion) -> Completion:
    """The same completion of a call that did not ask for a usage chunk."""
    body = {name: value for name, value in done.call.body.items() if name != "stream_options"}
    return replace(done, call=replace(done.call, body=body))


def _calling(make: Callable[[Call], list[Json]], call: Call, answer: Answer) -> Answer:
    """The good answer with tool calls in place of its content."""
    done = chat.complete(call)
    choice = replace(done.choices[0], pieces=(), reasoning=(), tool_calls=tuple(make(call)), finish="tool_calls")
    done = replace(done, choices=(choice,))
    return chat.streamed(call, chat.events(done)) if call.streams else json_answer(chat.body(done))


def _same_ids(call: Call) -> list[Json]:
    return [made | {"id": "call_same"} for made in offered_calls(call, 2)]


def _no_ids(call: Call) -> list[Json]:
    return [{name: value for name, value in made.items() if name != "id"} for made in offered_calls(call, 2)]


def _broken_arguments(call: Call) -> list[Json]:
    made = tools.call(DEFAULT_TOOL | _first_function(call), "text", f"call_{call.number}_0")
    return [made | {"function": made["function"] | {"arguments": '{"text": "never clo'}}]


def _first_function(call: Call) -> Json:
    offered = call.body.get("tools") or []
    return next((tool for tool in offered if isinstance(tool, dict) and tool.get("function")), DEFAULT_TOOL)


def _many(call: Call) -> list[Json]:
    count = call.model.options.count
    return offered_calls(call, MANY_CALLS if count is None else count)


def _undeclared(call: Call) -> list[Json]:
    return [tools.call(UNDECLARED_TOOL, "text", f"call_{call.number}_0")]


def _split_arguments(call: Call, answer: Answer) -> Answer:
    made = offered_calls(call, 1)[0]
    letters = tools.deltas(made, 0, pieces=1_000_000)
    return chat.streamed(call, with_deltas(chat.complete(call), letters))


CHAT_FAULTS: Mapping[tuple[str, str], Spoil] = {
    ("H4", "empty"): partial(_edited, _no_choices),
    ("H4", "missing"): partial(_edited, _missing_choices),
    ("H4", "null"): partial(_edited, _null_choices),
    ("H4", "message-null"): partial(_edited, _null_message),
    ("H4", "content-null"): partial(_edited, _null_content),
    ("H4", "finish-unknown"): partial(_edited, _unknown_finish),
    ("H4", "index-gap"): partial(_edited, partial(_second_choice, 2)),
    ("H4", "index-twice"): partial(_edited, partial(_second_choice, 0)),
    ("H5", "missing"): _no_usage,
    **{("H5", variant): partial(_usage, usage) for variant, usage in USAGES.items()},
    ("H5", "last-chunk"): _usage_on_finish,
    ("H5", "twice"): _two_usages,
    ("H6", "duplicate-ids"): partial(_calling, _same_ids),
    ("H6", "missing-ids"): partial(_calling, _no_ids),
    ("H6", "bad-json"): partial(_calling, _broken_arguments),
    ("H6", "split"): _split_arguments,
    ("H6", "many"): partial(_calling, _many),
    ("H6", "undeclared"): partial(_calling, _undeclared),
    ("H10", "model"): partial(_edited, _other_model),
    ("H10", "id"): partial(_edited, _other_id),
}
