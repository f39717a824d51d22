"""What a caller may ask of the routing, in the body or in ``x-orcestator-*`` headers; none of it goes to an upstream.

The names are those of the routers this one replaces, and OpenRouter's ``models`` and ``provider``
(https://openrouter.ai/docs/features/provider-routing, checked 2026-11).
"""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, Literal, NamedTuple, get_args

from orcestator.errors import InvalidRequest
from orcestator.json_text import Json

Urgency = Literal["low", "medium", "high"]
Quality = Literal["standard", "premium"]
Sort = Literal["price", "throughput", "latency"]
AUTO = "auto"
MOST_NAMES = 32
LONGEST_NAME = 256
HEADER_PREFIX = b"x-orcestator-"


class Preferences(NamedTuple):
    """``budget`` is US dollars for this request; prices are US dollars for a million tokens. None and () ask nothing.

    Providers are named in lower case, as OpenRouter's slugs are: "Groq" means groq.
    """

    tags: frozenset[str] = frozenset()
    type: str = ""
    min_context_size: int = 0
    json_response: bool = False
    prefer_fast: bool = False
    min_success_rate: float = 0.0
    urgency: Urgency | None = None
    quality: Quality | None = None
    budget: float | None = None
    order: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    sort: Sort | None = None
    max_prompt_price: float | None = None
    max_completion_price: float | None = None
    allow_fallbacks: bool = True


NO_PREFERENCES = Preferences()
"""The wishes of a request that asks for nothing: the same object every time, so that a look tells."""

_READERS: Mapping[str, Callable[[str, Any], Any]]
BODY_FIELDS: frozenset[str]
HEADERS: frozenset[bytes]


def take_preferences(call: Json, headers: Mapping[bytes, bytes]) -> Preferences:
    """The wishes of a request; those in the body are taken out of ``call``, and win over headers.

    Raises InvalidRequest, which names the field and what it takes.
    """
    found: dict[str, Any] = {}
    for name in _in_headers(headers):
        text = headers[HEADER_PREFIX + name.replace("_", "-").encode()].decode("latin-1")
        found[name] = _READERS[name](f"x-orcestator-{name.replace('_', '-')}", _parsed(name, text))
    for name in _READERS:
        value = call.pop(name, None)
        if value is not None:
            found[name] = _READERS[name](name, value)
    provider = call.pop("provider", None)
    if provider is not None:
        found.update(_provider_preferences(provider))
    return Preferences(**found) if found else NO_PREFERENCES


def take_names(call: Json, default: str) -> tuple[str, ...]:
    """The models a call asks for, in their order: ``model`` (a name or a list) and OpenRouter's ``models`` after it.

    ``models`` is taken out of ``call``. Raises InvalidRequest.
    """
    model, more = call.get("model"), call.pop("models", None)
    names = _names("model", model, default if more is None else "")
    if more is not None:
        names += _names("models", more, "")
    if len(names) > MOST_NAMES:
        raise InvalidRequest(f"'model' may name at most {MOST_NAMES} models.", param="model")
    return tuple(dict.fromkeys(names)) or (default,)


def preferences_in(call: Json, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request asks anything of the routing: all that most requests pay for."""
    return not (BODY_FIELDS.isdisjoint(call) and HEADERS.isdisjoint(headers))


def _names(field: str, value: Any, default: str) -> tuple[str, ...]:
    if value is None or value == "":
        return (default,) if default else ()
    names = value if type(value) is list else [value]
    if not names or not all(type(name) is str and 0 < len(name) <= LONGEST_NAME for name in names):
        raise InvalidRequest(
            f"'{field}' must be a name of 1 to {LONGEST_NAME} characters, or a list of them;"
            " GET /v1/models lists the names.",
            param=field,
        )
    return tuple(names)


def _in_headers(headers: Mapping[bytes, bytes]) -> list[str]:
    return [name for name in _READERS if HEADER_PREFIX + name.replace("_", "-").encode() in headers]


def _parsed(name: str, text: str) -> Any:
    """A header's text as the value that a body would hold."""
    text = text.strip()
    if name in _LISTS:
        return [part.strip() for part in text.split(",") if part.strip()]
    if name in _FLAGS:
        said = _FLAG_WORDS.get(text.lower().encode())
        return text if said is None else said
    if name in _NUMBERS:
        try:
            return int(text) if name == "min_context_size" else float(text)
        except ValueError:
            return text
    return text


def _words(field: str, value: Any) -> tuple[str, ...]:
    words = [value] if type(value) is str else value
    if type(words) is not list or not all(type(word) is str and word for word in words) or len(words) > MOST_NAMES:
        raise InvalidRequest(f"'{field}' must be a list of at most {MOST_NAMES} words.", param=field)
    return tuple(words)


def _slugs(field: str, value: Any) -> tuple[str, ...]:
    return tuple(word.lower() for word in _words(field, value))


def _word(field: str, value: Any) -> str:
    if type(value) is not str or not 0 < len(value) <= 64:
        raise InvalidRequest(f'\'{field}\' must be a word, such as "fast" or "reasoning".', param=field)
    return value


def flag_in(headers: Mapping[bytes, bytes], name: bytes) -> bool:
    """What a header says that is true or false; false where it is not there. Raises InvalidRequest, which names it."""
    said = _FLAG_WORDS.get(headers.get(name, b"false").strip().lower())
    if said is None:
        raise InvalidRequest(f"'{name.decode()}' must be true or false.", param=name.decode())
    return said


def _flag(field: str, value: Any) -> bool:
    if type(value) is not bool:
        raise InvalidRequest(f"'{field}' must be true or false.", param=field)
    return value


def _count(field: str, value: Any) -> int:
    if type(value) is not int or not 0 <= value <= 1 << 40:
        raise InvalidRequest(f"'{field}' must be a whole number of tokens.", param=field)
    return value


def _share(field: str, value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise InvalidRequest(f"'{field}' must be a number from 0 to 1.", param=field)
    return float(value)


def _price(field: str, value: Any) -> float:
    if type(value) not in (int, float) or not isfinite(value) or value < 0:
        raise InvalidRequest(f"'{field}' must be an amount in US dollars, 0 or more.", param=field)
    return float(value)


def _one_of(allowed: Sequence[str]) -> Callable[[str, Any], str]:
    def read(field: str, value: Any) -> str:
        if value not in allowed or type(value) is not str:
            raise InvalidRequest(f"'{field}' must be one of {', '.join(allowed)}.", param=field)
        return value

    return read


def _provider_preferences(value: Any) -> Json:
    """OpenRouter's ``provider`` object. What of it nobody here can hold is refused: it may be a wish for privacy.

    What asks for nothing is no wish: the values that its fields have at OpenRouter when they are left out.
    """
    if type(value) is not dict:
        raise InvalidRequest(f"'provider' must be an object with {_PROVIDER_FIELDS}.", param="provider")
    found: Json = {}
    for name, given in value.items():
        if given is None or (name in _ASKS_NOTHING and given in _ASKS_NOTHING[name]):
            continue
        if name not in _PROVIDER_READERS and name != "max_price":
            raise InvalidRequest(
                f"'provider.{name[:64]}' cannot be kept here: leave it out. There are {_PROVIDER_FIELDS}.",
                param=f"provider.{name[:64]}",
            )
        if name == "max_price":
            found.update(_price_preferences(given))
        else:
            found[name] = _PROVIDER_READERS[name](f"provider.{name}", given)
    return found


def _price_preferences(value: Any) -> Json:
    if type(value) is not dict or not _PRICES.keys() >= value.keys():
        raise InvalidRequest(
            "'provider.max_price' must be an object with prompt, completion: US dollars for a million tokens.",
            param="provider.max_price",
        )
    return {
        _PRICES[name]: _price(f"provider.max_price.{name}", price) for name, price in value.items() if price is not None
    }


def _sort(field: str, value: Any) -> str:
    """A word, or OpenRouter's object with ``by``; it sorts within each model, which is that object's usual ``partition``."""
    if type(value) is dict:
        if value.get("partition", "model") != "model" or not {"by", "partition"} >= value.keys():
            raise InvalidRequest(f"'{field}' may have 'by', and as 'partition' only model.", param=field)
        value = value.get("by")
    return _one_of(get_args(Sort))(field, value)


_READERS = {
    "tags": lambda field, value: frozenset(_words(field, value)),
    "type": _word,
    "min_context_size": _count,
    "json_response": _flag,
    "prefer_fast": _flag,
    "min_success_rate": _share,
    "urgency": _one_of(get_args(Urgency)),
    "quality": _one_of(get_args(Quality)),
    "budget": _price,
}
_PROVIDER_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "order": _slugs,
    "only": _slugs,
    "ignore": _slugs,
    "sort": _sort,
    "allow_fallbacks": _flag,
}
_ASKS_NOTHING: Mapping[str, tuple[Any, ...]] = {
    "data_collection": ("allow",),
    "require_parameters": (False,),
    "zdr": (False,),
    "enforce_distillable_text": (False,),
    "quantizations": ([],),
}
"""Fields of OpenRouter's object that nobody here can hold, and the values with which they ask for nothing."""
_PROVIDER_FIELDS = ", ".join([*_PROVIDER_READERS, "max_price"])
_PRICES = {"prompt": "max_prompt_price", "completion": "max_completion_price"}
_LISTS = frozenset({"tags"})
_FLAGS = frozenset({"json_response", "prefer_fast"})
_FLAG_WORDS: Mapping[bytes, bool] = {b"true": True, b"1": True, b"false": False, b"0": False}
_NUMBERS = frozenset({"min_context_size", "min_success_rate", "budget"})
BODY_FIELDS = frozenset({*_READERS, "provider", "models"})
HEADERS = frozenset(HEADER_PREFIX + name.replace("_", "-").encode() for name in _READERS)
