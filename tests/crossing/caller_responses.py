"""A caller of ``/v1/responses``."""

import json
from typing import Any

from tests.crossing.asked import PIXEL, TOOLS, Answer, Ask, ToolCall
from tests.crossing.frames import Json, Wire, typed_events

NAME = "responses"
FINISH = {
    "stop": "completed",
    "tool_calls": "completed",
    "length": "incomplete max_output_tokens",
    "content_filter": "incomplete content_filter",
}
ID_HEADER = "x-request-id"
LAST = {"response.completed", "response.incomplete", "response.failed"}


def path(model: str, *, streams: bool) -> str:
    """Where it asks."""
    return "/v1/responses"


def body(ask: Ask, model: str, *, streams: bool) -> Json:
    """The request, as Codex writes it: nothing kept, reasoning encrypted."""
    made: Json = {
        "model": model,
        "input": _items(ask),
        "store": False,
        "stream": streams,
        "include": ["reasoning.encrypted_content"],
    }
    made |= {"instructions": ask.system} if ask.system else {}
    if ask.has_tools:
        made["tools"] = [
            {"type": "function", "name": name, "description": name, "parameters": schema, "strict": False}
            for name, schema in TOOLS.items()
        ]
    if ask.schema:
        made["text"] = {"format": {"type": "json_schema", "name": "answer", "schema": ask.schema}}
    made |= {"reasoning": {"effort": ask.effort, "summary": "auto"}} if ask.effort else {}
    return made | ({"max_output_tokens": ask.limit} if ask.limit else {})


def _items(ask: Ask) -> list[Json]:
    made: list[Json] = []
    if ask.developer:
        made.append({"type": "message", "role": "developer", "content": ask.developer})
    for place, text in enumerate(ask.history):
        role, kind = ("assistant", "output_text") if place % 2 else ("user", "input_text")
        made.append({"type": "message", "role": role, "content": [{"type": kind, "text": text}]})
    content: Any = [{"type": "input_text", "text": ask.text}]
    if ask.has_image:
        content.append({"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"})
    return [*made, {"type": "message", "role": "user", "content": content}]


def answered(request: Json, answer: Answer, results: tuple[str, ...]) -> Json:
    """The next turn: every item of the answer unchanged, then the results."""
    told = [
        {"type": "function_call_output", "call_id": call.id, "output": text}
        for call, text in zip(answer.calls, results, strict=True)
    ]
    return {**request, "input": [*request["input"], *answer.turn, *told]}


def whole(wire: Wire) -> Answer:
    """A whole answer."""
    return _answer(wire.json)


def stream(wire: Wire) -> Answer:
    """A stream: numbered events, items one after another, each told whole, and all of them in the last event."""
    assert wire.headers["content-type"].startswith("text/event-stream")
    found = typed_events(wire.body)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert [event["type"] for event in found[:2]] == ["response.created", "response.in_progress"]
    if found[-1]["type"] == "error":
        assert found.pop()["error"]["message"] == found[-1]["response"]["error"]["message"]
        assert found[-1]["type"] == "response.failed"
    assert [event["type"] for event in found if event["type"] in LAST] == [found[-1]["type"]], "one end, the last event"
    said, last = _Said(), found[-1]["response"]
    assert last["id"] == found[0]["response"]["id"]
    for event in found[2:-1]:
        said.take(event)
    if last["status"] == "failed":
        assert last["output"] in ([], said.done)
        return Answer(said.text, error=last["error"]["message"], model=last["model"], finish="failed")
    assert said.item is None, "an item is left open"
    assert last["output"] == said.done
    answer = _answer(last)
    assert said.text == answer.text
    return answer


class _Said:
    """The items as they come."""

    def __init__(self) -> None:
        self.done: list[Json] = []
        self.item: Json | None = None
        self.text = ""
        self._deltas: dict[str, str] = {}

    def take(self, event: Json) -> None:
        """One event between the first two and the last."""
        kind, name = event["type"], event["type"].rpartition(".")[0]
        assert event["output_index"] == len(self.done), kind
        if kind == "response.output_item.added":
            assert self.item is None, "one item at a time"
            self.item = event["item"]
            return
        assert self.item is not None, f"{kind} outside of an item"
        assert event.get("item_id", self.item["id"]) == self.item["id"]
        if kind.endswith(".delta"):
            self._deltas[name] = self._deltas.get(name, "") + event["delta"]
            self.text += event["delta"] if name in ("response.output_text", "response.refusal") else ""
        elif kind == "response.output_item.done":
            assert event["item"]["id"] == self.item["id"]
            self.done.append(event["item"])
            self.item = None
        elif name in self._deltas:
            told = next(event[field] for field in ("text", "refusal", "arguments") if field in event)
            assert self._deltas.pop(name) == told


def _answer(response: Json) -> Answer:
    assert response["object"] == "response"
    assert response["id"].startswith("resp_")
    assert response["error"] is None
    items = response["output"]
    parts = [part for item in items if item["type"] == "message" for part in item["content"]]
    summaries = [part["text"] for item in items if item["type"] == "reasoning" for part in item["summary"]]
    calls = [
        ToolCall(item["call_id"], item["name"], json.loads(item["arguments"]))
        for item in items
        if item["type"] == "function_call"
    ]
    assert all(call.id for call in calls)
    reason = (response["incomplete_details"] or {}).get("reason", "")
    usage = response["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    return Answer(
        text="".join(part.get("text", part.get("refusal")) for part in parts),
        thought="".join(summaries),
        calls=calls,
        finish=f"{response['status']} {reason}".strip(),
        usage=(usage["input_tokens"], usage["output_tokens"]),
        model=response["model"],
        turn=items,
    )


def refusal(wire: Wire) -> str:
    """The message of an error answer."""
    error = wire.json["error"]
    assert error.keys() >= {"message", "type", "param", "code"}
    return str(error["message"])
