"""What became of each attempt of a request: for its headers, its explanation and its decision record.

Words and numbers only: an exception would hold the frames that it was raised in, and with them the request.
"""

from typing import NamedTuple

from orcestator.routing.planning.catalog import Candidate


class AttemptNote(NamedTuple):
    """One attempt. ``started_s`` is seconds since the loop began with the request, ``seconds`` how long it took to its first
    content, whole reply or failure.

    ``verdict`` is what followed: "" it served, "retry", "fall_back", "give_up", "hedge_lost" (another was quicker) or
    "abandoned" (the caller left). ``is_hedge``: it was started because another was slow. ``is_probe``: the first one after
    the deployment was taken out.
    """

    number: int
    candidate: Candidate
    started_s: float
    seconds: float
    error: str
    cause: str
    upstream_status: int
    verdict: str
    is_hedge: bool
    is_probe: bool
