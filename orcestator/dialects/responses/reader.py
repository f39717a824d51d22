"""A stream of the Responses API, event by event.

https://platform.openai.com/docs/api-reference/responses-streaming and openai-python 3.51 ``ResponseStreamEvent``
(checked 2026-11). What ends an item repeats it whole; it counts where no deltas came before, as some compatible
servers do it. Whether the answer is whole is said by the last event; after it the connection closes.
"""

from collections.abc import Callable
from typing import Any

from orcestator.dialects.canonical import ReadTerms
from orcestator.dialects.failures import error_in_answer
from orcestator.dialects.responses.outputs import (
    CALLS,
    annotation,
    call_of,
    failure_in,
    finish_of,
    given_in,
    reasoning_details,
    reasoning_text,
    spoken_in,
    usage_of,
)
from orcestator.dialects.shapes import object_in, objects_in, text_in
from orcestator.errors import UpstreamBroken
from orcestator.json_text import Json, loads_event

_SUMMARY_BREAK = "\n\n"


class ResponsesReader:
    """One answer."""

    __slots__ = ("_broke_off", "_calls", "_ended", "_given", "_reasoned", "_spoke", "_terms")
    """``_spoke`` and ``_given`` count the characters of each item's text and of what each call gives its tool."""

    def __init__(self, terms: ReadTerms) -> None:
        self._terms = terms
        self._calls: dict[object, int] = {}
        self._given: dict[object, int] = {}
        self._spoke: dict[object, int] = {}
        self._ended: set[object] = set()
        self._reasoned: set[object] = set()
        self._broke_off = False

    def read(self, data: bytes) -> str | list[Json] | None:
        """What one event means; [] when nothing. Raises the error that the stream tells of."""
        event = loads_event(data)
        if type(event) is not dict:
            raise ValueError("an event is an object")
        kind = event.get("type")
        if kind == "response.output_text.delta" and not event.get("logprobs") and type(event.get("delta")) is str:
            key = _item_key(event)
            self._spoke[key] = self._spoke.get(key, 0) + len(event["delta"])
            return str(event["delta"])
        handler = _HANDLERS.get(kind) if type(kind) is str else None
        if handler is not None:
            return handler(self, event)
        if event.get("error"):
            raise error_in_answer(self._terms.provider, event["error"])
        # Most events only repeat what others tell; what has no type is none of this API's.
        return [] if isinstance(kind, str) and "error" not in kind else [event]

    def _text(self, event: Json) -> list[Json]:
        key = _item_key(event)
        self._spoke[key] = self._spoke.get(key, 0) + len(text_in(event, "delta"))
        return _spoken({"content": event.get("delta"), "logprobs": objects_in(event, "logprobs")})

    def _refusal(self, event: Json) -> list[Json]:
        self._spoke.setdefault(_item_key(event), 0)
        return _delta({"refusal": text_in(event, "delta")})

    def _annotation(self, event: Json) -> list[Json]:
        made = annotation(object_in(event, "annotation"))
        return _delta({"annotations": [made]}) if made else []

    def _reasoning(self, event: Json) -> list[Json]:
        return self._thought(_item_key(event), text_in(event, "delta"))

    def _thought(self, key: object, text: str) -> list[Json]:
        if not text:
            return []
        first = key not in self._reasoned
        if self._broke_off or (first and self._reasoned):
            text = _SUMMARY_BREAK + text
        self._reasoned.add(key)
        self._broke_off = False
        return _delta({"reasoning_content": text})

    def _summary_part(self, event: Json) -> list[Json]:
        self._broke_off = bool(self._reasoned)
        return []

    def _item_added(self, event: Json) -> list[Json]:
        item = object_in(event, "item")
        return self._called(_item_key(event), item, "") if text_in(item, "type") in CALLS else []

    def _called(self, key: object, item: Json, given: str) -> list[Json]:
        if key in self._calls:
            return []
        self._calls[key] = len(self._calls)
        return _delta({"tool_calls": [{"index": self._calls[key], **call_of(item, given)}]})

    def _arguments(self, event: Json) -> list[Json]:
        kind = "custom_tool_call" if event["type"] == "response.custom_tool_call_input.delta" else "function_call"
        return self._more(_item_key(event), kind, event.get("delta"))

    def _more(self, key: object, item_type: str, given: Any) -> list[Json]:
        """More of what a call that was announced gives its tool."""
        if key not in self._calls or not given:
            return []
        self._given[key] = self._given.get(key, 0) + len(given)
        kind, field = CALLS[item_type]
        return _delta({"tool_calls": [{"index": self._calls[key], kind: {field: given}}]})

    def _arguments_done(self, event: Json) -> list[Json]:
        """All of what a call gives its tool, once more or for the first time."""
        kind = "custom_tool_call" if event["type"] == "response.custom_tool_call_input.done" else "function_call"
        key, whole = _item_key(event), text_in(event, CALLS[kind][1])
        if key in self._given:
            self._check(self._given[key], whole)
            return []
        return self._more(key, kind, whole)

    def _check(self, came: int, whole: str) -> None:
        """Raises UpstreamBroken where less came in pieces than there is in all of it."""
        if 0 < came < len(whole):
            raise UpstreamBroken(f"{self._terms.provider} left out a piece of its answer.", cause="incomplete")

    def _item_done(self, event: Json) -> list[Json]:
        return self._whole(_item_key(event), object_in(event, "item"), event.get("output_index"))

    def _whole(self, key: object, item: Json, place: object) -> list[Json]:
        kind = text_in(item, "type")
        if key in self._ended:
            return []
        self._ended.add(key)
        if kind == "message":
            said = spoken_in(item)
            self._check(self._spoke.get(key, 0), text_in(said, "content"))
            return [] if key in self._spoke else _spoken(said)
        if kind == "reasoning":
            told = [] if key in self._reasoned else self._thought(key, reasoning_text(item))
            details = reasoning_details(item, place)
            return told + (_delta({"reasoning_details": details}) if details else [])
        if kind not in CALLS:
            return []
        given = given_in(item)
        self._check(self._given.get(key, 0), given)
        opened = self._called(key, item, given)
        return opened or ([] if key in self._given else self._more(key, kind, given))

    def _finished(self, event: Json) -> list[Json]:
        response = object_in(event, "response")
        if response.get("status") in ("queued", "in_progress"):
            # The event knows better than a status that a compatible server forgot to change.
            response = {**response, "status": "completed"}
        failure = failure_in(response, self._terms.provider)
        if failure is not None:
            raise failure
        chunks: list[Json] = []
        if not (self._spoke or self._calls or self._ended):
            # A server that streams nothing but the end.
            for place, item in enumerate(objects_in(response, "output")):
                chunks += self._whole(place, item, place)
        incomplete = {"status": "incomplete"} if event["type"] == "response.incomplete" else {}
        reason = finish_of({**response, **incomplete}, called=bool(self._calls))
        usage = usage_of(response)
        last: Json = {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
        return [*chunks, {**last, "usage": usage} if usage else last]

    def _failed(self, event: Json) -> list[Json]:
        failed = {"status": "failed", **object_in(event, "response")}
        raise failure_in(failed, self._terms.provider) or UpstreamBroken(
            f"{self._terms.provider} failed without a reason.", cause="error_in_200"
        )

    def _error(self, event: Json) -> list[Json]:
        raise error_in_answer(self._terms.provider, event.get("error") or event)


def _item_key(event: Json) -> object:
    """What tells the items of an answer apart."""
    place = event.get("output_index")
    return place if type(place) is int else text_in(event, "item_id") or text_in(object_in(event, "item"), "id")


def _delta(delta: Json) -> list[Json]:
    return [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}]


def _spoken(said: Json) -> list[Json]:
    """What a message says as one chunk; log probabilities stand beside the delta."""
    probabilities = {"logprobs": {"content": said["logprobs"]}} if said.get("logprobs") else {}
    delta = {name: value for name, value in said.items() if name != "logprobs" and value}
    return [{"choices": [{"index": 0, "delta": delta, **probabilities, "finish_reason": None}]}] if delta else []


_HANDLERS: dict[str, Callable[[ResponsesReader, Json], list[Json]]] = {
    "response.output_text.delta": ResponsesReader._text,
    "response.output_text.annotation.added": ResponsesReader._annotation,
    "response.refusal.delta": ResponsesReader._refusal,
    "response.reasoning_text.delta": ResponsesReader._reasoning,
    "response.reasoning_summary_text.delta": ResponsesReader._reasoning,
    "response.reasoning_summary_part.added": ResponsesReader._summary_part,
    "response.output_item.added": ResponsesReader._item_added,
    "response.function_call_arguments.delta": ResponsesReader._arguments,
    "response.custom_tool_call_input.delta": ResponsesReader._arguments,
    "response.function_call_arguments.done": ResponsesReader._arguments_done,
    "response.custom_tool_call_input.done": ResponsesReader._arguments_done,
    "response.output_item.done": ResponsesReader._item_done,
    "response.completed": ResponsesReader._finished,
    "response.incomplete": ResponsesReader._finished,
    "response.failed": ResponsesReader._failed,
    "response.cancelled": ResponsesReader._failed,
    "error": ResponsesReader._error,
}
