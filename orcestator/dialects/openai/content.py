"""Fields that every kind of answer has, read from the shapes in which upstreams give them."""

from typing import Any

Json = dict[str, Any]


def joined_parts(content: object) -> str:
    """Text of a content that came as parts instead of a string; "" for any other shape."""
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))


def usable_id(wire: Json) -> str:
    """The upstream's id of the answer, "" when it has none."""
    wire_id = wire.get("id")
    return wire_id if isinstance(wire_id, str) else ""


def usable_created(wire: Json) -> int:
    """When the upstream made the answer, in epoch seconds; 0 when it does not say."""
    created = wire.get("created")
    return created if type(created) is int else 0
