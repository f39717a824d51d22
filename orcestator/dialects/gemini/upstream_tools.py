"""Canonical tools and tool choice to function declarations and their calling config.

https://ai.google.dev/api/caching#Tool and #FunctionCallingConfig (checked 2026-11): one entry with many declarations;
allowed names only with mode ANY.
"""

from typing import Any

from orcestator.dialects.canonical_call import allowed_tools, function_name_of, function_of
from orcestator.dialects.gemini.model_traits import ModelTraits
from orcestator.dialects.gemini.schema import declared
from orcestator.json_text import Json

_TAKING = ("properties", "patternProperties", "additionalProperties", "anyOf", "oneOf", "allOf", "$ref")
"""Keywords of which a schema has one when a function takes something."""
_MODES = {"none": "NONE", "auto": "AUTO", "required": "ANY"}


def tool_fields(call: Json, traits: ModelTraits, dropped: list[str]) -> Json:
    """``tools`` and ``toolConfig`` of a call; {} without any function."""
    tools = call.get("tools")
    found = enumerate(tools if isinstance(tools, list) else [])
    declarations = [made for place, tool in found if (made := _declaration(tool, place, traits, dropped))]
    choice = call.get("tool_choice")
    if not declarations:
        if choice not in (None, "none", "auto"):
            dropped.append("tool_choice")
        return {}
    allowed = allowed_tools(choice)
    is_auto = allowed is not None and allowed.mode != "required"
    named = function_name_of(choice)
    names = allowed.names if allowed is not None else [] if named is None else [named]
    if names and is_auto:
        # Names may only be listed where a call is a must; otherwise the tools that may not be called are not declared.
        declarations = [made for made in declarations if made["name"] in names] or declarations
    if call.get("parallel_tool_calls") is False:
        dropped.append("parallel_tool_calls")
    fields: Json = {"tools": [{"functionDeclarations": declarations}]}
    config = {} if is_auto else _calling_config(choice, names, dropped)
    return fields | ({"toolConfig": {"functionCallingConfig": config}} if config else {})


def _declaration(tool: Any, place: int, traits: ModelTraits, dropped: list[str]) -> Json | None:
    kind = tool.get("type") if isinstance(tool, dict) else None
    function = function_of(tool) if isinstance(tool, dict) else None
    name = function_name_of(tool)
    if kind not in ("function", None) or function is None or name is None:
        dropped.append(f"tools.{kind}" if isinstance(kind, str) else f"tools[{place}]")
        return None
    if function.get("strict") is True:
        dropped.append("tools.strict")
    if tool.get("cache_control"):
        dropped.append("cache_control")
    made: Json = {"name": name}
    if isinstance(function.get("description"), str):
        made["description"] = function["description"]
    return made | _parameters(function.get("parameters"), traits, dropped)


def _parameters(schema: Any, traits: ModelTraits, dropped: list[str]) -> Json:
    """The parameters' field; none for a function that takes nothing, as the API has it."""
    if not isinstance(schema, dict) or not any(schema.get(key) for key in _TAKING):
        return {}
    made = declared(
        schema, "parameters", "parametersJsonSchema", knows_json_schema=traits.knows_json_schema, is_object=True
    )
    if not made.is_whole:
        dropped.append("tools.function.parameters")
    return {} if made.schema == {"type": "object"} else {made.field: made.schema}


def _calling_config(choice: Any, names: list[str], dropped: list[str]) -> Json:
    if choice is None:
        return {}
    if isinstance(choice, str) and choice in _MODES:
        return {"mode": _MODES[choice]}
    if names:
        return {"mode": "ANY", "allowedFunctionNames": names}
    dropped.append("tool_choice")
    return {}
