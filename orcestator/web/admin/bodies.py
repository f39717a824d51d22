"""The bodies by which rules and providers are set: read into plain values, each refusal naming the field."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from orcestator.errors import InvalidRequest, StartupProblem
from orcestator.json_text import Json
from orcestator.providers.secret import Secret
from orcestator.routing.planning.rules import Rule, check_condition
from orcestator.upstream.http.origin import Origin

PROVIDER_FIELDS = (
    *("id", "name", "type", "base_url", "baseUrl", "api_key", "apiKey", "priority", "fallback_order", "fallbackOrder"),
    *("models", "config", "is_active", "isActive"),
)
RULE_FIELDS = ("id", "condition", "provider", "priority", "is_active", "isActive")


class ProviderSpec(NamedTuple):
    """A provider to add. ``type`` is one of the known providers or a dialect, "" for what ``name`` is known as.

    ``priority`` is its ``order``, None where nothing is said of it. ``models`` are upstream names; ``config`` has further
    settings of a provider as in the configuration file. ``title`` is what people call it.
    """

    name: str
    type: str = ""
    base_url: str = ""
    api_key: Secret | None = None
    priority: int | None = None
    fallback_order: int = 1
    models: tuple[str, ...] = ()
    config: Mapping[str, Any] = {}
    title: str = ""


def rule_of(body: Json) -> Rule:
    """A rule as a caller writes it. Raises InvalidRequest."""
    _refuse_unknown(body, RULE_FIELDS)
    condition: Any = body.get("condition")
    try:
        check_condition(condition)
    except ValueError as problem:
        raise InvalidRequest(f"'condition': {problem}", param="condition") from None
    return Rule(
        _text(body, "id", ""),
        condition,
        _text(body, "provider"),
        _whole(body, "priority", default=1),
        _flag(body, "isActive", "is_active"),
    )


def provider_spec(body: Json) -> ProviderSpec:
    """A provider as a caller writes it. Raises InvalidRequest."""
    _refuse_unknown(body, PROVIDER_FIELDS)
    if not _flag(body, "isActive", "is_active"):
        raise InvalidRequest("A provider that is added is switched on: leave 'isActive' out.", param="isActive")
    models = body.get("models", [])
    if type(models) is not list or not all(type(name) is str and name for name in models):
        raise InvalidRequest("'models' must be a list of names.", param="models")
    config = body.get("config", {})
    if type(config) is not dict:
        raise InvalidRequest("'config' must be an object.", param="config")
    key = _text(body, "api_key", "") or _text(body, "apiKey", "")
    base_url = _text(body, "base_url", "") or _text(body, "baseUrl", "")
    if base_url:
        _check_address(base_url)
    given_id, title = _text(body, "id", ""), _text(body, "name", "")
    return ProviderSpec(
        (given_id or _text(body, "name")).lower(),
        _text(body, "type", "").lower(),
        base_url,
        Secret(key) if key else None,
        _whole(body, "priority", default=1) if "priority" in body else None,
        _whole(body, "fallback_order", default=_whole(body, "fallbackOrder", default=1)),
        tuple(models),
        config,
        title if given_id else "",
    )


def _check_address(base_url: str) -> None:
    try:
        Origin.from_url(base_url)
    except StartupProblem as problem:
        raise InvalidRequest(f"'base_url': {problem.message}.", param="base_url") from None


def _refuse_unknown(body: Json, fields: Sequence[str]) -> None:
    for name in body:
        if name not in fields:
            near = get_close_matches(name, fields, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else f" It takes {', '.join(fields)}."
            raise InvalidRequest(f"There is no field '{name[:64]}' here.{hint}", param=name[:64])


def _text(body: Json, field: str, default: str | None = None) -> str:
    value = body.get(field)
    if value is None and default is not None:
        return default
    if type(value) is not str or not 0 < len(value) <= 2048:
        raise InvalidRequest(f"'{field}' must be a text of 1 to 2048 characters.", param=field)
    return value


def _whole(body: Json, field: str, *, default: int) -> int:
    value = body.get(field, default)
    if type(value) is not int or not 0 <= value <= 1_000_000:
        raise InvalidRequest(f"'{field}' must be a whole number from 0 to 1000000.", param=field)
    return value


def _flag(body: Json, *fields: str) -> bool:
    for field in fields:
        if field in body and type(body[field]) is not bool:
            raise InvalidRequest(f"'{field}' must be true or false.", param=field)
    return all(body.get(field, True) for field in fields)
