"""The one judge: a caller's answer is whole or the caller is told, never both, never neither."""

import json
from dataclasses import dataclass
from typing import Any

from tests.shapes.forms import SECOND
from tests.shapes.readers import FINISHED, WITHHELD, Malformed, Seen, error_of, read, reply_in
from tests.shapes.shape import Right, Shape

NEVER_SHOWN = frozenset({401, 402, 403, 407})
"""Our key at a provider is not the caller's fault, and clients act on these."""


@dataclass(frozen=True)
class Verdict:
    """``outcome`` is whole, second, told or wrong; ``why`` says what is wrong."""

    outcome: str
    why: str = ""


def outcome_of(raw: bytes, caller: str, shape: Shape) -> Verdict:
    """What the caller has."""
    try:
        reply = reply_in(raw)
        if reply.status >= 400:
            if reply.status in NEVER_SHOWN:
                return Verdict("wrong", f"the caller sees {reply.status}")
            if reply.is_cut:
                return Verdict("wrong", "an error that is cut")
            return Verdict("told", error_of(caller, reply))
        if reply.status != 200:
            return Verdict("wrong", f"status {reply.status}")
        seen = read(caller, shape.is_stream, reply)
    except Malformed as problem:
        return Verdict("wrong", f"malformed: {problem}; ends {raw[-120:]!r}")
    return _of_seen(seen, shape, reply.is_cut)


def _of_seen(seen: Seen, shape: Shape, is_cut: bool) -> Verdict:
    if seen.error is not None:
        return _of_error(seen, shape)
    if seen.is_ended and len(seen.finishes) == 1 and seen.finishes[0] in WITHHELD:
        return Verdict("told", seen.finishes[0])
    if is_cut:
        return Verdict("wrong", f"cut without a word after {seen.text!r}")
    if len(seen.finishes) != 1 or seen.finishes[0] not in FINISHED or not seen.is_ended:
        return Verdict("wrong", f"neither: finishes {seen.finishes}, ended {seen.is_ended}, text {_short(seen.text)}")
    return _of_success(seen, shape)


def _of_error(seen: Seen, shape: Shape) -> Verdict:
    finishes = [reason for reason in seen.finishes if reason in FINISHED]
    if finishes:
        return Verdict("wrong", f"both an error and the finish {finishes}")
    if not (shape.told.text.startswith(seen.text) or shape.is_garbled):
        return Verdict("wrong", f"told after a wrong text {_short(seen.text)}")
    return Verdict("told", seen.error or "")


def _of_success(seen: Seen, shape: Shape) -> Verdict:
    if seen.text == SECOND and not seen.calls:
        return Verdict("second")
    calls = [(name, _value(arguments)) for name, arguments in seen.calls]
    wanted = [(call.name, _value(call.arguments)) for call in shape.told.calls]
    if seen.text != shape.told.text or calls != wanted:
        return Verdict("wrong", f"a success with {_short(seen.text)} {_short(str(seen.calls))}")
    return Verdict("whole")


def _value(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _short(text: str) -> str:
    return repr(text) if len(text) < 160 else f"{text[:70]!r}…{text[-40:]!r} ({len(text)})"


ALLOWED: dict[Right, tuple[frozenset[str], frozenset[str]]] = {
    Right.WHOLE: (frozenset({"whole"}), frozenset({"whole"})),
    Right.BEFORE: (frozenset({"told"}), frozenset({"second"})),
    Right.AFTER: (frozenset({"told"}), frozenset({"told", "second"})),
    Right.REFUSED: (frozenset({"told"}), frozenset({"told"})),
    Right.EITHER: (frozenset({"whole", "told"}), frozenset({"whole", "second"})),
    Right.EITHER_AFTER: (frozenset({"whole", "told"}), frozenset({"whole", "told", "second"})),
}
"""What may come with one provider, and with a healthy second one."""


def judge(raw: bytes, caller: str, shape: Shape, has_second: bool) -> Verdict:
    """The verdict on everything that a caller got; its outcome is ``wrong`` unless it is what the shape allows."""
    verdict = outcome_of(raw, caller, shape)
    allowed = ALLOWED[shape.right][has_second]
    if verdict.outcome == "wrong" or verdict.outcome in allowed:
        return verdict
    return Verdict("wrong", f"{verdict.outcome} where {' or '.join(sorted(allowed))} is right: {verdict.why[:160]}")
