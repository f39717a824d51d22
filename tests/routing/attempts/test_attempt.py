"""The records of attempts: winners, losers and failures alike, with what they used and what that costs."""

from orcestator.prices import prices_of
from orcestator.routing.attempts.attempt import Attempt, records_of
from orcestator.routing.events import AttemptEnded, cost_of_serving
from orcestator.routing.offer import Deployment
from orcestator.usage import NOTHING, Usage
from tests.routing.plans import candidate_of

AT = candidate_of(
    Deployment("p", "m", "http://worker", "proxy", credential="2"), prices=prices_of({"input": 2.0, "output": 8.0})
)
UNPRICED = candidate_of(Deployment("q", "m", "", "proxy"))


def test_everything_of_an_attempt_that_served() -> None:
    attempt = Attempt(AT, 105.0, "fallback")
    attempt.status, attempt.seconds, attempt.lasted, attempt.is_probe, attempt.usage = (
        200,
        0.5,
        3.0,
        True,
        Usage(1000, 100),
    )
    assert records_of([attempt], 100.0, 7) == (
        AttemptEnded(
            number=1, provider="p", model="m", worker="http://worker", credential="2", name="m", kind="fallback", is_probe=True,
            error="", cause="", upstream_status=200, verdict="", started_s=5.0, latency_s=0.5, total_s=3.0, maybe_billed=False,
            usage=Usage(1000, 100), nano_usd=2_800_000,
        ),
    )  # fmt: skip


def test_what_may_have_been_billed_is_estimated_by_the_prompt() -> None:
    sent, unsent = Attempt(AT, 0.0), Attempt(AT, 0.0)
    sent.maybe_billed, sent.seconds = True, 1.0
    billed, free = records_of([sent, unsent], 0.0, 500)
    assert (billed.usage, billed.nano_usd, billed.total_s) == (Usage(500, 0, tokens_estimated=True), 1_000_000, 1.0)
    assert (free.usage, free.nano_usd) == (NOTHING, 0)


def test_what_has_no_price_has_an_unknown_cost() -> None:
    attempt = Attempt(UNPRICED, 0.0)
    attempt.usage = Usage(10, 1)
    assert records_of([attempt], 0.0, 0)[0].nano_usd is None


def test_a_caller_pays_for_the_answers_that_it_got() -> None:
    broke, lost, won = Attempt(AT, 0.0), Attempt(AT, 0.0), Attempt(AT, 0.0)
    broke.verdict, broke.usage = "broke", Usage(100, 10)
    lost.verdict, lost.maybe_billed = "hedge_lost", True
    won.verdict, won.usage = "hedge_won", Usage(100, 20)
    tried = records_of([broke, lost, won], 0.0, 100)
    assert cost_of_serving(tried) == 280_000 + 360_000
    assert cost_of_serving((*tried, tried[0]._replace(nano_usd=None))) is None
    assert cost_of_serving(()) == 0
