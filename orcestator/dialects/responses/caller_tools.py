"""The tool fields of a caller's Responses body in canonical words.

https://platform.openai.com/docs/api-reference/responses/create#responses-create-tools (checked 2026-11). A ``strict``
that is not said stays unsaid: this API then tries and falls back, which no other one does.
"""

from typing import Any

from orcestator.dialects.responses.tool_names import Declared, ToolBook, declarations
from orcestator.dialects.shapes import dropped_name, object_in, objects_in, text_in
from orcestator.errors import InvalidRequest
from orcestator.json_text import Json

_KINDS = ("function", "custom")
_MODES = ("none", "auto", "required")
_READ = frozenset({"type", "name", "description", "parameters", "strict", "format", "defer_loading", "allowed_callers"})


def tools_of(body: Json, book: ToolBook, dropped: list[str]) -> Json:
    """``tools``, ``tool_choice`` and ``parallel_tool_calls``; the last two only beside tools, as chat demands."""
    if not isinstance(body.get("tools"), list | None):
        raise InvalidRequest("'tools' must be a list of tools.", param="tools")
    tools = [made for place in declarations(body) if (made := _tool(place, book, dropped)) is not None]
    choice = _choice(body.get("tool_choice"), book, dropped)
    if not tools:
        dropped += ["tool_choice"] if choice not in (None, "auto", "none") else []
        return {}
    parallel = body.get("parallel_tool_calls")
    return {
        "tools": tools,
        **({} if choice is None else {"tool_choice": choice}),
        **({} if parallel is None else {"parallel_tool_calls": parallel}),
    }


def _tool(place: Declared, book: ToolBook, dropped: list[str]) -> Json | None:
    wire = place.tool
    if not isinstance(wire, dict):
        raise InvalidRequest(f"'{place.path}' must be an object with a 'type'.", param=place.path)
    kind, name = wire.get("type"), text_in(wire, "name")
    if kind not in _KINDS:
        dropped.append(dropped_name("tools", kind))
        return None
    if not name:
        raise InvalidRequest(f"'{place.path}.name' must be the tool's name.", param=f"{place.path}.name")
    dropped += [dropped_name(f"tools.{kind}", extra) for extra in wire if extra not in _READ]
    flat = book.flat(place.namespace, name)
    described = {"description": wire["description"]} if isinstance(wire.get("description"), str) else {}
    more = _custom(wire) if kind == "custom" else _function(wire)
    return {"type": kind, kind: {"name": flat, **described, **more}}


def _function(wire: Json) -> Json:
    parameters = {"parameters": wire["parameters"]} if isinstance(wire.get("parameters"), dict) else {}
    return {**parameters, "strict": wire["strict"]} if isinstance(wire.get("strict"), bool) else parameters


def _custom(wire: Json) -> Json:
    form = object_in(wire, "format")
    if form.get("type") != "grammar":
        return {}
    grammar = {name: form[name] for name in ("syntax", "definition") if name in form}
    return {"format": {"type": "grammar", "grammar": grammar}}


def _choice(choice: Any, book: ToolBook, dropped: list[str]) -> Any:
    if choice is None or (isinstance(choice, str) and choice in _MODES):
        return choice
    if not isinstance(choice, dict):
        raise InvalidRequest("'tool_choice' must be 'none', 'auto', 'required' or an object.", param="tool_choice")
    if choice.get("type") == "allowed_tools":
        return _allowed(choice, book, dropped)
    named = _named(choice, book)
    if named is None:
        dropped.append(dropped_name("tool_choice", choice.get("type")))
    return named


def _allowed(choice: Json, book: ToolBook, dropped: list[str]) -> Json | None:
    tools = [made for wire in objects_in(choice, "tools") if (made := _named(wire, book)) is not None]
    if not tools:
        dropped.append("tool_choice.allowed_tools")
        return None
    mode = "required" if choice.get("mode") == "required" else "auto"
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def _named(wire: Json, book: ToolBook) -> Json | None:
    kind, name = wire.get("type"), text_in(wire, "name")
    if kind not in _KINDS or not name:
        return None
    return {"type": kind, kind: {"name": book.flat(text_in(wire, "namespace"), name)}}
