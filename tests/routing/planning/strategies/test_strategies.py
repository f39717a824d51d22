"""What holds for every strategy."""

from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.routing.planning.strategies import STRATEGIES
from orcestator.routing.reading.preferences import Preferences
from orcestator.settings.choices import StrategyName
from tests.routing.planning.strategies.situations import NOW, Scene, candidate

_traits = st.fixed_dictionaries(
    {},
    optional={
        "input_price": st.floats(0, 100), "output_price": st.floats(0, 100), "is_free": st.booleans(),
        "quality": st.floats(0, 100), "speed_tier": st.sampled_from(["fast", "medium", "slow", "odd"]),
        "weight": st.integers(1, 100), "max_concurrent": st.integers(0, 3),
    },
)  # fmt: skip
_history = st.lists(
    st.tuples(st.sampled_from(["call", "fail", "hold"]), st.integers(0, 5), st.floats(0, 500)), max_size=12
)


@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("name", STRATEGIES)
@given(
    st.lists(_traits, min_size=1, max_size=6), _history, st.sampled_from([None, "low", "high"]),
    st.sampled_from([None, "premium"]), st.sampled_from([None, 0.0, 0.5]), st.booleans(), st.integers(0, 10**6),
)  # fmt: skip
def test_an_order_is_a_permutation(
    name: str, traits: list[Any], history: Any, urgency: Any, quality: Any, budget: Any, streamed: bool, tokens: int
) -> None:
    candidates = [candidate("abcdef"[place], **known) for place, known in enumerate(traits)]
    scene, strategy, now = Scene(), STRATEGIES[name](), NOW
    for kind, place, passed in history:
        now += passed
        one = candidates[place % len(candidates)]
        getattr(scene, kind)(one, **({} if kind == "hold" else {"now": now}))
        strategy.served(scene.at(now, conversation="c.s").ask, one, now)
    situation = scene.at(
        now, Preferences(urgency=urgency, quality=quality, budget=budget), tokens, streamed=streamed, conversation="c.s"
    )
    scored = strategy.order(candidates, situation)

    assert sorted(one.candidate.deployment.provider for one in scored) == sorted("abcdef"[: len(candidates)])
    assert all(one.score == one.score for one in scored)  # no NaN
    assert all(0.0 <= factor <= 100.0 for one in scored if one.factors for factor in one.factors)


def test_the_settings_know_these_strategies_and_no_others() -> None:
    assert set(get_args(StrategyName)) == set(STRATEGIES)


@pytest.mark.parametrize("name", ["priority", "score", "cheapest", "fastest", "shortest_queue", "adaptive", "sticky"])
def test_equals_stay_in_their_order(name: str) -> None:
    """What was written first is tried first, while nothing else is known."""
    scored = STRATEGIES[name]().order([candidate(provider) for provider in "bac"], Scene().at())
    assert [one.candidate.deployment.provider for one in scored] == ["b", "a", "c"]
