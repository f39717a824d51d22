"""Fields that every kind of answer has, read from the shapes in which upstreams give them."""

from orcestator.json_text import Json, dumps


class Unreadable(ValueError):
    """A content that is neither a text nor anything that can be told as one."""


def spoken(content: object) -> Json:
    """What a content that is no string says, as fields of a message: ``content``, which is always there, and
    ``reasoning_content``, ``refusal`` and ``images`` where there is any. Raises ``Unreadable``.

    Parts are OpenAI's, and Mistral's with its thinking (docs.mistral.ai, reasoning, checked 2026-11).
    Parts of other kinds that hold no text (references to sources) say nothing.
    """
    said: Json = {"content": ""}
    for part in content if isinstance(content, list) else [content]:
        _add(said, part)
    return said


def _add(said: Json, part: object) -> None:
    if part is None or part is False:
        return
    if isinstance(part, str):
        said["content"] += part
    elif type(part) in (int, float):
        said["content"] += dumps(part).decode()
    elif not isinstance(part, dict):
        raise Unreadable
    elif part.get("type") == "thinking":
        said["reasoning_content"] = said.get("reasoning_content", "") + spoken(part.get("thinking"))["content"]
    elif part.get("type") == "refusal" and isinstance(part.get("refusal"), str):
        said["refusal"] = said.get("refusal", "") + part["refusal"]
    elif part.get("type") == "image_url" and part.get("image_url"):
        said["images"] = [*said.get("images", []), part]
    elif part.get("text"):
        said["content"] += _text_in(part["text"])
    elif part and "text" not in part and "type" not in part:
        raise Unreadable


def _text_in(text: object) -> str:
    """A part's text, or its ``value`` where an object holds it, as in OpenAI's assistants."""
    if isinstance(text, dict):
        text = text.get("value")
    if not isinstance(text, str):
        raise Unreadable
    return text


def usable_id(wire: Json) -> str:
    """The upstream's id of the answer, "" when it has none."""
    wire_id = wire.get("id")
    return wire_id if isinstance(wire_id, str) else ""


def usable_created(wire: Json) -> int:
    """When the upstream made the answer, in epoch seconds; 0 when it does not say."""
    created = wire.get("created")
    return created if type(created) is int else 0
