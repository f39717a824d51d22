"""Fields of a caller's body, checked: what is wrong is told with the field's place and what belongs there.

The words are Anthropic's own where they are known: "max_tokens: Field required" (github.com/tickernelz/opencode-mem
issue 50, checked 2026-11).
"""

from typing import Any

from orcestator.errors import InvalidRequest
from orcestator.json_text import Json


def wrong(param: str, what: str, remedy: str) -> InvalidRequest:
    """The error about one field."""
    return InvalidRequest(f"{param}: {what}. {remedy}", param=param)


def missing(param: str, remedy: str) -> InvalidRequest:
    """The error about a field that has to be there."""
    return wrong(param, "Field required", remedy)


def text(value: Any, param: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise wrong(param, "Input should be a valid string", "Give a text.")
    return value


def mapping(value: Any, param: str) -> Json:
    """An object."""
    if not isinstance(value, dict):
        raise wrong(param, "Input should be an object", "Give a JSON object.")
    return value


def listing(value: Any, param: str) -> list[Any]:
    """A list."""
    if not isinstance(value, list):
        raise wrong(param, "Input should be a valid list", "Give a JSON array.")
    return value


def number(value: Any, param: str) -> float:
    """A number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong(param, "Input should be a valid number", "Give a number.")
    return value


def integer(value: Any, param: str, least: int) -> int:
    """A whole number of at least ``least``."""
    if type(value) is not int or value < least:
        raise wrong(param, "Input should be a valid integer", f"Give a whole number of at least {least}.")
    return value


def flag(value: Any, param: str) -> bool:
    """A boolean."""
    if not isinstance(value, bool):
        raise wrong(param, "Input should be a valid boolean", "Give true or false.")
    return value
