"""Tool names that an upstream refuses, under an alias that it takes; its answer has the caller's names again.

The same name always gets the same alias, whatever stands beside it, so that nothing has to be kept between turns and
prompt caches match. An alias that would be another tool's name gives way.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, NamedTuple

from orcestator.json_text import Json

NO_ALIASES: Mapping[str, str] = MappingProxyType({})
_KINDS = ("function", "custom")


class NameRule(NamedTuple):
    """Which names an API takes: characters that are none of ``foreign``, at most ``longest``, the first as ``first`` says."""

    foreign: re.Pattern[str]
    longest: int
    first: re.Pattern[str]

    def takes(self, name: str) -> bool:
        """Whether the API takes the name as it is."""
        return 0 < len(name) <= self.longest and not self.foreign.search(name) and bool(self.first.match(name))


_PLAIN = re.compile(r"[^a-zA-Z0-9_-]")
_ANY = re.compile(r".", re.DOTALL)
PLAIN_NAMES = NameRule(_PLAIN, 64, _ANY)
"""``^[a-zA-Z0-9_-]+$`` and at most 64 (https://platform.openai.com/docs/api-reference/chat/create, and OpenAI's 400
"string does not match pattern", checked 2026-11). Also for APIs whose rule is not known: each is known to take such."""


def fitting_name(name: str, rule: NameRule, origin: str = "") -> str:
    """The name itself where the API takes it, else its alias; ``origin`` tells apart what ``name`` does not."""
    return name if rule.takes(name) else alias_of(name, rule, origin or name)


def with_fitting_names(call: Json, rule: NameRule) -> tuple[Json, Mapping[str, str]]:
    """The canonical call with names that the API takes, and the caller's name of every alias in it.

    The call itself where there is nothing to do.
    """
    names = dict.fromkeys(_names_in(call))
    foreign = [name for name in names if not rule.takes(name)]
    if not foreign:
        return call, NO_ALIASES
    aliases: dict[str, str] = {}
    for name in foreign:
        aliases[name] = _free(name, rule, {*names, *aliases.values()})
    return _renamed(call, lambda name: aliases.get(name, name)), {alias: name for name, alias in aliases.items()}


def _free(name: str, rule: NameRule, taken: set[str]) -> str:
    alias, number = alias_of(name, rule, name), 0
    while alias in taken:
        number += 1
        alias = alias_of(name, rule, f"{name}\0{number}")
    return alias


def alias_of(name: str, rule: NameRule, origin: str) -> str:
    """A name that the API takes and that shows what it stands for; ``origin`` makes it unlike that of any other."""
    digest = blake2b(origin.encode("utf-8", "replace"), digest_size=5).hexdigest()
    plain = _PLAIN.sub("_", name)
    head = plain if plain and rule.first.match(plain) else f"_{plain}"
    return f"{head[: rule.longest - len(digest) - 1]}_{digest}"


def _names_in(call: Json) -> Iterator[str]:
    """Every name by which the call means a tool."""
    found: list[str] = []

    def note(name: str) -> str:
        found.append(name)
        return name

    _renamed(call, note)
    yield from filter(None, found)


def _renamed(call: Json, rename: Callable[[str], str]) -> Json:
    made = dict(call)
    if isinstance(call.get("tools"), list):
        made["tools"] = [_part_renamed(tool, rename) for tool in call["tools"]]
    if isinstance(call.get("tool_choice"), dict):
        made["tool_choice"] = _choice_renamed(call["tool_choice"], rename)
    if isinstance(call.get("messages"), list):
        made["messages"] = [_message_renamed(message, rename) for message in call["messages"]]
    return made


def _message_renamed(message: Any, rename: Callable[[str], str]) -> Any:
    if not isinstance(message, dict):
        return message
    changes: Json = {}
    if isinstance(message.get("tool_calls"), list):
        changes["tool_calls"] = [_part_renamed(wire, rename) for wire in message["tool_calls"]]
    if isinstance(message.get("function_call"), dict):
        changes["function_call"] = _holder_renamed(message["function_call"], rename)
    if message.get("role") in ("tool", "function") and isinstance(message.get("name"), str):
        changes["name"] = rename(message["name"])
    return {**message, **changes} if changes else message


def _choice_renamed(choice: Json, rename: Callable[[str], str]) -> Json:
    made: Json = _part_renamed(choice, rename)
    if isinstance(made.get("tools"), list):
        made = {**made, "tools": [_part_renamed(tool, rename) for tool in made["tools"]]}
    if isinstance(made.get("allowed_tools"), dict):
        made = {**made, "allowed_tools": _choice_renamed(made["allowed_tools"], rename)}
    return made


def _part_renamed(wire: Any, rename: Callable[[str], str]) -> Any:
    """A tool, a call or a choice with another name in its ``function`` or ``custom``."""
    if not isinstance(wire, dict):
        return wire
    changes = {kind: _holder_renamed(wire[kind], rename) for kind in _KINDS if isinstance(wire.get(kind), dict)}
    return {**wire, **changes} if changes else wire


def _holder_renamed(holder: Json, rename: Callable[[str], str]) -> Json:
    name = holder.get("name")
    return {**holder, "name": rename(name)} if isinstance(name, str) else holder
