"""One attempt of a request while it is made, and the record of it when the request has ended.

Words and numbers only: an exception would hold the frames that it was raised in, and with them the request.
"""

from collections.abc import Iterable
from typing import Literal

from orcestator.prices import cost
from orcestator.routing.events import AttemptEnded
from orcestator.routing.planning.catalog import Candidate
from orcestator.usage import NOTHING, Usage

Kind = Literal["", "retry", "fallback", "hedge"]
_new = tuple.__new__
"""Makes a named tuple without a call of its class."""


class Attempt:
    """One attempt; what is not known yet is empty. The fields are those of ``AttemptEnded``, moments are monotonic seconds."""

    __slots__ = (
        "candidate", "cause", "error", "is_over", "is_probe", "kind", "lasted", "maybe_billed", "seconds", "started",
        "status", "usage", "verdict",
    )  # fmt: skip

    def __init__(self, candidate: Candidate, started: float, kind: Kind = "") -> None:
        self.candidate = candidate
        self.started = started
        self.kind = kind
        self.is_probe = False
        self.is_over = False
        """It has been told of, whatever still comes of it."""
        self.error = self.cause = self.verdict = ""
        self.status = 0
        self.seconds = self.lasted = 0.0
        self.maybe_billed = False
        self.usage: Usage | None = None


def records_of(attempts: Iterable[Attempt], since: float, prompt_tokens: int) -> tuple[AttemptEnded, ...]:
    """The records of a request's attempts, which are over. ``since`` is when the request came.

    ``prompt_tokens`` is an estimate of its prompt: what those may have been billed for that served nobody.
    """
    told: list[AttemptEnded] = []
    for number, attempt in enumerate(attempts, 1):
        candidate, usage = attempt.candidate, attempt.usage
        if usage is None:
            usage = Usage(prompt_tokens, tokens_estimated=True) if attempt.maybe_billed else NOTHING
        deployment = candidate.deployment
        told.append(_new(AttemptEnded, (
            number, deployment.provider, deployment.model, deployment.worker, deployment.credential, candidate.name,
            attempt.kind, attempt.is_probe, attempt.error, attempt.cause, attempt.status, attempt.verdict,
            attempt.started - since, attempt.seconds, attempt.lasted or attempt.seconds, attempt.maybe_billed,
            usage, 0 if usage is NOTHING else cost(candidate.traits.prices, usage),
        )))  # fmt: skip
    return tuple(told)
