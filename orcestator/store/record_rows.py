"""The rows of the ledger, made of events: a column for every field, under the field's own name.

``usage`` becomes a column for each of its classes. Must never import SQLModel: the thread that starts the server reads this.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, get_args, get_type_hints

from orcestator.routing.events import NOT_FACTS, AttemptEnded, RequestEnded
from orcestator.store.rows import Row
from orcestator.usage import Usage

REQUESTS, ATTEMPTS = "request_row", "attempt_row"


class ColumnType(NamedTuple):
    """What a column holds."""

    kind: type
    is_nullable: bool = False


def _columns_of(event: Any) -> dict[str, ColumnType]:
    found: dict[str, ColumnType] = {}
    for name, hint in get_type_hints(event).items():
        if hint is Usage:
            found |= _columns_of(Usage)
        elif name not in NOT_FACTS:
            # Either a type, one of some words, or one that may be unknown.
            choices = get_args(hint) or (hint,)
            kind = choices[0] if isinstance(choices[0], type) else type(choices[0])
            found[name] = ColumnType(kind, type(None) in choices)
    return found


COLUMNS: Mapping[str, Mapping[str, ColumnType]] = {
    REQUESTS: _columns_of(RequestEnded),
    ATTEMPTS: {"request_id": ColumnType(str), **_columns_of(AttemptEnded)},
}
"""The columns of each table by name, in the order of the rows below."""
_USAGE = RequestEnded._fields.index("usage")
_FIRST_LEFT_OUT = min(map(RequestEnded._fields.index, NOT_FACTS))
_ATTEMPT_USAGE = AttemptEnded._fields.index("usage")


def request_row(event: RequestEnded) -> Row:
    """The row of a request. What is not written of it stands together."""
    return (
        *event[:_USAGE],
        *event.usage,
        *event[_USAGE + 1 : _FIRST_LEFT_OUT],
        *event[_FIRST_LEFT_OUT + len(NOT_FACTS) :],
    )


def attempt_row(request_id: str, attempt: AttemptEnded) -> Row:
    """The row of one of its attempts."""
    return (request_id, *attempt[:_ATTEMPT_USAGE], *attempt.usage, *attempt[_ATTEMPT_USAGE + 1 :])
