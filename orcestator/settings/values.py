"""From what was written to a typed value. Every refusal is a ValueError with the end of a sentence ("must be …")."""

import math
import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Literal, NewType, get_args, get_origin

from orcestator.providers.secret import Secret
from orcestator.settings.problems import nearest, quoted
from orcestator.settings.spec import Also, Setting, Spec
from orcestator.upstream.http.proxies import proxy_at

Raw = str | list[str]
Network = IPv4Network | IPv6Network
BasePath = NewType("BasePath", str)
"""A path with a slash before it and none behind it, or "" for none."""
NO_BASE_PATH = BasePath("")
Origin = NewType("Origin", str)
"""Of a web page, as a browser writes it; ``*`` for every one."""
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_OWN_PORTS = {"http": ":80", "https": ":443"}
_SEGMENT = r"(?!\.{1,2}(?:/|\Z))[\w.~-]+"
_BASE_PATH = re.compile(f"{_SEGMENT}(?:/{_SEGMENT})*", re.ASCII)
_API_VERSIONS = frozenset({"v1", "v1beta", "v1alpha"})
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
AS_IT_IS = Also("")


def converted(row: Setting, raw: Raw, also: Also = AS_IT_IS) -> Any:
    """The value of a setting; ``also`` says under which other name it was given. Raises ValueError."""
    kind = row.type
    if kind in (int, float):
        return _number(_one(raw), kind, row.spec, also)
    if get_origin(kind) is Literal:
        return one_of(_one(raw), get_args(kind), dict(row.spec.synonyms))
    return _CONVERTERS[kind](raw)


def one_of(text: str, choices: tuple[str, ...], synonyms: Mapping[str, str]) -> str:
    """One of a few words, in any case."""
    word = synonyms.get(text.lower(), text.lower())
    if word not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}, not {quoted(text)}{nearest(text, choices)}")
    return word


def boolean(raw: Raw) -> bool:
    """true or false, yes or no, on or off, 1 or 0."""
    word = _one(raw).lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"must be true or false, not {quoted(word)}")
    return word in _TRUE


def count(raw: Raw, low: int = 0, high: int | None = None) -> int:
    """A whole number from ``low`` up, to ``high`` if there is one."""
    return int(_number(_one(raw), int, Spec("", "", low=low, high=high), AS_IT_IS))


def number(raw: Raw, low: float, high: float | None = None) -> float:
    """A number between two others, both included."""
    return _number(_one(raw), float, Spec("", "", low=low, high=high), AS_IT_IS)


def text_of(raw: Raw) -> str:
    """One line of text."""
    text = _one(raw)
    if not text.isprintable():
        raise ValueError("must be one line without control characters")
    return text


def secret(raw: Raw) -> Secret:
    """A credential: it ends up in a header, so that it must not have a line end or a letter outside ASCII in it."""
    text = _one(raw)
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("must be printable ASCII without spaces (its value is not shown here)")
    return Secret(text)


def proxy_address(raw: Raw) -> Secret:
    """The address of an HTTP proxy, or "none". It is kept as a credential is: a password may be in it."""
    text = _one(raw)
    proxy_at(text)
    return Secret(text)


def words(raw: Raw) -> tuple[str, ...]:
    """A list, or in one text the parts between commas; empty parts are left out, a repeated one counts once."""
    parts = raw if isinstance(raw, list) else raw.split(",")
    return tuple(dict.fromkeys(text_of(part.strip()) for part in parts if part.strip()))


def _secrets(raw: Raw) -> tuple[Secret, ...]:
    parts = raw if isinstance(raw, list) else raw.split(",")
    return tuple(secret(part.strip()) for part in parts if part.strip())


def _networks(raw: Raw) -> tuple[Network, ...]:
    try:
        return tuple(map(ip_network, words(raw)))
    except ValueError as fault:
        raise ValueError(f"must be networks such as 10.0.0.0/8: {fault}") from fault


def _origins(raw: Raw) -> tuple[Origin, ...]:
    return tuple(map(_origin, words(raw)))


def _origin(text: str) -> Origin:
    origin = text.lower().removesuffix("/")
    if origin != "*" and not _ORIGIN.fullmatch(origin):
        raise ValueError(f"must be origins such as https://chat.example.org, without a path, or *: not {quoted(text)}")
    # A browser leaves the scheme's own port out.
    return Origin(origin.removesuffix(_OWN_PORTS.get(origin.partition(":")[0], "/")))


def _base_path(raw: Raw) -> BasePath:
    path = text_of(raw).strip("/")
    if not path:
        return NO_BASE_PATH
    if not _BASE_PATH.fullmatch(path):
        raise ValueError(f"must be a path such as /router, of letters, digits and -._~, not {quoted(path)}")
    if path.partition("/")[0] in _API_VERSIONS:
        raise ValueError(f"must not begin with {path.partition('/')[0]}, where the API is without it")
    return BasePath(f"/{path}")


def _one(raw: Raw) -> str:
    if isinstance(raw, list):
        raise ValueError("must be one value, not a list")
    return raw.strip()


def _number(text: str, kind: type, spec: Spec, also: Also) -> float:
    value = _parsed(text, kind, also)
    if value is None or not _lies_between(value, spec):
        what = "a whole number" if kind is int else "a number"
        raise ValueError(f"must be {what} {_range(spec)}, not {quoted(text)}{_arithmetic(also)}")
    return round(value) if kind is int else float(value)


def _parsed(text: str, kind: type, also: Also) -> float | None:
    try:
        value: float = kind(text) * also.times + also.plus
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def _lies_between(value: float, spec: Spec) -> bool:
    return (spec.low is None or value >= spec.low) and (spec.high is None or value <= spec.high)


def _range(spec: Spec) -> str:
    if spec.high is None:
        return f"from {spec.low or 0:g} up"
    return f"from {spec.low or 0:g} to {spec.high:.12g}"


def _arithmetic(also: Also) -> str:
    return "" if also == AS_IT_IS else f" (taken as {also.note()})"


_CONVERTERS: Mapping[Any, Callable[[Raw], Any]] = {
    str: text_of,
    bool: boolean,
    Secret: secret,
    BasePath: _base_path,
    tuple[str, ...]: words,
    tuple[Origin, ...]: _origins,
    tuple[Secret, ...]: _secrets,
    tuple[Network, ...]: _networks,
}
