"""The plan: what is tried, in which order, and why the rest is not."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.errors import InvalidRequest, ModelNotFound, NothingLeft
from orcestator.routing.offer import Offer
from orcestator.routing.planning.catalog import Alias, Catalog
from orcestator.routing.planning.plan import MANY, MOST_TIERS, SAMPLE, Plan, Planner, PlanPolicy
from orcestator.routing.planning.rules import Rule
from orcestator.routing.planning.strategies import STRATEGIES
from orcestator.routing.reading.preferences import Preferences
from tests.routing.failures import deployment
from tests.routing.planners import CHAT, NOW, World, providers
from tests.routing.plans import candidate_of, plan_of

PRICED = {"pricing": {"input": 1.0, "output": 2.0}}
FREE = {"pricing": {"input": 0.0, "output": 0.0}}


def reasons(plan: Plan) -> dict[str, str]:
    """Why each provider was left out."""
    return {one.candidate.deployment.provider: one.reason for one in plan.excluded}


def test_all_that_are_well_are_tried_in_their_order() -> None:
    plan = World({"a": {}, "b": {}, "c": {}}).plan()

    assert (providers(plan.candidates), plan.reserve, plan.excluded) == (["a", "b", "c"], (), ())
    assert (plan.strategy, plan.rule, plan.unconsidered) == ("priority", "", 0)


@pytest.mark.parametrize(
    ("facts", "preferences", "reason", "field"),
    [
        ({"tags": ["chat"]}, Preferences(tags=frozenset({"code"})), "tags", "tags"),
        ({"type": "slow"}, Preferences(type="fast"), "type", "type"),
        ({"context_length": 8000}, Preferences(min_context_size=32_000), "min_context_size", "min_context_size"),
        ({}, Preferences(min_context_size=32_000), "min_context_size", "min_context_size"),
        ({"json_response": False}, Preferences(json_response=True), "json_response", "json_response"),
        ({}, Preferences(only=("b",)), "only", "provider.only"),
        ({}, Preferences(ignore=("a",)), "ignore", "provider.ignore"),
        (PRICED, Preferences(max_prompt_price=0.5), "max_price", "provider.max_price"),
        (PRICED, Preferences(max_completion_price=1.5), "max_price", "provider.max_price"),
        (PRICED, Preferences(budget=0.0001), "budget", "budget"),
    ],
)
def test_what_is_not_as_wished_is_left_out_and_alone_refused(
    facts: dict[str, Any], preferences: Preferences, reason: str, field: str
) -> None:
    good = {
        "tags": ["code"], "type": "fast", "context_length": 64_000, "json_response": True,
        "pricing": {"input": 0.1, "output": 0.1},
    }  # fmt: skip
    both = World({"a": facts, "b": good}).plan(preferences)
    assert (providers(both.candidates), reasons(both)) == (["b"], {"a": reason})

    preferences = preferences._replace(only=("z",)) if reason == "only" else preferences
    with pytest.raises(InvalidRequest, match=f"'{field}' leaves out 1") as caught:
        World({"a": facts}).plan(preferences)
    assert caught.value.param == field


def test_a_refusal_of_preferences_says_what_there_is() -> None:
    with pytest.raises(InvalidRequest, match="There are tags: chat, math"):
        World({"a": {"tags": ["chat"]}, "b": {"tags": ["math"]}}).plan(Preferences(tags=frozenset({"code"})))


@pytest.mark.parametrize(
    ("preferences", "says"),
    [
        (
            Preferences(tags=frozenset({"code"})),
            r"None of the 2 deployments of 'auto' is all .* 'tags' leaves out 2\. There are tags: chat",
        ),
        (Preferences(type="slow"), "There are types: fast"),
        (Preferences(min_context_size=99_999), "The largest known context is 64000 tokens"),
        (Preferences(only=("z",)), "It is at: a, b"),
        (Preferences(max_prompt_price=0.5), r"The lowest of their prices is 1 \(prompt\) and 2 \(completion\)"),
        (Preferences(budget=0.0001), "It would cost about 0.001 dollars or more"),
    ],
)
def test_a_refusal_says_what_could_be_asked_for(preferences: Preferences, says: str) -> None:
    """A model with two keys is one deployment; the paid fallback is none that was asked for."""
    facts = {**PRICED, "tags": ["chat"], "type": "fast", "context_length": 64_000}
    offers = [
        Offer("a", 0, CHAT, {"m": facts}, credentials=("", "2")),
        Offer("b", 1, CHAT, {"m": facts}),
        Offer("paid", 2, CHAT, {"m": {**facts, "tags": ["code"]}}),
    ]
    with pytest.raises(InvalidRequest, match=says):
        World({"a": {}, "b": {}, "paid": {}}, offers=offers, paid_fallback="paid/m").plan(preferences)


def test_a_refusal_of_one_deployment() -> None:
    with pytest.raises(InvalidRequest, match="The only deployment of 'auto' is not all that was asked for"):
        World({"a": {}}).plan(Preferences(type="fast"))


def test_providers_are_meant_however_they_are_written() -> None:
    world = World({"Groq": {}, "b": {}})
    assert world.order(Preferences(ignore=("groq",))) == ["b"]
    assert world.order(Preferences(only=("groq",))) == ["Groq"]
    assert World({"b": {}, "Groq": {}}).order(Preferences(order=("groq",))) == ["Groq", "b"]


def test_who_is_known_to_answer_in_json_comes_before_who_may() -> None:
    world = World({"a": {}, "b": {"json_response": True}, "c": {"json_response": False}})
    assert world.order(Preferences(json_response=True)) == ["b", "a"]
    assert world.order(Preferences()) == ["a", "b", "c"]


def test_the_strategy_that_is_told_is_the_one_that_was_used() -> None:
    assert World({"a": {}, "b": {}}).plan(Preferences(prefer_fast=True)).strategy == "fastest"
    world = World({"a": {"tags": ["code"]}, "b": {}}, "score")
    assert world.plan(names=("b/m", "auto")).strategy == "adaptive"
    assert world.plan(Preferences(tags=frozenset({"code"})), names=("b/m", "auto")).strategy == "score"


@pytest.mark.parametrize("strategy", ["round_robin", "priority"])
def test_a_question_takes_nobodys_turn(strategy: str) -> None:
    """Neither among options nor among the keys of one."""
    offers = [Offer("a", 0, CHAT, {"m": {}}, credentials=("", "2")), Offer("b", 1, CHAT, {"m": {}})]
    world = World({"a": {}, "b": {}}, strategy, offers=offers)
    for _ in range(6):
        asked = [world.plan(is_question=True).candidates for _ in range(3)]
        assert asked == [world.plan().candidates] * 3


def test_what_is_not_known_of_price_and_json_excludes_nobody() -> None:
    preferences = Preferences(json_response=True, max_prompt_price=0.1, max_completion_price=0.1, budget=0.001)
    assert World({"a": {}}).order(preferences) == ["a"]


def test_a_success_rate_counts_from_five_calls_and_is_forgotten() -> None:
    world = World({"a": {}, "b": {}})
    world.call("a", failures=4)
    assert world.order(Preferences(min_success_rate=0.8)) == ["a", "b"]
    world.call("a", failures=1)
    assert reasons(world.plan(Preferences(min_success_rate=0.8))) == {"a": "min_success_rate"}
    assert world.order(Preferences(min_success_rate=0.8), now=NOW + 300) == ["a", "b"]


@pytest.mark.parametrize(
    ("facts", "more", "reason"),
    [
        ({"supported_parameters": ["seed"]}, {"parameters": {"tools"}}, "needs"),
        ({"input_modalities": ["text"]}, {"modalities": {"image"}}, "needs"),
        ({"context_length": 1000}, {"tokens": 1001}, "context"),
        ({"context_length": 1000}, {"tokens": 800, "output_tokens": 201}, "context"),
    ],
)
def test_what_lacks_a_need_is_left_out_unless_all_do(facts: dict[str, Any], more: dict[str, Any], reason: str) -> None:
    plan = World({"a": facts, "b": {}}).plan(**more)
    assert (providers(plan.candidates), reasons(plan)) == (["b"], {"a": reason})

    assert World({"a": facts, "c": facts}).order(**more) == ["a", "c"]


def test_all_lacking_is_decided_over_all_tiers() -> None:
    facts = {"a": {"context_length": 10}, "b": {"context_length": 5000}}
    world = World(facts, tiers=[["a"], ["b"]])
    assert world.order(tokens=100) == ["b"]
    assert world.order(tokens=9999) == ["a", "b"]


def test_what_is_switched_off_is_left_out() -> None:
    world = World({"a": {"available": False}, "b": {}})
    assert reasons(world.plan()) == {"a": "unavailable"}
    with pytest.raises(ModelNotFound, match="'available' is false"):
        World({"a": {"available": False}}).plan()


def test_an_open_breaker_is_the_reserve_soonest_back_first() -> None:
    world = World({"a": {}, "b": {}, "c": {}})
    world.open("a", NOW - 1)
    world.open("b", NOW - 2)
    plan = world.plan()
    assert (providers(plan.candidates), providers(plan.reserve)) == (["c"], ["b", "a"])


def test_the_last_one_is_never_thrown_out() -> None:
    world = World({"a": {}})
    world.open("a")
    assert providers(world.plan().reserve) == ["a"]


def test_a_pause_that_was_asked_for_is_kept_and_alone_refused_until_then() -> None:
    world = World({"a": {}, "b": {}})
    world.cool("a", 30.0)
    plan = world.plan()
    assert (providers(plan.candidates), reasons(plan), plan.excluded[0].until) == (["b"], {"a": "cooldown"}, NOW + 30)
    world.cool("b", 20.0)
    with pytest.raises(NothingLeft) as caught:
        world.plan()
    assert caught.value.retry_after == 20.0
    assert world.order(now=NOW + 31)[0] in "ab"


def test_a_quota_that_is_used_up_is_not_called() -> None:
    world = World({"a": {}, "b": {}})
    for provider, since in (("a", 20.0), ("b", 5.0)):
        world.quota.limit(provider, "", "m", {"rpm": 1})
        assert world.order() == sorted(world.order())
        world.quota.take(provider, "", "m", 10, NOW - since)
        if provider == "a":
            assert reasons(world.plan()) == {"a": "quota"}
    with pytest.raises(NothingLeft, match=r"2 by quota.*back in [0-9]+ s") as caught:
        world.plan()
    assert caught.value.retry_after == pytest.approx(40.0, abs=2.0)


def test_a_model_that_is_gone_is_not_tried() -> None:
    world = World({"a": {}, "b": {}})
    world.lose("a")
    assert reasons(world.plan()) == {"a": "permanently_unavailable"}
    world.lose("b")
    with pytest.raises(ModelNotFound, match="do not have it any more"):
        world.plan()


def test_who_recovers_gets_its_share() -> None:
    world = World({"a": {}, "b": {}}, tiers=[["a"], ["b"]])
    world.open("a", NOW - 100)
    world.health.started(world.at("a"), NOW)
    world.health.succeeded(world.at("a"), NOW)
    first = Counter(world.order(now=NOW + 3)[0] for _ in range(500))
    assert 130 < first["a"] < 240  # a share of 0.37: it was out for 100 s, so that its slow start takes 10
    assert world.order(now=NOW + 60) == ["a", "b"]


def test_who_is_full_goes_behind_the_others_but_not_behind_the_paid_fallback() -> None:
    world = World({"a": {"max_concurrent": 1}, "b": {}, "paid": PRICED}, tiers=[["a"], ["b"]], paid_fallback="paid/m")
    world.stats.started(world.at("a"))
    assert world.order() == ["b", "a", "paid"]
    world.stats.abandoned(world.at("a"))
    assert world.order() == ["a", "b", "paid"]


def test_a_rule_comes_before_the_order_and_the_paid_fallback_last() -> None:
    rules = (
        Rule("fast", {"urgency": "high"}, "b", 2),
        Rule("best", {"urgency": "high", "quality": "premium"}, "paid", 1),
    )
    world = World({"a": {}, "b": {}, "paid": {}}, policy=PlanPolicy(rules=rules), paid_fallback="paid/m")
    plan = world.plan(Preferences(urgency="high"))
    assert (providers(plan.candidates), plan.rule) == (["b", "a", "paid"], "fast")
    plan = world.plan(Preferences(urgency="high", quality="premium"))
    assert (providers(plan.candidates), plan.rule) == (["a", "b", "paid"], "best")
    assert world.plan().rule == ""


def test_the_callers_order_of_providers() -> None:
    world = World({"a": {}, "b": {}, "c": {}})
    assert world.order(Preferences(order=("c", "z", "b"))) == ["c", "b", "a"]


def test_names_are_tried_in_their_order_whatever_is_sorted() -> None:
    offers = [
        Offer("a", 0, CHAT, {"one": {"pricing": {"input": 9.0, "output": 9.0}}, "two": {"pricing": {"input": 3.0, "output": 3.0}}}),
        Offer("b", 1, CHAT, {"one": {"pricing": {"input": 5.0, "output": 5.0}}, "two": {"pricing": {"input": 1.0, "output": 1.0}}}),
    ]  # fmt: skip
    world = World({}, offers=offers)
    plan = world.plan(Preferences(sort="price"), names=("one", "two"))
    assert [candidate.deployment[:2] for candidate in plan.candidates] == [
        ("b", "one"),
        ("a", "one"),
        ("b", "two"),
        ("a", "two"),
    ]
    plan = world.plan(Preferences(order=("a",)), names=("one", "two"))
    assert [candidate.deployment[:2] for candidate in plan.candidates] == [
        ("a", "one"),
        ("b", "one"),
        ("a", "two"),
        ("b", "two"),
    ]


def test_sorting_by_latency_and_throughput_takes_the_speed_tier_for_what_is_not_measured() -> None:
    world = World({"a": {"speed_tier": "slow"}, "b": {"speed_tier": "fast"}, "c": {}, "d": {}})
    assert world.order(Preferences(sort="latency")) == ["b", "c", "d", "a"]
    assert world.order(Preferences(sort="throughput")) == ["b", "c", "d", "a"]
    world.call("a", 0.1, times=9, rate=50.0)
    world.call("d", 9.0, times=9, rate=80.0)
    assert world.order(Preferences(sort="latency"))[0] == "a"
    assert world.order(Preferences(sort="throughput")) == ["d", "a", "b", "c"]
    assert world.order(Preferences(prefer_fast=True))[0] == "a"


def test_free_before_paid_inside_a_tier_and_the_paid_fallback_last() -> None:
    facts = {"a": PRICED, "b": FREE, "c": PRICED, "d": FREE, "paid": FREE}
    world = World(facts, policy=PlanPolicy(free_first=True), paid_fallback="paid/m")
    assert world.order() == ["b", "d", "a", "c", "paid"]
    world = World(facts, policy=PlanPolicy(free_first=True), tiers=[["a"], ["b"]])
    assert world.order() == ["a", "b"]


@pytest.mark.parametrize(
    "policy",
    [PlanPolicy(max_response_seconds=2.0), PlanPolicy(min_success_rate=0.9), PlanPolicy(max_error_rate=0.1)],
    ids=["slow", "success", "errors"],
)
def test_who_breaks_a_condition_of_falling_back_goes_behind_and_comes_back(policy: PlanPolicy) -> None:
    world = World({"a": {}, "b": {}}, tiers=[["a"], ["b"]], policy=policy)
    world.call("a", seconds=5.0, times=2, failures=2)
    assert world.order() == ["a", "b"]  # four calls say little
    world.call("a", seconds=5.0, times=1)
    assert world.order() == ["b", "a"]
    world.call("a", seconds=0.1, times=60)
    assert world.order() == ["a", "b"]


def test_no_fallbacks_leaves_the_first_alone() -> None:
    world = World({"a": {}, "b": {}})
    plan = world.plan(Preferences(allow_fallbacks=False))
    assert (providers(plan.candidates), reasons(plan)) == (["a"], {"b": "no_fallbacks"})
    world.open("a")
    assert providers(world.plan(Preferences(allow_fallbacks=False)).candidates) == ["b"]
    world.open("b")
    plan = world.plan(Preferences(allow_fallbacks=False))
    assert (plan.candidates, len(plan.reserve), len(plan.excluded)) == ((), 1, 1)


def test_another_name_is_a_fallback_too() -> None:
    world = World({"a": {}, "b": {}})
    world.open("a")
    plan = world.plan(Preferences(allow_fallbacks=False), names=("a/m", "b/m"))
    assert (plan.candidates, providers(plan.reserve), reasons(plan)) == ((), ["a"], {"b": "no_fallbacks"})


def test_the_paid_fallback_needs_no_tags_but_something_that_has_them() -> None:
    world = World({"a": {"tags": ["code"]}, "paid": PRICED}, paid_fallback="paid/m")
    assert world.order(Preferences(tags=frozenset({"code"}))) == ["a", "paid"]
    world.cool("a", 30.0)
    assert world.order(Preferences(tags=frozenset({"code"}))) == ["paid"]
    with pytest.raises(InvalidRequest, match="'tags'"):
        world.plan(Preferences(tags=frozenset({"cod"})))
    assert world.order(names=("paid/m",)) == ["paid"]


@pytest.mark.parametrize("strategy", sorted(set(STRATEGIES) - {"round_robin"}))
def test_keys_take_turns_whatever_chooses_the_deployment(strategy: str) -> None:
    offers = [Offer("a", 0, CHAT, {"m": {}}, credentials=("", "2", "3"))]
    world = World({"a": {}}, strategy, offers=offers)
    world.call("a", times=9)
    firsts = [world.plan().candidates[0].deployment.credential for _ in range(9)]
    assert Counter(firsts) == {"": 3, "2": 3, "3": 3}


def test_a_conversation_stays_with_its_key() -> None:
    offers = [Offer("a", 0, CHAT, {"m": {"pricing": {"input": 1.0, "output": 1.0}}}, credentials=("", "2", "3"))]
    world = World({"a": {}}, "sticky", offers=offers)
    plan = world.plan(conversation="c.s")
    world.planner.served(plan, plan.candidates[0], NOW)
    assert {world.plan(conversation="c.s").candidates[0] for _ in range(9)} == {plan.candidates[0]}


def test_twins_take_turns_and_the_least_busy_is_first() -> None:
    offers = [Offer("a", 0, CHAT, {"m": {}}, credentials=("", "2"), worker=worker) for worker in ("x", "y")]
    world = World({}, offers=[*offers, Offer("b", 1, CHAT, {"m": {}})])
    firsts = [world.plan(names=("m",)).candidates[0].deployment for _ in range(8)]
    assert set(Counter(firsts).values()) == {2}
    world.stats.started(firsts[0])
    assert firsts[0] not in [world.plan(names=("m",)).candidates[0].deployment for _ in range(8)]
    assert world.plan(names=("m",)).candidates[-1].deployment.provider == "b"


def test_whether_conversations_are_kept() -> None:
    assert World({"a": {}}, "sticky").planner.keeps_conversations
    assert World({"a": {}}, policy=PlanPolicy("sticky")).planner.keeps_conversations
    assert not World({"a": {}}).planner.keeps_conversations


def _many(strategy: str, facts: dict[str, Any], count: int = 1000) -> World:
    models = {f"m{number}": dict(facts) for number in range(count)}
    world = World({}, offers=[Offer("p", 0, CHAT, models)])
    world.catalog = Catalog(
        [Offer("p", 0, CHAT, models)], auto=Alias((tuple(f"p/{name}" for name in models),), strategy)
    )
    return world


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_of_very_many_only_some_are_looked_at(strategy: str) -> None:
    world = _many(strategy, {})
    for _ in range(3):
        plan = world.plan()
        assert len(plan.scored) < 2 * SAMPLE
        assert len(plan.scored) + plan.unconsidered == 1000
        assert len(set(plan.candidates)) == len(plan.candidates)


def test_of_very_many_the_one_that_will_do_is_found() -> None:
    world = _many("cheapest", {})
    offer = Offer("p", 0, CHAT, {**world.catalog.offers[0].models, "m777": {"tags": ["code"]}})
    names = tuple(f"p/{name}" for name in offer.models)
    for strategy in ("cheapest", "priority"):
        world.catalog = Catalog([offer], auto=Alias((names,), strategy))
        plan = world.plan(Preferences(tags=frozenset({"code"})))
        assert [candidate.deployment.model for candidate in plan.candidates] == ["m777"]
        assert len(plan.excluded) + len(plan.scored) + plan.unconsidered == 1000


def test_of_very_many_the_best_is_found_a_few_at_a_time() -> None:
    """The favourites of one request are looked at in the next."""
    world = _many("cheapest", {})
    models = {f"m{n}": {"pricing": {"input": 1.0 + n, "output": 1.0 + n}} for n in range(1000)}
    world.catalog = Catalog(
        [Offer("p", 0, CHAT, models)], auto=Alias((tuple(f"p/{name}" for name in models),), "cheapest")
    )
    for _ in range(1500):
        plan = world.plan()
    assert plan.candidates[0].deployment.model == "m0"


def test_large_tiers_that_are_gone_are_forgotten() -> None:
    world = _many("cheapest", {}, MANY + 1)
    for _ in range(3 * MOST_TIERS):
        world.catalog = _many("cheapest", {}, MANY + 1).catalog
        world.plan()
    assert len(world.planner._favourites) <= MOST_TIERS


_facts = st.fixed_dictionaries(
    {},
    optional={
        "available": st.booleans(), "tags": st.just(["code"]), "context_length": st.sampled_from([100, 10_000]),
        "pricing": st.sampled_from([{"input": 0.0, "output": 0.0}, {"input": 3.0, "output": 9.0}]),
        "supported_parameters": st.sampled_from([["tools"], ["seed"]]), "max_concurrent": st.just(1), "weight": st.integers(1, 9),
    },
)  # fmt: skip
_preferences = st.builds(
    Preferences, tags=st.sampled_from([frozenset(), frozenset({"code"})]), min_context_size=st.sampled_from([0, 5000]),
    prefer_fast=st.booleans(), min_success_rate=st.sampled_from([0.0, 0.9]), urgency=st.sampled_from([None, "high"]),
    quality=st.sampled_from([None, "premium"]), budget=st.sampled_from([None, 0.001]), order=st.sampled_from([(), ("c", "a")]),
    ignore=st.sampled_from([(), ("b",)]), sort=st.sampled_from([None, "price", "latency", "throughput"]),
    allow_fallbacks=st.booleans(),
)  # fmt: skip
_troubles = st.lists(
    st.tuples(st.sampled_from(["open", "cool", "lose", "call", "fail", "busy"]), st.sampled_from("abcdp")), max_size=6
)


@settings(max_examples=150, deadline=None)
@given(
    st.fixed_dictionaries({name: _facts for name in "abcdp"}), st.sampled_from(sorted(STRATEGIES)), _preferences, _troubles,
    st.sampled_from([[["a", "b", "c", "d"]], [["a"], ["b", "c"], ["d"]]]), st.sampled_from([0, 500]), st.booleans(), st.booleans(),
)  # fmt: skip
def test_no_candidate_is_lost_or_invented(
    facts: dict[str, Any],
    strategy: str,
    preferences: Preferences,
    troubles: Any,
    tiers: Any,
    tokens: int,
    tools: bool,
    ruled: bool,
) -> None:
    rules = (Rule("r", {}, "c"),) if ruled else ()
    policy = PlanPolicy(rules=rules, free_first=ruled, max_response_seconds=0.5, min_success_rate=0.7)
    world = World(facts, strategy, policy, "p/m", tiers)
    for kind, provider in troubles:
        if kind == "busy":
            world.stats.started(world.at(provider))
        elif kind == "cool":
            world.cool(provider, 30.0)
        elif kind in ("call", "fail"):
            world.call(provider, times=6 * (kind == "call"), failures=6 * (kind == "fail"))
        else:
            getattr(world, kind)(provider)
    try:
        plan = world.plan(preferences, tokens=tokens, parameters={"tools"} if tools else (), conversation="c.s")
    except (InvalidRequest, NothingLeft, ModelNotFound):
        return
    everything = [*plan.candidates, *plan.reserve, *(one.candidate for one in plan.excluded)]
    assert sorted(providers(everything)) == sorted("abcdp")
    assert plan.candidates or plan.reserve
    tried = providers(plan.candidates)
    assert "p" not in tried[:-1]
    if not preferences.allow_fallbacks:
        assert len(plan.candidates) + len(plan.reserve) == 1


def test_the_planner_is_built_with_nothing_but_what_it_looks_at() -> None:
    world = World({"a": {}})
    planner = Planner(lambda: world.catalog, world.health, world.stats, world.quota, world.rng)
    assert set(planner.strategies) == set(STRATEGIES)
    assert planner.policy.strategy in STRATEGIES


@pytest.mark.parametrize(("output_tokens", "order"), [(200, ["a", "b"]), (201, ["b"])])
def test_a_plan_that_is_known_beforehand_counts_the_answer_too(output_tokens: int, order: list[str]) -> None:
    """Where there is nothing to choose, prompt and answer together have to fit as well."""
    world = World({"a": {"context_length": 1000}, "b": {}}, tiers=[["a"], ["b"]])
    assert world.order(tokens=800, output_tokens=output_tokens) == order


def test_the_last_resort_is_the_only_one_or_one_of_the_reserve() -> None:
    first, second = candidate_of(deployment("a")), candidate_of(deployment("b"))

    assert plan_of([first]).is_last_resort(first)
    assert plan_of([], [first]).is_last_resort(first)
    both = plan_of([first], [second])
    assert not both.is_last_resort(first)
    assert both.is_last_resort(second)
    assert not plan_of([first, second]).is_last_resort(second)
    assert not plan_of([]).has_any
