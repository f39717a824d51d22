"""The tool calls a model makes of the tools it was offered. Pure."""

from collections.abc import Iterator
from typing import Any

import orjson

from orcestator.json_text import Json
from orcestator.sandbox.rules import schema


def calls(body: Json, text: str, *, number: int) -> list[Json]:
    """The calls to make, as they stand in a message: all offered tools if ``text`` says "parallel", else one.

    Empty when no tool is offered, ``tool_choice`` forbids it, or a tool has just answered.
    """
    tools = [tool for tool in body.get("tools") or [] if isinstance(tool, dict)]
    if not tools or body.get("tool_choice") == "none" or _tool_has_answered(body):
        return []
    chosen = _named(tools, body.get("tool_choice"))
    several = "parallel" in text.lower() and body.get("parallel_tool_calls") is not False
    picked = chosen or (tools if several else tools[:1])
    return [call(tool, text, f"call_{number}_{place}") for place, tool in enumerate(picked)]


def call(tool: Json, text: str, id: str) -> Json:
    """One call of one tool: ``function`` with arguments after its schema, ``custom`` with ``text`` as its input."""
    if tool.get("type") == "custom":
        name = (tool.get("custom") or {}).get("name", "tool")
        return {"id": id, "type": "custom", "custom": {"name": name, "input": text}}
    function = tool.get("function") or {}
    parameters = {"type": "object", **(function.get("parameters") or {})}
    arguments = orjson.dumps(schema.example(parameters, text)).decode()
    return {"id": id, "type": "function", "function": {"name": function.get("name", "tool"), "arguments": arguments}}


def deltas(call: Json, index: int, *, pieces: int = 3) -> Iterator[Json]:
    """The call as a stream gives it: id and name first, then the arguments in ``pieces``."""
    kind, content = ("custom", "input") if call.get("type") == "custom" else ("function", "arguments")
    yield {"index": index, **call, kind: {**call[kind], content: ""}}
    text = call[kind][content]
    size = max(1, -(-len(text) // pieces))
    for start in range(0, len(text), size):
        yield {"index": index, kind: {content: text[start : start + size]}}


def _tool_has_answered(body: Json) -> bool:
    messages = body.get("messages") or [{}]
    return isinstance(messages[-1], dict) and messages[-1].get("role") == "tool"


def _named(tools: list[Json], choice: Any) -> list[Json]:
    if not isinstance(choice, dict):
        return []
    kind = choice.get("type", "function")
    name = (choice.get(kind) or {}).get("name")
    return [tool for tool in tools if (tool.get(kind) or {}).get("name") == name]
