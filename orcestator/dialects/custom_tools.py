"""Freeform tools (``apply_patch`` with its grammar) for models that only know functions, and back.

A custom tool becomes a function with one text parameter ``input``; its grammar goes into the description, so that the
model at least reads it. https://platform.openai.com/docs/guides/function-calling#custom-tools (checked 2026-11).
"""

from typing import Any

from orcestator.dialects.shapes import object_in, objects_in, text_in
from orcestator.json_text import Json, dumps, loads

PARAMETER = "input"
_INPUT: Json = {"type": "string", "description": "The whole input of the tool, as plain text."}


def emulated_custom_tools(call: Json) -> tuple[Json, frozenset[str]]:
    """The canonical call with functions in place of its custom tools, and the names of these.

    The call itself where there is nothing to do. What the functions are given is read by ``restored_input``.
    """
    names = frozenset(
        text_in(object_in(tool, "custom"), "name") for tool in objects_in(call, "tools") if tool.get("type") == "custom"
    )
    choice = call.get("tool_choice")
    changes: Json = {"tools": [_function(tool) for tool in call["tools"]]} if names else {}
    if isinstance(choice, dict) and (changed := _choice(choice)) is not choice:
        changes["tool_choice"] = changed
    if any(_is_custom(wire) for message in objects_in(call, "messages") for wire in objects_in(message, "tool_calls")):
        changes["messages"] = [_message(message) for message in call["messages"]]
    return ({**call, **changes} if changes else call), names


def restored_input(arguments: str) -> str:
    """What a custom tool is given, of the arguments of the function in its place.

    A model that wrote its text without the object around it meant the text.
    """
    try:
        given = loads(arguments.encode("utf-8", "replace"))
    except ValueError:
        return arguments
    if not isinstance(given, dict):
        return given if isinstance(given, str) else arguments
    return text_in(given, PARAMETER) if PARAMETER in given or not given else arguments


def _is_custom(wire: Any) -> bool:
    return isinstance(wire, dict) and wire.get("type") == "custom"


def _function(tool: Any) -> Any:
    if not _is_custom(tool):
        return tool
    custom = object_in(tool, "custom")
    parameters = {
        "type": "object",
        "properties": {PARAMETER: _INPUT},
        "required": [PARAMETER],
        "additionalProperties": False,
    }
    return {
        "type": "function",
        "function": {"name": custom.get("name"), "description": _described(custom), "parameters": parameters},
    }


def _described(custom: Json) -> str:
    grammar = object_in(object_in(custom, "format"), "grammar")
    definition = text_in(grammar, "definition")
    rule = f"The input must match this {text_in(grammar, 'syntax')} grammar:\n{definition}" if definition else ""
    return "\n\n".join(filter(None, (text_in(custom, "description"), rule)))


def _choice(choice: Json) -> Json:
    if _is_custom(choice):
        return {"type": "function", "function": choice.get("custom")}
    allowed = object_in(choice, "allowed_tools")
    if not any(map(_is_custom, objects_in(allowed, "tools"))):
        return choice
    tools = [
        {"type": "function", "function": tool.get("custom")} if _is_custom(tool) else tool for tool in allowed["tools"]
    ]
    return {**choice, "allowed_tools": {**allowed, "tools": tools}}


def _message(message: Any) -> Any:
    if not any(map(_is_custom, objects_in(message, "tool_calls"))):
        return message
    return {**message, "tool_calls": [_call(wire) for wire in message["tool_calls"]]}


def _call(wire: Any) -> Any:
    if not _is_custom(wire):
        return wire
    custom = object_in(wire, "custom")
    arguments = dumps({PARAMETER: text_in(custom, "input")}).decode()
    rest = {name: value for name, value in wire.items() if name != "custom"}
    return {**rest, "type": "function", "function": {"name": custom.get("name"), "arguments": arguments}}
