"""A caller's tools and toolConfig to canonical tools and tool choice.

https://ai.google.dev/api/caching#Tool (checked 2026-11). Google's own tools run on its side and nowhere else.
"""

from typing import Any

from orcestator.dialects.gemini.caller_schema import json_schema
from orcestator.dialects.gemini.fields import field, object_field, objects_field, others, text_field
from orcestator.json_text import Json

_MODES = {"AUTO": "auto", "VALIDATED": "auto", "NONE": "none", "ANY": "required"}
_DECLARED = frozenset({"name", "description", "parameters", "parametersJsonSchema"})


def canonical_tools(body: Json, dropped: list[str]) -> Json:
    """``tools`` and ``tool_choice``; {} without any function. Raises InvalidRequest for what is no tool."""
    if field(body, "tools") is None and field(body, "toolConfig") is None:
        return {}
    tools: list[Json] = []
    for place, wire in enumerate(objects_field(body, "tools", "tools")):
        where = f"tools[{place}].functionDeclarations"
        for index, declaration in enumerate(objects_field(wire, "functionDeclarations", where)):
            tools.append(_tool(declaration, f"{where}[{index}]", dropped))
        dropped += [f"tools.{name}" for name in others(wire, frozenset({"functionDeclarations"}))]
    config = object_field(body, "toolConfig", "toolConfig")
    dropped += [f"toolConfig.{name}" for name in others(config, frozenset({"functionCallingConfig"}))]
    if not tools:
        return {}
    calling = object_field(config, "functionCallingConfig", "toolConfig.functionCallingConfig")
    choice = _choice(calling)
    return {"tools": tools} | ({"tool_choice": choice} if choice else {})


def _tool(wire: Json, param: str, dropped: list[str]) -> Json:
    function: Json = {"name": text_field(wire, "name", f"{param}.name")}
    if isinstance(wire.get("description"), str):
        function["description"] = wire["description"]
    whole = field(wire, "parametersJsonSchema")
    schema = whole if isinstance(whole, dict) else json_schema(wire.get("parameters"))
    if isinstance(schema, dict):
        function["parameters"] = schema
    dropped += [f"tools.functionDeclarations.{name}" for name in others(wire, _DECLARED)]
    return {"type": "function", "function": function}


def _choice(calling: Json) -> Any:
    """The tool choice; None where the caller leaves it open."""
    mode = calling.get("mode")
    word = _MODES.get(mode.upper()) if isinstance(mode, str) else None
    names = field(calling, "allowedFunctionNames")
    names = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    allowed = [{"type": "function", "function": {"name": name}} for name in names]
    if word is None or word == "none" or not allowed:
        return word
    if word == "required" and len(allowed) == 1:
        return allowed[0]
    return {"type": "allowed_tools", "allowed_tools": {"mode": word, "tools": allowed}}
