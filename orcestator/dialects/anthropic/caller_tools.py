"""A caller's tools and its choice among them, as the canonical call has them.

Types of anthropic-sdk-python 2.12 (checked 2026-11): a tool without a type, or of type ``custom``, is the caller's
own; any other is run by Anthropic or made for its models, and is named as ``tools.<type>``.
"""

from typing import Any

from orcestator.dialects.anthropic.caller_fields import listing, mapping, text, wrong
from orcestator.dialects.anthropic.dropped import Dropped
from orcestator.dialects.anthropic.upstream_parts import is_cache_mark
from orcestator.json_text import Json

_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def canonical_tools(body: Json, dropped: Dropped) -> Json:
    """``tools``, ``tool_choice`` and ``parallel_tool_calls``, as far as the body has them."""
    given = listing(body["tools"], "tools") if body.get("tools") is not None else []
    tools = [_tool(mapping(tool, f"tools[{index}]"), f"tools[{index}]", dropped) for index, tool in enumerate(given)]
    kept = [tool for tool in tools if tool]
    made: Json = {"tools": kept} if kept else {}
    return made | _choice(body.get("tool_choice"), {tool["function"]["name"] for tool in kept}, dropped)


def _tool(tool: Json, param: str, dropped: Dropped) -> Json | None:
    kind = tool.get("type")
    if kind is not None and kind != "custom":
        dropped.add(f"tools.{text(kind, f'{param}.type')}")
        return None
    if tool.get("input_examples"):
        dropped.add("tools.input_examples")
    function: Json = {"name": text(tool.get("name"), f"{param}.name")}
    if tool.get("description") is not None:
        function["description"] = text(tool["description"], f"{param}.description")
    function["parameters"] = mapping(tool.get("input_schema"), f"{param}.input_schema")
    if tool.get("strict") is True:
        function["strict"] = True
    mark = tool.get("cache_control")
    made: Json = {"type": "function", "function": function}
    return {**made, "cache_control": mark} if is_cache_mark(mark) else made


def _choice(given: Any, names: set[str], dropped: Dropped) -> Json:
    if given is None:
        return {}
    choice = mapping(given, "tool_choice")
    made: Json = {"parallel_tool_calls": False} if choice.get("disable_parallel_tool_use") is True and names else {}
    kind = choice.get("type")
    if kind == "tool":
        name = text(choice.get("name"), "tool_choice.name")
        if name not in names:
            dropped.add("tool_choice")
            return made
        return {"tool_choice": {"type": "function", "function": {"name": name}}, **made}
    if not isinstance(kind, str) or kind not in _CHOICES:
        raise wrong("tool_choice.type", "Input should be 'auto', 'any', 'tool' or 'none'", "Give one of these types.")
    if not names:
        if kind == "any":
            dropped.add("tool_choice")
        return {}
    return {"tool_choice": _CHOICES[kind], **made}
