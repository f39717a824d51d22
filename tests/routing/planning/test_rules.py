"""Routing rules: when a condition holds, which rule wins, and what a bad condition is told."""

from typing import Any

import pytest

from orcestator.routing.planning.rules import FIELDS, Rule, check_condition, holds, rule_for
from orcestator.routing.reading.needs import Needs
from orcestator.routing.reading.preferences import Preferences
from orcestator.routing.reading.request import RoutingRequest

PLAIN = RoutingRequest(("gpt-4",), "chat")
RICH = RoutingRequest(
    ("auto", "gpt-4"),
    "chat",
    Preferences(frozenset({"code", "math"}), "fast", 32_000, urgency="high", quality="premium", budget=0.005),
    Needs(frozenset(), frozenset(), 700),
    streamed=True,
    caller="key-1",
    user="anna",
)


@pytest.mark.parametrize(
    ("condition", "plain", "rich"),
    [
        ({}, True, True),
        ({"urgency": "high", "quality": "premium"}, False, True),
        ({"urgency": "medium", "quality": "standard"}, True, False),
        ({"urgency": ["low", "high"]}, False, True),
        ({"budget": {"max": 0.01}}, False, True),
        ({"budget": {"min": 0.006}}, False, False),
        ({"budget": 0.005}, False, True),
        ({"model": "gpt-4"}, True, True),
        ({"model": ["x", "auto"]}, False, True),
        ({"user": "key-1"}, False, True),
        ({"user": "anna"}, False, True),
        ({"caller": "anna"}, False, False),
        ({"caller": ["key-1", "key-2"]}, False, True),
        ({"type": "fast"}, False, True),
        ({"tags": "code"}, False, True),
        ({"tags": ["music", "math"]}, False, True),
        ({"min_context_size": {"min": 10_000}}, False, True),
        ({"endpoint": "chat"}, True, True),
        ({"endpoint": "embeddings"}, False, False),
        ({"streamed": False}, True, False),
        ({"tokens": {"min": 100, "max": 700}}, False, True),
        ({"tokens": {"max": 699}}, True, False),
    ],
)
def test_when_a_condition_holds(condition: dict[str, Any], plain: bool, rich: bool) -> None:
    check_condition(condition)
    assert holds(condition, PLAIN) is plain
    assert holds(condition, RICH) is rich


def test_the_lowest_priority_number_wins_and_of_equals_the_first() -> None:
    rules = (
        Rule("late", {}, "a", 3),
        Rule("off", {}, "b", 0, is_active=False),
        Rule("first", {"model": "gpt-4"}, "c", 1),
        Rule("second", {}, "d", 1),
        Rule("no", {"urgency": "low"}, "e", 0),
    )
    assert (rule_for(rules, PLAIN) or rules[0]).id == "first"
    assert rule_for((rules[4],), PLAIN) is None
    assert rule_for((), PLAIN) is None


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        (["urgency"], "must be an object with any of urgency, quality"),
        ({"urgncy": "high"}, "knows no 'urgncy'. Did you mean 'urgency'\\?"),
        ({"zzz": 1}, "knows no 'zzz'. There are urgency"),
        ({7: 1}, "knows no '7'"),
        ({"urgency": "hihg"}, "'urgency' takes high, low, medium"),
        ({"quality": ["premium", "best"]}, "'quality' takes premium, standard"),
        ({"urgency": {"max": 1}}, "'urgency' takes a word"),
        ({"budget": "cheap"}, "'budget' takes a number"),
        ({"budget": {}}, "the numbers min, max or both"),
        ({"budget": {"maximum": 1}}, "the numbers min, max or both"),
        ({"budget": {"max": "1"}}, "the numbers min, max or both"),
        ({"budget": {"min": 5, "max": 1}}, "'budget' has a min above its max"),
        ({"tokens": True}, "'tokens' takes a number"),
        ({"streamed": "yes"}, "'streamed' takes true or false"),
        ({"model": []}, "'model' takes a word, or a list"),
        ({"model": [["x"]]}, "'model' takes a word, or a list"),
        ({"tags": ""}, "'tags' takes a word"),
    ],
)
def test_a_bad_condition_is_told_what_is_wrong(condition: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_condition(condition)


def test_every_field_can_be_asked_of_a_plain_request() -> None:
    assert all(isinstance(values(PLAIN), tuple | frozenset) for values in FIELDS.values())
