"""At most four cache marks: a fifth is a 400.

platform.claude.com/docs/en/build-with-claude/prompt-caching (checked 2026-11).
"""

from collections.abc import Iterator

from orcestator.dialects.anthropic.dropped import Dropped
from orcestator.json_text import Json

MOST_MARKS = 4


def within_limit(body: Json, dropped: Dropped) -> Json:
    """The body with its last four marks: a mark covers all that stands before it. ``body`` is not changed."""
    surplus = sum("cache_control" in block for block in _blocks(body)) - MOST_MARKS
    if surplus <= 0:
        return body
    dropped.add("cache_control")
    strip = _Stripper(surplus)
    made = {**body}
    for name in ("tools", "system"):
        if name in body:
            made[name] = [strip(block) for block in body[name]]
    made["messages"] = [
        {**turn, "content": [strip(_with_inner(block, strip)) for block in turn["content"]]}
        for turn in body["messages"]
    ]
    return made


class _Stripper:
    """Takes the mark off the first blocks that it is shown."""

    def __init__(self, surplus: int) -> None:
        self._surplus = surplus

    def __call__(self, block: Json) -> Json:
        if not self._surplus or "cache_control" not in block:
            return block
        self._surplus -= 1
        return {name: value for name, value in block.items() if name != "cache_control"}


def _with_inner(block: Json, strip: _Stripper) -> Json:
    if block["type"] != "tool_result" or not isinstance(block.get("content"), list):
        return block
    return {**block, "content": [strip(inner) for inner in block["content"]]}


def _blocks(body: Json) -> Iterator[Json]:
    """Everything that can have a mark, in the order in which the API reads it."""
    yield from body.get("tools", ())
    yield from body.get("system", ())
    for turn in body["messages"]:
        for block in turn["content"]:
            if block["type"] == "tool_result" and isinstance(block.get("content"), list):
                yield from block["content"]
            yield block
