"""Arguments of a tool call: a text in the canonical call, an object on some wires."""

from typing import Any

from orcestator.json_text import Json, dumps, loads_exactly


def as_object(text: Any) -> Json:
    """The arguments as an object, whatever the model that wrote them made of it.

    Broken ones are kept under a name, as Anthropic recommends
    (https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming, checked 2026-11).
    """
    if isinstance(text, dict):
        return text
    if not text:
        return {}
    try:
        value = loads_exactly(str(text).encode())
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"INVALID_JSON": str(text)}


def as_text(arguments: Any) -> str:
    """The arguments as a text; a text stays what it is."""
    if isinstance(arguments, str):
        return arguments or "{}"
    return dumps(arguments if isinstance(arguments, dict) else {}).decode()
