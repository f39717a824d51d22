"""What follows from a failed attempt: one table, proved total by a test. Facts are in the exception, judgement here.

The table has a row for each class of the error tree; refinements go before it, a person's own first, then ours. A person
writes them under ``verdicts:`` as a list of ``{when: {...}, then: {...}}``, which ``read_override`` checks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple, get_args

from orcestator.errors import (
    NO_SUCH_PATH,
    QUOTA_SIZE,
    CannotExpress,
    UpstreamBroken,
    UpstreamContentRefused,
    UpstreamContextExceeded,
    UpstreamError,
    UpstreamKeyRefused,
    UpstreamModelMissing,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
    WorkerLost,
)

Scope = Literal["deployment", "credential", "model"]
"""What a cooldown takes out of routing: the model at its provider with every credential; the credential with every model
of its provider; or the model with this one credential."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``falls_back``: the next candidate may do better. ``retries``: this one may, when there is no other.

    ``cooldown_seconds`` takes what ``scope`` says out of routing when the upstream named no time itself; 0 means not at
    all. ``counts`` marks a failure of health, which moves the breaker. ``disables_credential`` marks a key that
    needs a person. ``is_ours``: a part of our own failed, so that another try repeats nothing that an upstream failed at.
    ``needs_larger_context``: of the next candidates only one with a larger context may do better. ``is_final``: the
    deployment is out until a restart, a reset, or until its provider lists the model again. ``blames_request``: it is about this one
    request and tells nothing of the deployment, so that it changes nothing for others.
    """

    falls_back: bool
    retries: bool = False
    cooldown_seconds: float = 0.0
    counts: bool = False
    disables_credential: bool = False
    is_ours: bool = False
    needs_larger_context: bool = False
    is_final: bool = False
    blames_request: bool = False
    scope: Scope = "deployment"


VERDICTS: Mapping[type[UpstreamError], Verdict] = {
    UpstreamRejected: Verdict(falls_back=False, blames_request=True),
    UpstreamContextExceeded: Verdict(falls_back=True, needs_larger_context=True, blames_request=True),
    UpstreamContentRefused: Verdict(falls_back=False, blames_request=True),
    CannotExpress: Verdict(falls_back=True, blames_request=True),
    UpstreamRateLimited: Verdict(falls_back=True, retries=True, cooldown_seconds=5.0, scope="model"),
    UpstreamKeyRefused: Verdict(falls_back=True, cooldown_seconds=3600.0, disables_credential=True, scope="credential"),
    UpstreamModelMissing: Verdict(falls_back=True, cooldown_seconds=600.0, is_final=True),
    UpstreamUnavailable: Verdict(falls_back=True, retries=True, counts=True),
    WorkerLost: Verdict(falls_back=True, retries=True, cooldown_seconds=1.0, is_ours=True),
    UpstreamTimeout: Verdict(falls_back=True, counts=True),
    UpstreamBroken: Verdict(falls_back=True, retries=True, counts=True),
}

USEFULNESS: tuple[type[UpstreamError], ...] = (
    UpstreamRejected,
    UpstreamContentRefused,
    UpstreamContextExceeded,
    CannotExpress,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamBroken,
    UpstreamUnavailable,
    WorkerLost,
    UpstreamModelMissing,
    UpstreamKeyRefused,
)
"""Which failure tells the caller most, best first, when several attempts failed differently."""


WAITING_IS_NO_USE = CannotExpress | UpstreamContextExceeded | UpstreamKeyRefused | UpstreamModelMissing
"""Failures of one candidate that are the same tomorrow, and that another one may not have."""


class When(NamedTuple):
    """Which failures an override is about; an empty set is any. ``errors`` are classes of the tree, with their subclasses;
    ``codes`` the words by which the upstream names the error, its type among them."""

    statuses: frozenset[int] = frozenset()
    codes: frozenset[str] = frozenset()
    errors: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    causes: frozenset[str] = frozenset()

    def is_met(self, error: UpstreamError, provider: str) -> bool:
        """Whether this failure of an attempt at ``provider`` is one of them."""
        return (
            (not self.statuses or error.upstream_status in self.statuses)
            and (not self.codes or not self.codes.isdisjoint((*error.upstream_words, error.upstream_code or "")))
            and (not self.errors or any(kind.__name__ in self.errors for kind in type(error).__mro__))
            and (not self.providers or provider in self.providers)
            and (not self.causes or error.cause in self.causes)
        )


class Override(NamedTuple):
    """``changes`` are fields of ``Verdict``, put over the row of the error's class."""

    when: When
    changes: Mapping[str, Any]


REFINEMENTS: tuple[Override, ...] = (
    # A 403 may only mean that the key does not open this one model.
    Override(When(errors=frozenset({"UpstreamKeyRefused"}), causes=frozenset({"http_403"})), {"scope": "model"}),
    # No word on the model: an address is wrong or a proxy in between answered, which the breaker finds out, and what ends by itself.
    Override(
        When(errors=frozenset({"UpstreamModelMissing"}), causes=frozenset({NO_SUCH_PATH})),
        {"is_final": False, "cooldown_seconds": 0.0, "counts": True},
    ),
    Override(When(causes=frozenset({QUOTA_SIZE})), {"retries": False, "cooldown_seconds": 0.0, "blames_request": True}),
    # A conflict is with something that this request names (a locked conversation, a file in use), and may be over at once.
    Override(When(causes=frozenset({"http_409"})), {"counts": False, "blames_request": True}),
)
"""What the class alone does not tell; the first that is met counts."""

CONTENT_POLICY_FALLBACK = Override(When(errors=frozenset({"UpstreamContentRefused"})), {"falls_back": True})
"""Another provider may not mind what this one refused. Off unless a person asks for it: it was refused for a reason."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The table with a person's overrides, of which the first that is met counts."""

    overrides: Sequence[Override] = field(default=())
    content_policy_fallback: bool = False

    def is_a_persons(self, error: UpstreamError, provider: str) -> bool:
        """Whether a person has said what follows from this failure."""
        return any(override.when.is_met(error, provider) for override in self.overrides)

    def judge(self, error: UpstreamError, provider: str = "") -> Verdict:
        """The verdict on a failed attempt at ``provider``; a subclass inherits its parent's row."""
        verdict = judge(error)
        if self.content_policy_fallback and CONTENT_POLICY_FALLBACK.when.is_met(error, provider):
            verdict = replace(verdict, **CONTENT_POLICY_FALLBACK.changes)
        return _refined(verdict, self.overrides, error, provider)


def judge(error: UpstreamError) -> Verdict:
    """The verdict on an error with nobody's overrides; a subclass inherits its parent's row."""
    row = next(VERDICTS[kind] for kind in type(error).__mro__ if kind in VERDICTS)
    return _refined(row, REFINEMENTS, error, "")


def _refined(verdict: Verdict, overrides: Sequence[Override], error: UpstreamError, provider: str) -> Verdict:
    met = next((override for override in overrides if override.when.is_met(error, provider)), None)
    return verdict if met is None else replace(verdict, **met.changes)


def most_useful(failures: Sequence[UpstreamError]) -> UpstreamError:
    """The failure whose status and reason the caller should see.

    A rate limit is the caller's business only if it is all that waiting changes: nothing but limited candidates, and those that
    will not take the request however long it waits.
    """
    ranked = sorted(failures, key=_rank)
    limited = next((error for error in ranked if isinstance(error, UpstreamRateLimited)), None)
    if limited is not None and all(isinstance(error, UpstreamRateLimited | WAITING_IS_NO_USE) for error in failures):
        return limited
    return next((error for error in ranked if not isinstance(error, UpstreamRateLimited)), ranked[0])


def _rank(error: UpstreamError) -> int:
    return next(USEFULNESS.index(kind) for kind in type(error).__mro__ if kind in USEFULNESS)


_WHEN_KEYS = ("status", "code", "type", "error", "provider", "cause")
_THEN_KEYS = ("action", "cooldown_seconds", "counts", "scope", "permanent")
_ACTIONS: Mapping[str, Mapping[str, bool]] = {
    "give_up": {"falls_back": False, "retries": False},
    "retry": {"falls_back": True, "retries": True},
    "fall_back": {"falls_back": True, "retries": False},
}
_LONGEST_COOLDOWN_SECONDS = 31 * 86_400.0
_NAMES = {kind.__name__ for kind in VERDICTS}


def read_override(raw: object) -> Override:
    """One entry of ``verdicts:``, checked. Raises ValueError with a sentence that names the key and what may stand there."""
    entry = _mapping(raw, "An entry", ("when", "then"))
    when = _mapping(entry.get("when", {}), "'when'", _WHEN_KEYS)
    then = _mapping(entry.get("then", {}), "'then'", _THEN_KEYS)
    if not when or not then:
        raise ValueError("An entry needs 'when' (which failures) and 'then' (what follows), and neither may be empty.")
    return Override(_when(when), _changes(then))


def _when(raw: Mapping[str, Any]) -> When:
    names = frozenset(_words(raw, "error"))
    for name in sorted(names - _NAMES):
        raise ValueError(f"'error' knows no '{name}'.{_nearest(name, sorted(_NAMES))}")
    return When(
        frozenset(_statuses(raw.get("status"))),
        frozenset((*_words(raw, "code"), *_words(raw, "type"))),
        names,
        frozenset(_words(raw, "provider")),
        frozenset(_words(raw, "cause")),
    )


def _changes(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    changes: dict[str, Any] = {}
    for name, value in raw.items():
        changes |= _READERS[name](value)
    return changes


def _action(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, str) or value not in _ACTIONS:
        raise ValueError(f"'action' is one of {', '.join(_ACTIONS)}, not {value!r}.")
    return _ACTIONS[value]


def _scope(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, str) or value not in get_args(Scope):
        raise ValueError(f"'scope' is one of {', '.join(get_args(Scope))}, not {value!r}.")
    return {"scope": value}


def _cooldown(value: Any) -> Mapping[str, Any]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= _LONGEST_COOLDOWN_SECONDS:
        raise ValueError(f"'cooldown_seconds' is a number from 0 to {_LONGEST_COOLDOWN_SECONDS:.0f}, not {value!r}.")
    return {"cooldown_seconds": float(value)}


def _flag(name: str, field_name: str) -> Callable[[Any], Mapping[str, Any]]:
    def read(value: Any) -> Mapping[str, Any]:
        if not isinstance(value, bool):
            raise ValueError(f"'{name}' is true or false, not {value!r}.")
        return {field_name: value}

    return read


_READERS: Mapping[str, Callable[[Any], Mapping[str, Any]]] = {
    "action": _action,
    "cooldown_seconds": _cooldown,
    "counts": _flag("counts", "counts"),
    "scope": _scope,
    "permanent": _flag("permanent", "is_final"),
}


def _mapping(raw: object, what: str, known: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise ValueError(f"{what} of a verdict is a mapping with {', '.join(known)}, not {raw!r}.")
    for key in raw:
        if key not in known:
            raise ValueError(f"{what} of a verdict has no key {key!r}.{_nearest(str(key), known)}")
    return raw


def _nearest(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    return f" Did you mean '{near[0]}'?" if near else f" There are {', '.join(known)}."


def _listed(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def _words(raw: Mapping[str, Any], key: str) -> list[str]:
    found = _listed(raw.get(key))
    for word in found:
        if not isinstance(word, str) or not word:
            raise ValueError(f"'{key}' is a word or a list of words, not {word!r}.")
    return found


def _statuses(value: Any) -> list[int]:
    found = _listed(value)
    for status in found:
        if not isinstance(status, int) or isinstance(status, bool) or not 100 <= status <= 599:
            raise ValueError(f"'status' is an HTTP status from 100 to 599 or a list of them, not {status!r}.")
    return found
