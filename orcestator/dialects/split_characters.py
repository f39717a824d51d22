"""Characters that an upstream split over two events of its stream, put together again.

Some servers cut a text wherever their tokens end: one event ends with the first half of a surrogate pair (``\\ud83d``) or
with the first bytes of a character, the next event of the same text begins with the rest.
"""

import re
from typing import Any, NamedTuple

from orcestator.json_text import Json

_SPLIT_AT_END = re.compile(
    "(?:[\ud800-\udbff]|[\udcc2-\udcdf]|[\udce0-\udcef][\udc80-\udcbf]?|[\udcf0-\udcf4][\udc80-\udcbf]{0,2})\\Z"
)
"""A high surrogate, or the first bytes of a UTF-8 sequence as ``surrogateescape`` has them."""
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_BYTES = re.compile("[\udc80-\udcff]+")
_LONE = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
_PLACES = ("index", "output_index", "content_index", "summary_index")
"""What tells the texts of one answer apart where their events look alike."""
_KEPT = frozenset({*_PLACES, "type", "id", "item_id", "object", "created", "model", "role", "thought"})
"""The fields without which an event of nothing but a text would not be understood."""

_Path = tuple[Any, ...]


class _Waiting(NamedTuple):
    """What came of a character, and the event and the steps to the text in it that ended there."""

    start: str
    event: Any
    steps: list[Any]


class CharacterJoiner:
    """The texts of one stream whose last character is not whole yet."""

    def __init__(self) -> None:
        self._waiting: dict[_Path, _Waiting] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether the rest of a character is still to come."""
        return bool(self._waiting)

    def joined(self, event: Any) -> Any:
        """The event (as ``json_text.Forgiven`` holds it) with whole characters: the start of one that its text ends with is
        kept for the next event of that text, and what belongs to no character becomes U+FFFD.
        """
        return self._walk(event, event, (), [])

    def rest(self) -> list[Any]:
        """At the end: an event with U+FFFD for each text whose last character never became whole."""
        waiting, self._waiting = self._waiting, {}
        return [_only(each.event, each.steps) for each in waiting.values()]

    def _walk(self, node: Any, event: Any, path: _Path, steps: list[Any]) -> Any:
        if isinstance(node, str):
            return self._text(node, event, path, steps)
        if isinstance(node, list):
            return [
                self._walk(child, event, (*path, _place(child, place)), [*steps, place])
                for place, child in enumerate(node)
            ]
        if not isinstance(node, dict):
            return node
        path = (*path, *(node.get(name) for name in _PLACES if type(node.get(name)) is int))
        return {
            whole_characters(name): self._walk(child, event, (*path, name), [*steps, name])
            for name, child in node.items()
        }

    def _text(self, text: str, event: Any, path: _Path, steps: list[Any]) -> str:
        earlier = self._waiting.pop(path, None)
        if earlier is not None:
            text = earlier.start + text
        found = _SPLIT_AT_END.search(text)
        if found is not None:
            self._waiting[path] = _Waiting(found[0], event, steps)
            text = text[: found.start()]
        return whole_characters(text)


def whole_characters(text: str) -> str:
    """The text with pairs joined and U+FFFD for what belongs to no character."""
    if text.isascii():
        return text
    text = _PAIR.sub(lambda pair: pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le"), text)
    text = _BYTES.sub(lambda run: run[0].encode("utf-8", "surrogateescape").decode("utf-8", "replace"), text)
    return _LONE.sub(_REPLACEMENT, text)


def _place(child: Any, place: int) -> Any:
    """What an entry of a list is known by: its own number where it has one."""
    has_number = isinstance(child, dict) and type(child.get("index")) is int
    return ("index", child["index"]) if has_number else place


def _only(node: Any, steps: list[Any]) -> Any:
    """The event with nothing in it but the replacement at the end of these steps, and what that is known by."""
    if not steps:
        return _REPLACEMENT
    step, *more = steps
    if isinstance(node, list):
        return [_only(node[step], more)]
    kept: Json = {name: value for name, value in node.items() if name in _KEPT and isinstance(value, str | int)}
    return {**kept, step: _only(node[step], more)}
