"""Small readers for JSON that may be anything, and safe names for what is left out."""

import re
from typing import Any

from orcestator.json_text import Json

_PLAIN_NAME = re.compile(r"[\w.\-]{1,64}", re.ASCII)


def text_in(holder: Json, name: str) -> str:
    """A text field; "" when it is missing or no text."""
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def object_in(holder: Json, name: str) -> Json:
    """An object field; {} when it is missing or no object."""
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def objects_in(holder: Any, name: str) -> list[Json]:
    """The objects of a list field; everything else in it is passed over."""
    values = holder.get(name) if isinstance(holder, dict) else None
    if not values:
        return []
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def count_in(holder: Json, name: str) -> int | None:
    """A count; None when it is missing, negative or no number."""
    value = holder.get(name)
    if type(value) is int:
        return value if 0 <= value < 10**15 else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < 1e15 else None


def dropped_name(holder: str, kind: object) -> str:
    """The name under which something of this kind is reported as left out, fit for a header."""
    plain = isinstance(kind, str) and _PLAIN_NAME.fullmatch(kind)
    return f"{holder}.{kind}" if plain else f"{holder}.unknown"
