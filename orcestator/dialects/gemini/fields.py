"""Fields of a caller's JSON in either spelling that the API takes: ``maxOutputTokens``, ``max_output_tokens``.

https://protobuf.dev/programming-guides/json/ (checked 2026-11): parsers accept the lowerCamelCase name and the
original one.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from orcestator.errors import InvalidRequest
from orcestator.json_text import Json

_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")
_SNAKE = re.compile(r"_([a-z0-9])")


@lru_cache(maxsize=512)
def snake(name: str) -> str:
    """The other spelling of a camelCase name."""
    return _HUMP.sub(lambda match: "_" + match[1].lower(), name)


def camel(name: str) -> str:
    """A field's name as the documentation has it."""
    return _SNAKE.sub(lambda match: match[1].upper(), name)


def field(wire: Json, name: str) -> Any:
    """A field's value by its camelCase name, None when there is none."""
    value = wire.get(name)
    return wire.get(snake(name)) if value is None else value


def object_field(wire: Json, name: str, param: str) -> Json:
    """An object field, {} when there is none. Raises InvalidRequest for anything else."""
    value = field(wire, name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidRequest(f"{param} must be an object; send {{...}} or leave it out.", param=param)
    return value


def objects_field(wire: Json, name: str, param: str) -> list[Json]:
    """A field that is a list of objects, [] when there is none. Raises InvalidRequest for anything else."""
    value = field(wire, name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidRequest(f"{param} must be a list of objects; put it into [...].", param=param)
    for place, item in enumerate(value):
        if not isinstance(item, dict):
            raise InvalidRequest(f"{param}[{place}] must be an object; send {{...}}.", param=f"{param}[{place}]")
    return value


def text_field(wire: Json, name: str, param: str) -> str:
    """A field that must be a text with something in it. Raises InvalidRequest."""
    value = field(wire, name)
    if not isinstance(value, str) or not value:
        raise InvalidRequest(f"{param} must be a text; send a non-empty string.", param=param)
    return value


def others(wire: Json, known: frozenset[str]) -> Iterator[str]:
    """The names, in camelCase, of fields with a value that are not among the known ones."""
    return (
        camel(name)
        for name, value in wire.items()
        if name not in known and value is not None and camel(name) not in known
    )
