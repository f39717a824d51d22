"""A tool call's arguments: text on one side of this dialect, an object on the other."""

from typing import Any

from orcestator.json_text import Json, loads_exactly

UNREADABLE = "arguments"
"""The key under which arguments go that are no JSON object: a struct has no other place for them."""


def arguments_object(text: Any) -> Json:
    """The object that a call's argument text is; {} for none, the text itself under a key when it is no object."""
    if isinstance(text, dict):
        return text
    if not isinstance(text, str) or not text.strip():
        return {}
    try:
        value = loads_exactly(text.encode("utf-8", "replace"))
    except ValueError:
        return {UNREADABLE: text}
    return value if isinstance(value, dict) else {UNREADABLE: value}
