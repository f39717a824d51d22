"""Tools and the choice among them, as Anthropic takes them.

platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools and types of anthropic-sdk-python 2.12 (checked
2026-11): a tool has a name and an ``input_schema`` of type object without ``oneOf``, ``anyOf`` or ``allOf`` at its top;
``tool_choice`` may only be there with tools; manual thinking and some models refuse a forced one.
"""

from collections.abc import Iterable
from typing import Any

from orcestator.dialects.anthropic.dropped import Dropped
from orcestator.dialects.anthropic.models import Traits
from orcestator.dialects.anthropic.upstream_parts import is_cache_mark
from orcestator.dialects.canonical_call import allowed_tools, function_name_of, function_of, tools_in
from orcestator.json_text import Json

REPLY_TOOL = "orcestator_reply_as_json"
"""Stands for ``response_format`` where the model has no structured outputs; its input is the answer's text."""
_REPLY_TOOL_TASK = "Give your answer to the user by calling this tool, and in no other way."
_KINDS = {"auto": "auto", "none": "none", "required": "any"}
_UNIONS = ("oneOf", "anyOf", "allOf")


def wire_tools(call: Json, traits: Traits, dropped: Dropped) -> list[Json]:
    """The function tools; others are named in ``dropped`` as ``tools.<type>``."""
    made = [_wire_tool(tool, traits, dropped) for tool in tools_in(call)]
    return _allowed([tool for tool in made if tool], call.get("tool_choice"))


def reply_tool(schema: Json) -> Json:
    """The tool by which the model answers in the shape of a schema."""
    return {"name": REPLY_TOOL, "description": _REPLY_TOOL_TASK, "input_schema": _object_schema(schema)}


def tools_of_history(turns: Iterable[Json]) -> list[Json]:
    """The tools that the turns speak of, without their schemas: calls need their tools beside them."""
    names = {block["name"]: None for turn in turns for block in turn["content"] if block["type"] == "tool_use"}
    return [{"name": name, "input_schema": _object_schema({})} for name in names]


def wire_choice(call: Json, tools: list[Json], dropped: Dropped, *, takes_forced: bool) -> Json | None:
    """The ``tool_choice``; None for the model's own choice, which is the default.

    A forced tool that is refused becomes the model's choice and is named in ``dropped``.
    """
    if not tools and call.get("tool_choice") is None:
        return None
    names = {tool["name"] for tool in tools}
    if not names:
        if _is_forced(_choice_of(call.get("tool_choice"), names)):
            dropped.add("tool_choice")
        return None
    choice = _choice_of(call.get("tool_choice"), names)
    if choice is None or (_is_forced(choice) and not takes_forced):
        dropped.add("tool_choice")
        choice = {"type": "auto"}
    if call.get("parallel_tool_calls") is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    return None if choice == {"type": "auto"} else choice


def _is_forced(choice: Json | None) -> bool:
    return choice is not None and choice["type"] in ("any", "tool")


def _choice_of(given: Any, names: set[str]) -> Json | None:
    """Anthropic's form of a choice; None for one that it cannot express."""
    if given is None or isinstance(given, str):
        kind = _KINDS.get(given or "auto")
        return {"type": kind} if kind else None
    allowed = allowed_tools(given)
    if allowed is not None:
        return _choice_of(allowed.mode, names)
    name = function_name_of(given)
    if name is None or (names and name not in names):
        return None
    return {"type": "tool", "name": name}


def _allowed(tools: list[Json], choice: Any) -> list[Json]:
    """The tools that an ``allowed_tools`` choice leaves."""
    allowed = allowed_tools(choice)
    return tools if allowed is None else [tool for tool in tools if tool["name"] in allowed.names]


def _wire_tool(tool: Json, traits: Traits, dropped: Dropped) -> Json | None:
    function, name = function_of(tool), function_name_of(tool)
    if tool.get("type", "function") != "function" or function is None or name is None:
        dropped.add(f"tools.{tool.get('type')}")
        return None
    made: Json = {"name": name, "input_schema": _object_schema(function.get("parameters"))}
    if isinstance(function.get("description"), str) and function["description"]:
        made["description"] = function["description"]
    if _has_unions(function.get("parameters")):
        dropped.add("tools.function.parameters")
    if function.get("strict") is True:
        if traits.takes_format:
            made["strict"] = True
        else:
            dropped.add("tools.function.strict")
    return {**made, "cache_control": tool["cache_control"]} if is_cache_mark(tool.get("cache_control")) else made


def _object_schema(given: Any) -> Json:
    if not isinstance(given, dict):
        return {"type": "object", "properties": {}}
    schema = {name: value for name, value in given.items() if name not in _UNIONS}
    if schema.get("type") != "object":
        schema = {**schema, "type": "object"}
    return schema if isinstance(schema.get("properties"), dict) else {**schema, "properties": {}}


def _has_unions(schema: Any) -> bool:
    return isinstance(schema, dict) and any(name in schema for name in _UNIONS)
