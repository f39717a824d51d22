"""What is asked of a model and what came back, in no dialect: what the crossings have to keep."""

import base64
from dataclasses import dataclass, field
from typing import Any

from orcestator.json_text import Json
from orcestator.sandbox.dialects.media import png

PIXEL = base64.b64encode(png()).decode()
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
    "required": ["city", "days"],
}
TOOLS = {"get_weather": CITY, "get_time": CITY}
ANSWER = {
    "type": "object",
    "properties": {"answer": {"type": "string"}, "sure": {"type": "boolean"}},
    "required": ["answer", "sure"],
    "additionalProperties": False,
}
RESULTS = ("sunny-17", "noon-12")


@dataclass(frozen=True)
class Ask:
    """A request. ``history`` alternates between what the user and what the model said."""

    text: str
    system: str = ""
    developer: str = ""
    history: tuple[str, ...] = ()
    has_image: bool = False
    has_tools: bool = False
    schema: Json | None = None
    effort: str = ""
    stop: str = ""
    limit: int = 0


@dataclass(frozen=True)
class ToolCall:
    """A call that the model made; ``id`` is empty in dialects without ids."""

    id: str
    name: str
    arguments: Json


@dataclass
class Answer:
    """What a caller read. ``finish`` is the dialect's own word, ``usage`` prompt and completion tokens.

    ``turn`` is what its dialect sends back as the model's turn. ``error`` is the message of an answer that broke.
    """

    text: str = ""
    thought: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    finish: str = ""
    usage: tuple[int, int] | None = None
    model: str = ""
    turn: Any = None
    error: str = ""
