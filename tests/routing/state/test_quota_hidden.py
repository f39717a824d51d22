"""Upstreams that keep their limits to themselves, of all kinds, at any phase: they refuse once or twice, whatever the traffic is like."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.routing.quota_upstream import CountingUpstream

KINDS = st.sampled_from(["fixed", "sliding", "bucket"])
PHASES = st.floats(0, 59)


def most_within_two_minutes(upstream: CountingUpstream) -> int:
    return max((sum(at <= one < at + 120.0 for one in upstream.hit_at) for at in upstream.hit_at), default=0)


class Hidden(RuleBasedStateMachine):
    """What was sent before the first refusal came back does not count. All of it takes less than an hour."""

    most_hits = 1
    upstream: CountingUpstream | None = None

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.3, 1.0, 2.5, 7.0, 20.0, 61.0, 130.0]))
    def time_passes(self, seconds: float) -> None:
        self.begun.pass_time(seconds)

    @rule(times=st.integers(1, 30), seconds=st.sampled_from([0.0, 0.05, 0.5, 3.0]))
    def requests_one_after_another(self, times: int, seconds: float) -> None:
        for _ in range(times):
            self.begun.send()
            self.begun.answer(-1)
            self.begun.pass_time(seconds)

    @rule(times=st.integers(1, 30))
    def requests_at_once(self, times: int) -> None:
        for _ in range(times):
            self.begun.send()

    @precondition(lambda self: self.upstream and self.upstream.under_way)
    @rule(place=st.integers(0, 100))
    def an_answer_comes(self, place: int) -> None:
        self.begun.answer(place)

    @precondition(lambda self: self.upstream and self.upstream.hits and not self.upstream.under_way)
    @rule()
    def we_start_anew(self) -> None:
        self.begun.ledger.restart()

    @invariant()
    def it_is_not_hit_again(self) -> None:
        assert self.upstream is None or self.worst(self.upstream) <= self.most_hits

    def worst(self, upstream: CountingUpstream) -> int:
        """The refusals that count."""
        return upstream.hits

    @invariant()
    def a_ceiling_is_never_above_the_truth(self) -> None:
        if self.upstream is None or not self.upstream.hits or self.upstream.under_way:
            return
        for state in self.upstream.ledger.book.states(self.upstream.ledger.now):
            assert 1.0 <= state.limit <= self.upstream.requests

    @property
    def begun(self) -> CountingUpstream:
        assert self.upstream is not None
        return self.upstream


class Silent(Hidden):
    """It says nothing: one refusal is more often a moment's trouble, a second within two minutes is a limit, and there is no third."""

    most_hits = 2

    def worst(self, upstream: CountingUpstream) -> int:
        """The most within two minutes."""
        return most_within_two_minutes(upstream)

    @initialize(requests=st.integers(3, 40), kind=KINDS, phase=PHASES)
    def begin(self, requests: int, kind: str, phase: float) -> None:
        self.upstream = CountingUpstream(requests, kind, phase)  # type: ignore[arg-type]


class Waiting(Hidden):
    """It says when to come back."""

    @initialize(requests=st.integers(5, 40), kind=KINDS, phase=PHASES, says=st.sampled_from(["wait", "whole seconds"]))
    def begin(self, requests: int, kind: str, phase: float, says: str) -> None:
        self.upstream = CountingUpstream(requests, kind, phase, says)  # type: ignore[arg-type]


class Tiny(Hidden):
    """It takes one or two a minute: a first refusal looks like a moment's trouble, a second one does not."""

    most_hits = 2

    def worst(self, upstream: CountingUpstream) -> int:
        """Where it says nothing, the most within two minutes: bare refusals further apart are a moment's trouble each."""
        return upstream.hits if upstream.says != "nothing" else most_within_two_minutes(upstream)

    @initialize(
        requests=st.integers(1, 2), kind=KINDS, phase=PHASES, says=st.sampled_from(["nothing", "wait", "whole seconds"])
    )
    def begin(self, requests: int, kind: str, phase: float, says: str) -> None:
        self.upstream = CountingUpstream(requests, kind, phase, says)  # type: ignore[arg-type]


PATIENCE = settings(max_examples=80, stateful_step_count=25, deadline=None)
Silent.TestCase.settings = Waiting.TestCase.settings = Tiny.TestCase.settings = PATIENCE
TestSilent, TestWaiting, TestTiny = Silent.TestCase, Waiting.TestCase, Tiny.TestCase
