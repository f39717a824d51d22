"""A history in which every tool call is followed by its result at once, and every result answers a call.

OpenAI refuses anything else ("An assistant message with 'tool_calls' must be followed by tool messages responding to
each 'tool_call_id'", "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'"), and the
Responses API, Anthropic, Gemini and Cohere say the same of theirs (checked 2026-11). Callers of dialects that tie the
two less closely, or that lost a piece of a conversation, send such histories.
"""

from collections.abc import Iterator
from typing import Any

from orcestator.dialects.canonical import parts_of, text_of
from orcestator.json_text import Json, dumps

NO_RESULT = "The tool gave no result."
"""The answer to a call whose result is not in the conversation: the APIs demand one."""
LOST_RESULT = "messages.tool_calls"
"""Said of a call that got this answer."""
LOST_CALL = "messages.tool_call_id"
"""Said of a result that is told as the user's text, since it answers no call of the turn before it, or a second time."""


def with_results_in_place(messages: Any) -> tuple[Any, list[str]]:
    """The messages with the results after their calls, and the names of what had to be made up or told as text.

    The messages themselves where there is nothing to do.
    """
    if not isinstance(messages, list) or _are_in_place(messages):
        return messages, []
    dropped: list[str] = []
    made: list[Any] = []
    place = 0
    while place < len(messages):
        run = _run(messages, place, is_assistant=True)
        window = _run(messages, place + len(run), is_assistant=False)
        made += _turn(run, window, dropped)
        place += len(run) + len(window)
    return made, list(dict.fromkeys(dropped))


def _are_in_place(messages: list[Any]) -> bool:
    waiting: list[str] = []
    for message in messages:
        if type(message) is dict and not waiting and "tool_calls" not in message and message.get("role") != "tool":
            continue  # most messages are neither a call nor a result
        if _is_result(message):
            if message.get("tool_call_id") not in waiting:
                return False
            waiting.remove(message["tool_call_id"])
        elif waiting:
            return False
        else:
            waiting = list(_call_ids(message))
    return not waiting


def _run(messages: list[Any], start: int, *, is_assistant: bool) -> list[Any]:
    end = start
    while end < len(messages) and _is_assistant(messages[end]) is is_assistant:
        end += 1
    return messages[start:end]


def _turn(run: list[Any], window: list[Any], dropped: list[str]) -> Iterator[Any]:
    """What the model said in one turn, each call with its result, and then what others said."""
    waiting = [call_id for message in run for call_id in _call_ids(message)]
    results: dict[str, Json] = {}
    rest: list[Any] = []
    for message in window:
        call_id = message.get("tool_call_id") if _is_result(message) else None
        if isinstance(call_id, str) and call_id in waiting and call_id not in results:
            results[call_id] = message
        elif _is_result(message):
            dropped.append(LOST_CALL)
            rest.append(_told(message))
        else:
            rest.append(message)
    # What the model said in several pieces before the results came is one message: what comes between a call and its
    # result would be refused.
    for message in [_joined(run)] if results and len(run) > 1 else run:
        yield message
        for call_id in _call_ids(message):
            if call_id not in results:
                dropped.append(LOST_RESULT)
            yield results.get(call_id) or _no_result(call_id)
    yield from rest


def _joined(run: list[Json]) -> Json:
    made = dict(run[0])
    for message in run[1:]:
        for name, value in message.items():
            held = made.get(name)
            if name == "content" and held and value:
                made[name] = [*parts_of(held), *parts_of(value)]
            elif isinstance(held, list) and isinstance(value, list):
                made[name] = [*held, *value]
            elif name == "reasoning_content" and isinstance(held, str) and isinstance(value, str):
                made[name] = f"{held}\n\n{value}"
            elif value is not None:
                made[name] = value
    return made


def _is_assistant(message: Any) -> bool:
    return isinstance(message, dict) and message.get("role") == "assistant"


def _is_result(message: Any) -> bool:
    return isinstance(message, dict) and message.get("role") == "tool"


def _call_ids(message: Any) -> Iterator[str]:
    calls = message.get("tool_calls") if _is_assistant(message) else None
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict) and isinstance(call.get("id"), str):
            yield call["id"]


def _no_result(call_id: str) -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": NO_RESULT, "is_error": True}


def _told(message: Json) -> Json:
    """A result as the user's words."""
    name = message.get("name") or message.get("tool_call_id")
    head = f"<tool_result tool={dumps(name).decode()}>" if isinstance(name, str) and name else "<tool_result>"
    content = message.get("content")
    text = f"{head}\n{text_of(content)}\n</tool_result>"
    others = [part for part in parts_of(content) if part.get("type") != "text"]
    return {"role": "user", "content": [{"type": "text", "text": text}, *others] if others else text}
