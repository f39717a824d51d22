"""What a translator leaves out of a call: whether that is worth a name, and which names are safe to repeat."""

import re
from typing import Any

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""What is spelled like a parameter; anything else is a caller's own words, which belong into no header."""
_NEUTRAL = {"n": 1, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0, "parallel_tool_calls": True}
"""Values that ask for what every upstream does anyhow: VS Code sends some with every call (checked 2026-11)."""
_ASKS_BY_FALSE = "parallel_tool_calls"
_ASKS_BY_NOTHING = "web_search_options"


def is_loss(name: str, value: Any) -> bool:
    """Whether leaving a call's field out changes the answer."""
    if NAME.fullmatch(name) is None or _NEUTRAL.get(name) == value:
        return False
    if value is None or (value is False and name != _ASKS_BY_FALSE):
        return False
    return value not in ("", [], {}) or (value == {} and name == _ASKS_BY_NOTHING)


def lost_part(part: dict[str, Any]) -> list[str]:
    """The name of a part of a message that is left out."""
    kind = part.get("type")
    return [f"messages.{kind}"] if isinstance(kind, str) and NAME.fullmatch(kind) else []


def lost_tool(tool: dict[str, Any]) -> list[str]:
    """The name of a tool that is left out."""
    kind = tool.get("type")
    return [f"tools.{kind}"] if isinstance(kind, str) and NAME.fullmatch(kind) else []


def lost_marks(call: dict[str, Any]) -> list[str]:
    """The name of the marks for the prompt cache, where a call has any on its parts or tools; [] where it has none."""
    messages, tools = call.get("messages"), call.get("tools")
    marked = [*messages] if isinstance(messages, list) else []
    marked += [part for message in marked if isinstance(message, dict) for part in _parts(message)]
    marked += tools if isinstance(tools, list) else []
    return ["cache_control"] if any(isinstance(one, dict) and one.get("cache_control") for one in marked) else []


def _parts(message: dict[str, Any]) -> list[Any]:
    content = message.get("content")
    return content if isinstance(content, list) else []
