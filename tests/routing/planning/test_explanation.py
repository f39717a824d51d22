"""A plan in words and figures."""

import json
from typing import Any

from orcestator.routing.planning.explanation import explanation
from orcestator.routing.planning.plan import PlanPolicy
from orcestator.routing.planning.rules import Rule
from orcestator.routing.reading.preferences import Preferences
from tests.routing.planners import NOW, World


def test_all_of_a_plan_is_told() -> None:
    rule = Rule("r1", {"urgency": "high"}, "b")
    facts: dict[str, dict[str, Any]] = {
        "a": {},
        "b": {"pricing": {"input": 2.0, "output": 4.0}},
        "c": {},
        "d": {},
        "e": {"available": False},
    }
    world = World(facts, "score", PlanPolicy(rules=(rule,)))
    world.call("b", 0.5, times=9)
    world.call("b", failures=1)
    world.open("c")
    world.cool("d", 12.0)
    plan = world.plan(Preferences(urgency="high"), tokens=1_000_000, output_tokens=500_000)
    told = explanation(plan, NOW + 2, world.stats)

    json.dumps(told, allow_nan=False)
    assert (told["strategy"], told["rule"], told["not_considered"]) == ("score", "r1", 0)
    first, second = told["candidates"]
    assert (first["place"], first["provider"], first["model"], first["name"], first["tier"]) == (1, "b", "m", "auto", 0)
    assert (first["estimated_cost"], first["success_rate"], first["latency"], first["calls"]) == (4.0, 0.9, 0.5, 10)
    assert set(first["factors"]) == {"cost", "speed", "quality", "availability", "reliability"}
    assert (second["provider"], second["estimated_cost"], second["success_rate"], second["latency"]) == (
        "a",
        None,
        None,
        None,
    )
    assert [one["provider"] for one in told["reserve"]] == ["c"]
    left_out = {one["provider"]: (one["reason"], one["seconds_left"]) for one in told["excluded"]}
    assert left_out == {"d": ("cooldown", 10.0), "e": ("unavailable", None)}
    assert all(one["detail"] for one in told["excluded"])


def test_what_was_asked_for_is_told() -> None:
    """Names, with those that led to nothing, wishes that ask for something, and needs; nothing of the messages."""
    world = World({"a": {}, "b": {}})
    preferences = Preferences(tags=frozenset(), only=("a", "b"), budget=0.5)
    plan = world.plan(preferences, names=("zzz", "b/m", "auto", "a/m"), parameters={"tools"}, output_tokens=20)
    assert explanation(plan, NOW, world.stats)["asked"] == {
        "names": ["zzz", "b/m", "auto", "a/m"],
        "unused_names": ["zzz", "a/m"],
        "endpoint": "chat",
        "wishes": {"only": ("a", "b"), "budget": 0.5},
        "needs": ["tools"],
        "prompt_tokens": None,
        "output_tokens": 20,
    }


def test_it_can_be_written_as_json_whatever_the_strategy_scores() -> None:
    world = World({"a": {}, "b": {}}, "cheapest", tiers=[["a", "b"]])
    told = explanation(world.plan(), NOW, world.stats)
    assert told["candidates"][0]["score"] is None
    assert told["candidates"][0]["factors"]["cost"] == 50.0
    json.dumps(told, allow_nan=False)


def test_it_draws_no_lots_and_changes_nothing() -> None:
    world = World({"a": {}, "b": {}}, "smart")
    plan = world.plan()
    assert explanation(plan, NOW, world.stats) == explanation(plan, NOW, world.stats)
