"""The model name as a command line: ``<model>[?options]`` and ``fault:<id>[:<variant>[:<argument>]][?options]``.

Pure. ``echo?ttft=0.1&tps=50&tokens=66`` sets this one request; ``once=<key>`` makes a fault happen to the key's first
request only. ``echo?flaky=0.2``, ``echo?slow=0.05&slow_seconds=1`` and ``echo?down=3-5`` (or ``2s-4s``) give it a mood, and
``fault:U3:rst?flaky=0.2`` says how often a fault happens.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from orcestator.sandbox.faults import catalogue
from orcestator.sandbox.faults.catalogue import Fault
from orcestator.sandbox.faults.moods import read_spells
from orcestator.sandbox.problem import Refused
from orcestator.sandbox.settings import SandboxSettings

SETTINGS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "ttft": ("ttft_seconds", float),
    "tps": ("tokens_per_second", float),
    "answer": ("answer", str),
    "tokens": ("tokens", int),
    "flaky": ("flaky", float),
    "slow": ("slow", float),
    "slow_seconds": ("slow_seconds", float),
    "down": ("down", read_spells),
    "seed": ("seed", int),
}
MOST = {"after": 1e6, "count": 1e6, "tokens": 1e6, "rounds": 1e6}
"""Upper bounds of what is counted in memory; every other number may go to 1e12."""

FAULT_OPTIONS: Mapping[str, Callable[[str], object]] = {
    "after": int,
    "count": int,
    "bytes": int,
    "interval": float,
    "seconds": float,
    "once": str,
    "rounds": int,
}


@dataclass(frozen=True, slots=True)
class FaultOptions:
    """What a fault's or the agent's name may set; None is its own default.

    ``after`` counts tokens, ``interval`` seconds, ``rounds`` how often the agent calls tools.
    """

    after: int | None = None
    count: int | None = None
    bytes: int | None = None
    interval: float | None = None
    seconds: float | None = None
    once: str | None = None
    rounds: int | None = None


@dataclass(frozen=True, slots=True)
class ModelName:
    """A parsed model name; ``text`` is how it was written, ``base`` the part before the options."""

    text: str
    base: str
    settings: SandboxSettings
    fault: Fault | None = None
    argument: str = ""
    options: FaultOptions = FaultOptions()


def parse(text: str, settings: SandboxSettings) -> ModelName:
    """The name understood, over the server's ``settings``. Raises ``Refused`` (400 option, 404 fault)."""
    base, _, query = text.partition("?")
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(pairs.keys() - SETTINGS.keys() - FAULT_OPTIONS.keys())
    if unknown:
        known = ", ".join((*SETTINGS, *FAULT_OPTIONS))
        raise Refused(400, f"The model option {unknown[0]!r} is unknown; the known ones are {known}.", param="model")
    fault, argument = _fault(base) if base.startswith("fault:") else (None, "")
    return ModelName(text, base, _settings(settings, pairs), fault, argument, _options(pairs))


def _settings(settings: SandboxSettings, pairs: Mapping[str, str]) -> SandboxSettings:
    chosen = {field: _read(name, read, pairs[name]) for name, (field, read) in SETTINGS.items() if name in pairs}
    if not chosen:
        return settings
    try:
        return replace(settings, **chosen)  # type: ignore[arg-type]  # SETTINGS pairs each field with its type
    except ValueError as problem:
        raise Refused(400, f"The model's options are impossible: {problem}", param="model") from None


def _options(pairs: Mapping[str, str]) -> FaultOptions:
    chosen = {name: _read(name, read, pairs[name]) for name, read in FAULT_OPTIONS.items() if name in pairs}
    return FaultOptions(**chosen)  # type: ignore[arg-type]  # FAULT_OPTIONS pairs each field with its type


def _read(name: str, read: Callable[[str], object], text: str) -> object:
    try:
        value = read(text)
    except ValueError as problem:
        why = problem if read is read_spells else f"{text!r} is not a number"
        raise Refused(400, f"The model option {name} is impossible: {why}.", param="model") from None
    if isinstance(value, (int, float)) and not 0 <= value <= MOST.get(name, 1e12):
        raise Refused(400, f"The model option {name}={text!r} is out of range.", param="model")
    return value


def _fault(base: str) -> tuple[Fault, str]:
    _, id, variant, argument = [*base.split(":", 3), "", ""][:4]
    row = catalogue.find(id, variant)
    if row is None or (argument and argument not in row.arguments):
        raise _unknown(f"The fault {base!r} is unknown.")
    if row.needs:
        raise _unknown(f"The fault {base!r} cannot be given by model name: it needs {row.needs}.")
    return row, argument or next(iter(row.arguments), "")


def _unknown(message: str) -> Refused:
    return Refused(
        404,
        f"{message} Known are fault:<id>:<variant> of {catalogue.known_names()}",
        code="model_not_found",
        param="model",
    )
