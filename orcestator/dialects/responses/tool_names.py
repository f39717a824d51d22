"""The tools a caller of the Responses API declares, and the names that a model of any other API calls them by.

Codex groups tools in namespaces and finds a called one by its namespace and name together: a flat name is an
"unsupported call" (https://github.com/openai/codex/issues/23186, checked 2026-11). So a namespaced tool gets a flat
name on the way in, joined as Codex itself joins them, and its own two back on the way out. The same declarations
always give the same names, so nothing has to be kept.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from orcestator.dialects.shapes import text_in
from orcestator.dialects.tool_names import PLAIN_NAMES, alias_of, fitting_name


class Declared(NamedTuple):
    """One declaration where it stood: ``path`` is the field as the caller spelled it."""

    path: str
    tool: Any
    namespace: str


class Tool(NamedTuple):
    """A tool of the caller's. ``namespace`` is "" for most."""

    name: str
    namespace: str
    is_custom: bool


def declarations(body: Mapping[str, Any]) -> Iterator[Declared]:
    """Every tool that a body declares, those inside namespaces and inside ``additional_tools`` items too."""
    yield from _declared(body.get("tools"), "tools")
    items = body.get("input")
    for place, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict) and item.get("type") == "additional_tools":
            yield from _declared(item.get("tools"), f"input[{place}].tools")


def _declared(tools: Any, path: str, namespace: str = "") -> Iterator[Declared]:
    for place, tool in enumerate(tools if isinstance(tools, list) else ()):
        here = f"{path}[{place}]"
        if isinstance(tool, dict) and tool.get("type") == "namespace" and not namespace:
            yield from _declared(tool.get("tools"), f"{here}.tools", text_in(tool, "name"))
        else:
            yield Declared(here, tool, namespace)


class ToolBook:
    """The flat names of a body's own tools, both ways."""

    __slots__ = ("_by_flat", "_flat")

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._by_flat: dict[str, Tool] = {}
        self._flat: dict[tuple[str, str], str] = {}
        found = [(place.namespace, place.tool) for place in declarations(body) if isinstance(place.tool, dict)]
        # Plain names are the caller's word; only the made ones give way.
        for namespace, tool in sorted(found, key=lambda pair: bool(pair[0])):
            name, kind = text_in(tool, "name"), tool.get("type")
            if name and kind in ("function", "custom") and (namespace, name) not in self._flat:
                flat = self._free_name(namespace, name)
                self._flat[namespace, name] = flat
                self._by_flat[flat] = Tool(name, namespace, kind == "custom")

    def flat(self, namespace: str, name: str) -> str:
        """The name a model knows the tool by, also for one that was declared on an earlier turn only."""
        return self._flat.get((namespace, name)) or flat_name(namespace, name)

    def tool(self, flat: str) -> Tool:
        """The caller's tool of that name; an undeclared name is a plain function."""
        return self._by_flat.get(flat) or Tool(flat, "", False)

    def _free_name(self, namespace: str, name: str) -> str:
        flat = flat_name(namespace, name)
        if not namespace or flat not in self._by_flat:
            return flat
        return alias_of(flat, PLAIN_NAMES, f"{namespace}\0{name}")


def flat_name(namespace: str, name: str) -> str:
    """``namespace__name`` in the characters and length that every API takes; a plain name as it is."""
    if not namespace:
        return name
    flat = f"{namespace.rstrip('_')}__{name.lstrip('_')}"
    return fitting_name(flat, PLAIN_NAMES, f"{namespace}\0{name}")
