"""Reads a scenario from YAML. Every refusal names the file, the line, the key and what it takes.

title: One of three providers goes down for ten minutes
seconds: 1800                      # how long callers come
arrivals_per_second: 1.5           # on average; they come at random
requests:                          # what they ask: sizes are medians, and what one in twenty exceeds
  stream_share: 0.9
  prompt_tokens: {median: 1200, p95: 6000}
  output_tokens: {median: 250, p95: 900}
free_first: false
deployments:
  - provider: alpha
    model: large
    price: {input: 2.5, output: 10}                 # US dollars for a million tokens
    first_content: {median: 0.5, p95: 1.4, tail_share: 0.01, tail_median: 12}   # seconds
    tokens_per_second: 60
    errors: {unavailable: 0.002}                    # share of calls, by kind
    limits: {requests_per_minute: 30, window: sliding, says_retry_after: false, told: false, concurrency: 20}
    tier: 0                                         # 0 is tried first
    paid_fallback: false
    max_concurrent: 0                               # our own limit
timeline:                          # what is otherwise for a while; later entries win
  - {from: 600, to: 1200, deployment: alpha/large, label: down, errors: {refused: 1}}
  - {from: 60, every: 90, for: 30, deployment: beta/large, errors: {unavailable: 1}}
"""

from collections.abc import Callable, Mapping
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import NamedTuple, TypeVar, get_args

from orcestator.errors import StartupProblem
from orcestator.settings.environment import Variables
from orcestator.settings.fields import field, present, sections_in
from orcestator.settings.problems import nearest, problem
from orcestator.settings.values import Raw, boolean, one_of, text_of
from orcestator.settings.yaml_file import Section, read_yaml
from orcestator.simulator.failures import KINDS
from orcestator.simulator.scenario import Condition, Deployment, Limits, LogNormal, Mix, Price, Scenario, Window

Value = TypeVar("Value")
LONGEST_SECONDS = 7 * 86_400.0
MOST_PER_SECOND = 1000.0
MOST_SPANS = 2000
"""How often an entry of the timeline may come: each time is looked at for each deployment."""
_STATE_KEYS = {"price", "first_content", "tokens_per_second", "errors", "limits"}
_DEPLOYMENT_KEYS = {*_STATE_KEYS, "provider", "model", "tier", "paid_fallback", "max_concurrent", "quality"}
_TIMELINE_KEYS = {*_STATE_KEYS, "from", "to", "every", "for", "deployment", "label"}
_SCENARIO_KEYS = {"title", "seconds", "arrivals_per_second", "requests", "free_first", "deployments", "timeline"}
_LIMIT_KEYS = {"requests_per_minute", "window", "says_retry_after", "concurrency", "told"}


class _Change(NamedTuple):
    """Something that is otherwise in ``spans``, at the deployment of this name ("" all of them)."""

    deployment: str
    spans: tuple[tuple[float, float], ...]
    section: Section
    label: str


def known_scenarios() -> dict[str, Path]:
    """The scenarios that come with the product, by name."""
    folder = Path(str(files("orcestator.simulator") / "scenarios"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_scenario(name: str) -> Scenario:
    """A scenario by its name or its file. Raises StartupProblem."""
    known = known_scenarios()
    if name in known:
        return read_scenario(known[name])
    if not Path(name).is_file():
        raise StartupProblem(f"'{name}' is neither a scenario nor a file{nearest(name, known)}.")
    return read_scenario(Path(name))


def read_scenario(path: Path) -> Scenario:
    """The scenario in a file. Raises StartupProblem."""
    root = read_yaml(path, Variables({}))
    root.require_known(_SCENARIO_KEYS, "a key of a scenario")
    seconds = _required(root, "seconds", _number(1.0, LONGEST_SECONDS))
    listed = sections_in(present(root, "deployments"), "deployments")
    if not listed:
        raise problem(root.place, "deployments", "must list at least one deployment")
    names = _names(listed)
    changes = [_change(section, names, seconds) for section in sections_in(present(root, "timeline"), "changes")]
    return Scenario(
        name=path.stem,
        title=_required(root, "title", text_of),
        seconds=seconds,
        deployments=tuple(_deployment(section, changes) for section in listed),
        per_second=_required(root, "arrivals_per_second", _number(0.001, MOST_PER_SECOND)),
        mix=_mix(_section(root, "requests")),
        spans=tuple((start, end, change.label) for change in changes for start, end in change.spans),
        free_first=field(root, "free_first", boolean, False),
    )


def _mix(section: Section) -> Mix:
    section.require_known({"stream_share", "prompt_tokens", "output_tokens"}, "a key of requests")
    usual = Mix()
    return Mix(
        field(section, "stream_share", _number(0.0, 1.0), usual.stream_share),
        _log_normal(section, "prompt_tokens", usual.prompt),
        _log_normal(section, "output_tokens", usual.output),
    )


def _names(listed: list[Section]) -> list[str]:
    names: list[str] = []
    for section in listed:
        name = _name(section)
        if name in names:
            raise problem(section.place, section.path, f"is the second of {name}: a provider's model is listed once")
        names.append(name)
    return names


def _name(section: Section) -> str:
    section.require_known(_DEPLOYMENT_KEYS, "a key of a deployment")
    return f"{_required(section, 'provider', text_of)}/{_required(section, 'model', text_of)}"


def _deployment(section: Section, changes: list[_Change]) -> Deployment:
    if present(section, "first_content") is None:
        raise problem(section.place, f"{section.path}.first_content", "must say how long the first content takes")
    name = _name(section)
    usual = _condition(section, Condition(LogNormal(1.0, 2.0)))
    return Deployment(
        provider=_required(section, "provider", text_of),
        model=_required(section, "model", text_of),
        conditions=_conditions(usual, [change for change in changes if change.deployment in ("", name)]),
        tier=field(section, "tier", _whole(100), 0),
        is_paid_fallback=field(section, "paid_fallback", boolean, False),
        max_concurrent=field(section, "max_concurrent", _whole(100_000), 0),
        quality=field(section, "quality", _number(0.0, 100.0), None),
    )


def _conditions(usual: Condition, changes: list[_Change]) -> tuple[tuple[float, Condition], ...]:
    """What is in force from each moment at which anything changes."""
    ends = {moment for change in changes for span in change.spans for moment in span}
    found = []
    for start in sorted({0.0, *ends}):
        condition = usual
        for change in changes:
            if any(first <= start < last for first, last in change.spans):
                condition = _condition(change.section, condition)
        found.append((start, condition))
    return tuple(found)


def _condition(section: Section, usual: Condition) -> Condition:
    """``usual`` with what the section says otherwise."""
    first_content = usual.first_content
    assert isinstance(first_content, LogNormal), "a file describes nothing else"
    return Condition(
        _log_normal(section, "first_content", first_content),
        field(section, "tokens_per_second", _number(0.0, 1e6), usual.tokens_per_second),
        _price(section, usual.price),
        _errors(section, usual.errors),
        _limits(section, usual.limits),
    )


def _log_normal(section: Section, key: str, usual: LogNormal) -> LogNormal:
    inner = _section(section, key)
    if not inner.nodes:
        return usual
    inner.require_known(LogNormal._fields, f"a key of {key}")
    median = field(inner, "median", _number(1e-6, 1e9), usual.median)
    p95 = field(inner, "p95", _number(1e-6, 1e9), median * usual.p95 / usual.median)
    if p95 < median:
        raise problem(inner.place, f"{inner.path}.p95", "must not be below the median")
    return LogNormal(
        median,
        p95,
        field(inner, "tail_share", _number(0.0, 1.0), usual.tail_share),
        field(inner, "tail_median", _number(0.0, 1e9), usual.tail_median),
    )


def _price(section: Section, usual: Price) -> Price:
    inner = _section(section, "price")
    inner.require_known(Price._fields, "a key of price")
    dollars = _number(0.0, 1e6)
    return Price(field(inner, "input", dollars, usual.input), field(inner, "output", dollars, usual.output))


def _errors(section: Section, usual: Mapping[str, float]) -> Mapping[str, float]:
    inner = _section(section, "errors")
    inner.require_known(KINDS, "a kind of failure")
    errors = {kind: field(inner, kind, _number(0.0, 1.0), 0.0) for kind in inner.nodes}
    if sum(errors.values()) > 1.0 + 1e-9:
        raise problem(inner.place, inner.path, "must not add up to more than 1")
    return errors if "errors" in section.nodes else usual


def _limits(section: Section, usual: Limits) -> Limits:
    inner = _section(section, "limits")
    inner.require_known(_LIMIT_KEYS, "a key of limits")
    return Limits(
        field(inner, "requests_per_minute", _whole(1_000_000), usual.requests_per_minute),
        field(inner, "window", _window, usual.window),
        field(inner, "says_retry_after", boolean, usual.says_retry_after),
        field(inner, "concurrency", _whole(1_000_000), usual.concurrency),
        field(inner, "told", boolean, usual.is_told),
    )


def _change(section: Section, names: list[str], seconds: float) -> _Change:
    section.require_known(_TIMELINE_KEYS, "a key of the timeline")
    name = field(section, "deployment", text_of, "")
    if name and name not in names:
        raise problem(section.place, f"{section.path}.deployment", f"names no deployment{nearest(name, names)}")
    return _Change(name, _spans(section, seconds), section, field(section, "label", text_of, name))


def _spans(section: Section, seconds: float) -> tuple[tuple[float, float], ...]:
    """From ``from`` to ``to``, or in it ``every`` so many seconds ``for`` so many."""
    second = _number(0.0, LONGEST_SECONDS)
    first, last = field(section, "from", second, 0.0), field(section, "to", second, seconds)
    every, lasting = field(section, "every", second, 0.0), field(section, "for", second, 0.0)
    if last <= first:
        raise problem(section.place, f"{section.path}.to", "must come after 'from'")
    if bool(every) != bool(lasting) or lasting > every:
        raise problem(
            section.place, f"{section.path}.every", "needs a 'for' that is not longer, and the other way round"
        )
    if not every:
        return ((first, last),)
    if last - first > MOST_SPANS * every:
        raise problem(section.place, f"{section.path}.every", f"comes more than {MOST_SPANS} times from 'from' to 'to'")
    starts = [first + number * every for number in range(int((last - first) // every) + 1)]
    return tuple((start, min(start + lasting, last)) for start in starts if start < last)


def _section(parent: Section, key: str) -> Section:
    node = present(parent, key)
    if node is None:
        return Section(f"{parent.path}.{key}".lstrip("."), parent.place)
    if not isinstance(node, Section):
        raise problem(node.place, node.path, "must be a mapping of keys to values")
    return node


def _required(section: Section, key: str, convert: Callable[[Raw], Value]) -> Value:
    if present(section, key) is None:
        raise problem(section.place, f"{section.path}.{key}".lstrip("."), "is missing")
    read: Value | None = field(section, key, convert, None)
    assert read is not None
    return read


def _number(low: float, high: float) -> Callable[[Raw], float]:
    def convert(raw: Raw) -> float:
        try:
            value = float(raw) if isinstance(raw, str) else low - 1.0
        except ValueError:
            value = low - 1.0
        if not (isfinite(value) and low <= value <= high):
            raise ValueError(f"must be a number from {low:g} to {high:g}, not {raw!r:.60}")
        return value

    return convert


def _whole(high: int) -> Callable[[Raw], int]:
    def convert(raw: Raw) -> int:
        if not (isinstance(raw, str) and raw.isdecimal() and int(raw) <= high):
            raise ValueError(f"must be a whole number from 0 to {high}, not {raw!r:.60}")
        return int(raw)

    return convert


def _window(raw: Raw) -> Window:
    words = get_args(Window)
    word = one_of(raw if isinstance(raw, str) else "", words, {})
    return next(known for known in words if known == word)
