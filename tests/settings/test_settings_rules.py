"""Routing rules and verdicts of one's own, from the file to what routing takes."""

import pytest

from orcestator.errors import UpstreamRejected
from orcestator.routing.planning.rules import Rule, rule_for
from orcestator.routing.reading.preferences import Preferences
from orcestator.routing.reading.request import RoutingRequest
from orcestator.routing.verdict import Verdicts

RULES = """
routing_rules:
  - {id: big, condition: {tokens: {min: 1000}, user: '007'}, provider: openai, priority: 2}
  - {condition: {urgency: [high, medium], minContextSize: 5, streamed: yes}, provider: groq, isActive: no}
"""
VERDICT = """
verdicts:
  - when: {status: [418, 429], provider: groq, code: full}
    then: {action: fall_back, cooldownSeconds: 2.5, counts: false}
"""


def test_a_rule_is_read_with_its_types(loaded):
    assert loaded(yaml=RULES).rules == (
        Rule("big", {"tokens": {"min": 1000}, "user": "007"}, "openai", 2),
        Rule("rule-2", {"urgency": ["high", "medium"], "min_context_size": 5, "streamed": True}, "groq", 1, is_active=False),
    )  # fmt: skip


def test_a_rule_that_was_read_holds(loaded):
    rules = loaded(yaml="routing_rules: [{condition: {budget: {max: 0.01}}, provider: groq}]\n").rules
    assert rule_for(rules, RoutingRequest(("m",), "chat", Preferences(budget=0.005))) == rules[0]
    assert rule_for(rules, RoutingRequest(("m",), "chat", Preferences(budget=0.5))) is None


def test_a_verdict_that_was_read_is_given(loaded):
    verdicts = Verdicts(loaded(yaml=VERDICT.replace(", code: full", "")).verdicts)
    refused = UpstreamRejected("full", cause="status", upstream_status=418)
    found = verdicts.judge(refused, "groq")
    assert (found.falls_back, found.cooldown_seconds, found.counts) == (True, 2.5, False)
    assert not verdicts.judge(refused, "openai").falls_back


def test_none_is_none(loaded):
    found = loaded(yaml="routing_rules:\nverdicts: []\n")
    assert (found.rules, found.verdicts) == ((), ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("routing_rules: {}\n", "config.yaml, line 1: routing_rules must be a list of rules."),
        ("routing_rules:\n  - {provider: groq}\n", "config.yaml, line 2: routing_rules[0] must have a condition, such as {urgency: high}."),
        ("routing_rules:\n  - {provider: groq, condition: {}}\n", "config.yaml, line 2: routing_rules[0] must have a condition"),
        ("routing_rules:\n  - {provider: groq, condition: x}\n", "config.yaml, line 2: routing_rules[0] must have a condition"),
        ("routing_rules:\n  - condition: {urgency: high}\n", "config.yaml, line 2: routing_rules[0] must name the provider that it prefers."),
        ("routing_rules:\n  - provider: gorq\n    condition: {urgency: high}\n", "config.yaml, line 2: routing_rules[0].provider names no provider: 'gorq' is not known here; the nearest is groq."),
        ("routing_rules:\n  - provider: groq\n    condition:\n      urgncy: high\n", "config.yaml, line 3: routing_rules[0].condition: A condition knows no 'urgncy'. Did you mean 'urgency'?"),
        ("routing_rules:\n  - provider: groq\n    condition: {urgency: now}\n", "config.yaml, line 3: routing_rules[0].condition: The condition 'urgency' takes high, low, medium, or a list of them."),
        ("routing_rules:\n  - provider: groq\n    condition: {model: '${NOBODY}'}\n", "config.yaml, line 3: routing_rules[0].condition.model refers to ${NOBODY}, which is not set."),
        ("routing_rules:\n  - {provider: groq, conditon: {urgency: high}}\n", "config.yaml, line 2: routing_rules[0].conditon is not a key that is known here; the nearest is condition."),
        ("routing_rules:\n  - {id: a, provider: groq, condition: {model: x}}\n  - {id: a, provider: groq, condition: {model: y}}\n", "config.yaml, line 3: routing_rules[1] has the id a, which another rule has."),
        ("verdicts:\n  - {when: {status: 418}}\n", "config.yaml, line 2: verdicts[0]: "),
        ("verdicts:\n  - {when: {status: 418}, then: {acton: retry}}\n", "config.yaml, line 2: verdicts[0]: 'then' of a verdict has no key 'acton'. Did you mean 'action'?"),
        ("verdicts:\n  - {when: {error: Nothing}, then: {action: retry}}\n", "config.yaml, line 2: verdicts[0]: 'error' knows no 'Nothing'."),
        ("verdicts:\n  - {when: {provider: gorq}, then: {action: retry}}\n", "config.yaml, line 2: verdicts[0].when.provider names no provider: 'gorq' is not known here; the nearest is groq."),
    ],
)  # fmt: skip
def test_a_mistake_is_named(refusal, text, expected):
    assert refusal(yaml=text).startswith(expected)
