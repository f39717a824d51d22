"""One request as routing sees it: no message text in it, so that it may be kept for an explanation."""

from typing import NamedTuple

from orcestator.routing.reading.needs import Needs
from orcestator.routing.reading.preferences import NO_PREFERENCES, Preferences

NO_NEEDS = Needs(frozenset(), frozenset(), 0)
USUAL_OUTPUT_TOKENS = 500
"""What an answer is taken to be when its caller set no limit: only used to compare prices."""


class RoutingRequest(NamedTuple):
    """``names`` are tried in their order. ``output_tokens`` is the caller's limit or expectation, 0 for none.

    ``conversation`` tells conversations apart, "" where nothing is sticky. ``priority`` is higher for who may go first. ``user`` is
    who the caller says it asks for. ``is_question``: nobody will be called, so that nobody's turn is taken.
    """

    names: tuple[str, ...]
    endpoint: str
    preferences: Preferences = NO_PREFERENCES
    needs: Needs = NO_NEEDS
    output_tokens: int = 0
    streamed: bool = False
    caller: str = ""
    conversation: str = ""
    priority: int = 0
    user: str = ""
    is_question: bool = False

    def expected_output(self) -> int:
        """Tokens of the answer, for comparing prices."""
        return self.output_tokens or USUAL_OUTPUT_TOKENS
