"""A stream that goes on with another model after it broke, where its caller or the configuration asked for that."""

from dataclasses import replace

from orcestator.dialects.openai.resumed import Broken, head_in
from orcestator.json_text import Json, dumps
from orcestator.routing.attempts.continuation import can_continue, continued_call
from orcestator.routing.attempts.fallback import Place
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.plan import Plan
from orcestator.upstream.call import OPENAI, FlowingAnswer, UpstreamCall
from orcestator.usage import Usage

CONTINUE_HEADER = b"x-orcestator-continue"
MOST_TEXT = 1 << 20
"""Characters of an answer that are kept for it; a longer one is not continued."""


class Continuing:
    """What of one answer was sent so far: its head, and the text and tokens of those streams that broke.

    Who broke once is not asked again for the same answer: a deployment that breaks every stream would be called, and paid,
    until the deadline.
    """

    def __init__(self) -> None:
        self.head: Json | None = None
        self.text = ""
        self._asked: Json | None = None
        self._prompt = 0
        self._tokens = 0
        self._broken: set[Place] = set()

    def see(self, frames: bytes) -> None:
        """The first frames of the answer."""
        self.head = head_in(frames)

    def counted(self, usage: Usage) -> Usage:
        """Tokens of the whole: what the last model was given of the answer is no prompt. ``usage`` is of what came last."""
        prompt = max(0, usage.prompt_tokens - self._tokens) or self._prompt
        return usage._replace(prompt_tokens=prompt, completion_tokens=usage.completion_tokens + self._tokens)

    def rest(
        self, plan: Plan, order: UpstreamCall, answer: FlowingAnswer, served: Candidate | None
    ) -> tuple[Plan | None, UpstreamCall]:
        """The plan and the order for what is left of an answer of ``served`` that broke; no plan where nobody can go on with it."""
        if served is not None:
            self._broken.add(served.deployment[:3])
        text = self.text + answer.text
        call = self._asked or order.call
        if call is None or self.head is None or len(text) >= MOST_TEXT:
            return None, order
        others = [one for one in (*plan.candidates, *plan.reserve) if one.deployment[:3] not in self._broken]
        able = set(can_continue(call, text, others))
        scored = tuple(one for one in plan.scored if one.candidate in able)
        reserve = tuple(candidate for candidate in plan.reserve if candidate in able)
        if not scored and not reserve:
            return None, order
        self.text, self._asked = text, call
        self._prompt = self._prompt or answer.usage.prompt_tokens
        self._tokens += answer.usage.completion_tokens
        going_on = continued_call(call, text)
        rest = replace(
            order,
            call=going_on,
            own=going_on,
            body=dumps(going_on),
            dialect=OPENAI,
            broken=Broken(self.head, self._tokens),
            _canonical_body=b"",
        )
        return replace(plan, scored=scored, reserve=reserve), rest
