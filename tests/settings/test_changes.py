"""What is different between two configurations, without any secret in it."""

import json

import pytest

from orcestator.settings.changes import Change, difference, document_difference, document_of

KEYS = {"OPENAI_API_KEY": "sk-canary-openai", "GROQ_API_KEY": "sk-canary-groq"}
SECRETS = {"OR_ADMIN_TOKEN": "canary-token", "OR_CALLER_KEYS": "canary-caller", "OR_NOTIFY": "tgram://canary/x"}
FULL = """
modelsFile: m.yaml
providers:
  openai: {limits: {rpm: 5}}
  groq: {query: '?key=canary-query&x=1'}
  own: {base_url: 'http://gpu:1/v1', models: [{id: a, context_length: 5}]}
models:
  - {name: r1, provider: groq, model: x, weight: 5, tags: [code]}
aliases: {fast: groq/x, both: {strategy: score, tiers: [[a, b], [c]]}}
routing_rules: [{id: one, condition: {urgency: high}, provider: groq}]
verdicts: [{when: {status: 418, provider: groq}, then: {action: fall_back, cooldown_seconds: 5}}]
"""
FILES = {"m.yaml": "models: []\n"}


def test_nothing_is_different_from_itself(loaded):
    found = loaded(KEYS | SECRETS, yaml=FULL, files=FILES)
    assert difference(found, found) == []
    again = json.loads(json.dumps(document_of(found)))
    assert document_difference(again, document_of(found)) == []


def test_a_document_holds_no_secret_and_shows_that_one_changed(loaded):
    first, second = (
        loaded(KEYS | SECRETS | more, yaml=FULL, files=FILES) for more in ({}, {"OR_ADMIN_TOKEN": "other"})
    )
    assert "canary" not in json.dumps(document_of(first))
    (change,) = difference(first, second)
    assert (change.name, change.live, change.sign) == ("admin_token", True, "~")
    assert change.old != change.new
    assert "canary" not in f"{change}"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("modelsFile: m.yaml", "attempts: 5", [Change("models_file", "m.yaml", "nothing"), Change("attempts", "3", "5")]),
        ("modelsFile: m.yaml", "modelsFile: m.yaml\nport: 9", [Change("port", "8000", "9", live=False)]),
        ("modelsFile: m.yaml", "modelsFile: m.yaml\ncache: {ttl: 9}", [Change("cache_ttl_seconds", "3600", "9 (not acted on yet)")]),
        ("{rpm: 5}", "{rpm: 6, tpd: 1}", [Change("providers.openai.limits", "rpm: 5", "rpm: 6, tpd: 1")]),
        ("{limits: {rpm: 5}}", "{enabled: false}", [Change("providers.openai", "https://api.openai.com/v1", None)]),
        ("gpu:1/v1", "gpu:2/v1", [Change("providers.own.base_url", "http://gpu:1/v1", "http://gpu:2/v1")]),
        ("context_length: 5", "context_length: 6", [Change("providers.own.models.a", "context_length: 5", "context_length: 6")]),
        ("weight: 5", "weight: 6", [Change("models.r1 = groq/x", "tags: [code], weight: 5", "tags: [code], weight: 6")]),
        ("fast: groq/x, ", "", [Change("aliases.fast", "tiers: [[groq/x]]", None)]),
        ("strategy: score", "strategy: fastest", [Change("aliases.both", "strategy: score, tiers: [[a, b], [c]]", "strategy: fastest, tiers: [[a, b], [c]]")]),
        ("id: one", "id: two", [
            Change("routing_rules.one", "id: one, condition: {urgency: high}, provider: groq, priority: 1, is_active: true", None),
            Change("routing_rules.two", None, "id: two, condition: {urgency: high}, provider: groq, priority: 1, is_active: true"),
        ]),
        ("cooldown_seconds: 5", "cooldown_seconds: 6", [Change("verdicts.statuses: [418], providers: [groq]", "falls_back: true, retries: false, cooldown_seconds: 5", "falls_back: true, retries: false, cooldown_seconds: 6")]),
        ("openai: {", "openai: {order: 1000, ", [Change("providers (order)", "openai, groq, own", "groq, own, openai")]),
    ],
)  # fmt: skip
def test_each_part_has_its_own_lines(loaded, old, new, expected):
    before, after = (loaded(KEYS, yaml=text, files=FILES) for text in (FULL, FULL.replace(old, new)))
    assert difference(before, after) == expected


def test_a_new_key_is_a_provider_more(loaded):
    (change,) = difference(loaded({"OPENAI_API_KEY": "a"}), loaded({"OPENAI_API_KEY": "a", "GROQ_API_KEY": "b"}))
    assert (change.sign, change.name, change.new) == ("+", "providers.groq", "https://api.groq.com/openai/v1")
    (change,) = difference(loaded({"OPENAI_API_KEY": "a"}), loaded({"OPENAI_API_KEY": "a", "OPENAI_API_KEY_2": "b"}))
    assert change.name == "providers.openai.keys"
    assert change.new is not None
    assert change.new.startswith(f"{change.old}, …")


def test_another_proxy_of_a_provider_is_told_without_its_password(loaded):
    config = "providers: {{groq: {{api_key: k, proxy: '{}'}}}}\n"
    before = loaded(yaml=config.format("http://ada:hidden-1@proxy:1"))
    after = loaded(yaml=config.format("http://ada:hidden-2@proxy:1"))
    (change,) = difference(before, after)
    assert (change.name, change.live, "hidden" in str(change)) == ("providers.groq.proxy", True, False)


def test_where_the_own_sandbox_was_started_is_no_difference(loaded):
    found = loaded()
    assert difference(found.with_sandbox_at("http://127.0.0.1:5/v1"), found) == []
    elsewhere = loaded({"SANDBOX_BASE_URL": "http://127.0.0.1:5/v1"})
    assert [change.name for change in difference(elsewhere, found)] == ["providers.sandbox.base_url"]


def test_what_a_program_does_not_know_is_not_compared(loaded):
    new = loaded(KEYS, yaml=FULL, files=FILES)
    without = document_of(loaded({}, files=FILES), with_providers=False)
    names = [change.name for change in document_difference(without, document_of(new))]
    assert not [name for name in names if name.startswith("providers")]
    assert document_difference({}, document_of(new)) == document_difference(document_of(new), {}) == []


def test_a_change_is_read_from_a_servers_answer():
    wire = {"name": "port", "old": None, "new": "9"}
    assert Change.from_wire(wire, live=False) == Change("port", None, "9", live=False)
    with pytest.raises(KeyError):
        Change.from_wire({"name": "port"}, live=True)
