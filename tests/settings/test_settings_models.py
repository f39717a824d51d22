"""Public model names: entries, aliases, the fallback model, and facts that reach the provider's row."""

import pytest

from orcestator.routing.offer import Offer
from orcestator.routing.planning.catalog import Alias, Catalog
from orcestator.routing.planning.traits import traits_of

TWO = """
models:
  - {name: r1, provider: openrouter, model: deepseek/r1, contextSize: 64000, maxOutputTokens: 8000, tags: [code], weight: 5}
  - {name: r1, provider: deepseek}
  - {name: gone, provider: openrouter, available: false}
"""
KEYS = {"OR_API_KEY": "k", "DEEPSEEK_API_KEY": "k"}


def tiers(found):
    return {name: alias.tiers for name, alias in found.public_aliases().items()}


def facts_of(found, provider):
    row = next(setting.row for setting in found.providers if setting.row.name == provider)
    return {facts.id: facts for facts in row.models}


def test_entries_of_one_name_are_one_tier(loaded):
    found = loaded(KEYS, yaml=TWO)
    both = (("openrouter/deepseek/r1", "deepseek/r1"),)
    assert tiers(found) == {
        "r1": both,
        "openrouter/r1": (("openrouter/deepseek/r1",),),
        "gone": (("openrouter/gone",),),
    }
    assert found.public_aliases()["r1"].strategy == ""


def test_auto_is_every_entry_that_is_available(loaded):
    found = loaded(KEYS, yaml=TWO, auto_strategy="least-busy")
    assert found.auto_alias() == Alias((("openrouter/deepseek/r1", "deepseek/r1"),), "shortest_queue")
    assert loaded(KEYS, yaml="models: [{name: a, provider: groq, available: false}]\n").auto_alias() is None
    assert loaded(KEYS, yaml="models: []\n").auto_alias() is None


def test_an_entry_that_is_not_available_is_listed_and_marked(loaded):
    found = loaded(KEYS, yaml=TWO)
    assert facts_of(found, "openrouter")["gone"].to_wire() == {"public_name": "gone", "available": False}
    # The model itself is not refused where another entry has it.
    text = (
        "models: [{name: a, provider: groq, model: x, available: no}, {name: b, provider: groq, model: x, weight: 2}]\n"
    )
    found = loaded({"GROQ_API_KEY": "k"}, yaml=text)
    assert set(tiers(found)) == {"b", "groq/b"}
    assert facts_of(found, "groq")["x"].to_wire() == {"public_name": "a", "weight": 2}


def test_what_an_entry_says_for_the_routing_travels_with_the_offer(loaded):
    text = """
models:
  - {name: r, provider: openai, model: x, type: fast, speedTier: fast, tags: [a], capabilities: [b], jsonResponse: false,
     weight: 7, maxConcurrent: 2, quality: 0, costPerToken: 0, limits: {rpm: 5, usdPerDay: 0.5}}
"""
    found = loaded({"OPENAI_API_KEY": "k"}, yaml=text)
    wire = facts_of(found, "openai")["x"].to_wire()
    assert wire == {
        "pricing": {"input": 0.0, "output": 0.0},
        "public_name": "r",
        "type": "fast",
        "speed_tier": "fast",
        "tags": ["a"],
        "capabilities": ["b"],
        "json_response": False,
        "weight": 7,
        "max_concurrent": 2,
        "quality": 0.0,
    }
    traits = traits_of("x", wire)
    assert (traits.is_free, traits.is_json, traits.quality, traits.weight) == (True, False, 0.0, 7)
    assert found.providers[0].model_limits == {"x": {"rpm": 5.0, "usd_per_day": 0.5}}
    assert found.not_yet == ()


def test_an_entry_without_a_provider_speaks_about_the_model_wherever_it_is(loaded):
    found = loaded(KEYS | {"OPENAI_API_KEY": "k"}, yaml="models: [{name: gpt-4o, tags: [best], limits: {rpd: 9}}]\n")
    assert facts_of(found, "openai")["gpt-4o"].tags == ("best",)
    assert "gpt-4o" not in facts_of(found, "deepseek")
    # A provider that lists it only when it is asked knows it, too.
    deepseek = next(setting for setting in found.providers if setting.row.name == "deepseek")
    assert {facts.id: facts for facts in deepseek.row.known}["gpt-4o"].tags == ("best",)
    assert deepseek.model_limits == {"gpt-4o": {"rpd": 9.0}}
    assert tiers(found) == {"gpt-4o": (("gpt-4o",),)}


def test_what_an_entry_knows_of_a_model_reaches_the_row(loaded):
    row = next(provider.row for provider in loaded(KEYS, yaml=TWO).providers if provider.row.name == "openrouter")
    facts = {facts.id: facts for facts in row.models}
    assert (facts["deepseek/r1"].context_length, facts["deepseek/r1"].max_output_tokens) == (64000, 8000)
    assert facts["openai/gpt-4o"].context_length == 128_000


def test_an_entry_may_say_what_a_model_can(loaded):
    text = """
models:
  - {name: pro, provider: openai, model: gpt-x, dialect: responses, supported_parameters: [tools, seed], inputModalities: [text]}
  - {name: known, provider: openai, model: gpt-5.5-pro}
"""
    row = loaded({"OPENAI_API_KEY": "k"}, yaml=text).providers[0].row
    facts = {facts.id: facts for facts in row.models}
    assert (facts["gpt-x"].dialect, facts["gpt-x"].supported_parameters) == ("responses", ("tools", "seed"))
    assert facts["gpt-x"].input_modalities == ("text",)
    # What the package knows of a model that the row does not name.
    assert (facts["gpt-5.5-pro"].dialect, facts["gpt-5.5-pro"].context_length) == ("responses", 1_050_000)


def test_models_of_a_provider_that_is_off_are_named(loaded):
    found = loaded({"OR_API_KEY": "k"}, yaml=TWO)
    assert found.notices == ("The models r1 have no provider: deepseek is off.",)
    assert len(tiers(found)["r1"][0]) == 2


def test_aliases(loaded):
    text = """
aliases:
  fast: groq/x/y
  gpt-4.1: [openai/a, b, unknown/c]
  Equal: {strategy: weighted, targets: [a, b]}
  layered: {strategy: Score, tiers: [[a, b], c]}
  hasty: {hedgePercent: 30, targets: [a, b]}
  calm: {hedge_percent: 0, tiers: [[a], [b]]}
"""
    assert loaded(yaml=text).public_aliases() == {
        "fast": Alias((("groq/x/y",),)),
        "gpt-4.1": Alias((("openai/a",), ("b",), ("unknown/c",))),
        "Equal": Alias((("a", "b"),), "smart"),
        "layered": Alias((("a", "b"), ("c",)), "score"),
        "hasty": Alias((("a", "b"),), "", 30.0),
        "calm": Alias((("a",), ("b",)), "", 0.0),
    }


def test_an_alias_comes_before_entries_of_its_name(loaded):
    found = loaded(
        yaml="aliases: {a: {strategy: fastest, targets: openai/x}}\nmodels: [{name: a, provider: groq, model: y}]\n"
    )
    assert found.public_aliases()["a"] == Alias((("openai/x",), ("groq/y",)), "fastest")


def test_an_alias_may_name_entries(loaded):
    found = loaded(yaml=TWO + "aliases: {x: [r1, openrouter/r1, other], y: {targets: [r1, z]}}\n")
    assert found.aliases == {
        "x": Alias((("openrouter/deepseek/r1", "deepseek/r1"), ("openrouter/deepseek/r1",), ("other",))),
        "y": Alias((("openrouter/deepseek/r1", "deepseek/r1", "z"),)),
    }


def test_the_catalog_knows_every_way_to_name_an_entry(loaded):
    found = loaded(KEYS, yaml=TWO.replace("deepseek/r1", "vendor/r1"))
    offers = [
        Offer(
            setting.row.name,
            setting.order,
            setting.row.endpoints,
            {facts.id: facts.to_wire() for facts in setting.row.models},
        )
        for setting in found.providers
    ]
    catalog = Catalog(offers, found.public_aliases(), found.default_targets(), auto=found.auto_alias())

    def models(name):
        return [[(candidate.deployment.provider, candidate.deployment.model, candidate.name) for candidate in tier.candidates] for tier in catalog.tiers((name,), "chat")]  # fmt: skip

    router, deepseek = ("openrouter", "vendor/r1", "r1"), ("deepseek", "r1", "r1")
    assert models("r1") == models("auto") == [[router, deepseek]]
    assert models("openrouter/r1") == models("openrouter/vendor/r1") == [[router]]
    assert models("deepseek/r1") == [[deepseek]]


def test_the_paid_fallback(loaded):
    given = {"OR_DEFAULT_MODEL": "a,b", "OR_FALLBACK_PROVIDER": "deepseek", "OR_FALLBACK_MODEL": "d"}
    found = loaded(given)
    assert (found.default_targets(), found.paid_fallback()) == (("a", "b"), "deepseek/d")
    # It may be an entry of the list, too.
    found = loaded(given, yaml="models: [{name: d, provider: deepseek, model: deepseek-v4}]\n")
    assert found.paid_fallback() == "deepseek/deepseek-v4"


def test_the_fallback_model_can_be_switched_off(loaded):
    assert loaded({"OR_FALLBACK_MODEL": "d", "OR_FALLBACK_ENABLED": "no"}).paid_fallback() == ""


def test_an_endpoint_stands_for_its_provider(loaded):
    text = """
providers: {own: {base_url: 'http://gpu:1/v1'}}
models:
  - {name: a, endpoint: 'https://api.openai.com/v1'}
  - {name: b, endpoint: 'https://api.anthropic.com'}
  - {name: c, endpoint: 'http://gpu:1/v1/'}
"""
    assert [target for ((target,),) in tiers(loaded(yaml=text)).values()] == ["openai/a", "anthropic/b", "own/c"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("models: [{provider: openai}]\n", "config.yaml, line 1: models[0] must have a name other than orcestator."),
        ("models: [{name: orcestator}]\n", "config.yaml, line 1: models[0] must have a name other than orcestator."),
        ("models:\n  - name: a\n    provder: openai\n", "config.yaml, line 3: models[0].provder is not a key that is known here; the nearest is provider."),
        ("models:\n  - name: a\n    provider: opnai\n", "config.yaml, line 3: models[0].provider names no provider: 'opnai' is not known here; the nearest is openai."),
        ("models: [{name: a, endpoint: 'https://x.example'}]\n", "config.yaml, line 1: models[0].endpoint is the address of no provider here"),
        ("models: [{name: a, provider: groq, dialect: gemini}]\n", "config.yaml, line 1: models[0].dialect must be one of openai, responses, not 'gemini'"),
        ("models: [{name: a, dialect: gemni}]\n", "config.yaml, line 1: models[0].dialect must be one of openai, anthropic,"),
        ("models: [{name: a, weight: 0}]\n", "config.yaml, line 1: models[0].weight must be a whole number from 1 to 100, not '0'."),
        ("models: [{name: a, weight: 101}]\n", "config.yaml, line 1: models[0].weight must be a whole number from 1 to 100, not '101'."),
        ("models: [{name: a, quality: 101}]\n", "config.yaml, line 1: models[0].quality must be a number from 0 to 100, not '101'."),
        ("models: [{name: a, speedTier: quick}]\n", "config.yaml, line 1: models[0].speedTier must be one of fast, medium, slow, not 'quick'"),
        ("models: [{name: a, limits: 5}]\n", "config.yaml, line 1: models[0].limits must be a section with rpm, rpd, tpm, tpd, usd_per_day, usd_per_month."),
        ("models: [{name: a, limits: {rps: 5}}]\n", "config.yaml, line 1: models[0].limits.rps is not a key that is known here; the nearest is rpm."),
        ("models: [{name: a, limits: {rpm: -5}}]\n", "config.yaml, line 1: models[0].limits.rpm must be a number from 0 up, not '-5'."),
        ("models: [{name: a, contextSize: big}]\n", "config.yaml, line 1: models[0].contextSize must be a whole number from 0 up, not 'big'."),
        ("models: [{name: a, cost_per_token: -1}]\n", "config.yaml, line 1: models[0].cost_per_token must be a number from 0 to 1, not '-1'."),
        ("models: [{name: a, cost_per_token: free}]\n", "config.yaml, line 1: models[0].cost_per_token must be a number from 0 to 1, not 'free'."),
        ("aliases: [x]\n", "config.yaml, line 1: aliases must be a section of name: provider/model."),
        ("aliases: {orcestator: x}\n", "config.yaml, line 1: aliases.orcestator cannot be given another meaning; set default_model for orcestator."),
        ("aliases: {a: []}\n", "config.yaml, line 1: aliases.a must name a model as provider/model, or a list of them."),
        ("aliases: {a: {b: c}}\n", "config.yaml, line 1: aliases.a.b is not a key that is known here; there are hedge_percent, strategy, targets, tiers."),
        ("aliases: {a: {strategy: smart}}\n", "config.yaml, line 1: aliases.a must have either targets, a list, or tiers, a list of lists."),
        ("aliases: {a: {targets: [b], tiers: [[c]]}}\n", "config.yaml, line 1: aliases.a must have either targets, a list, or tiers"),
        ("aliases: {a: {strategy: smrt, targets: [b]}}\n", "config.yaml, line 1: aliases.a.strategy must be one of priority, score, smart, round_robin"),
        ("aliases: {a: {tiers: b}}\n", "config.yaml, line 1: aliases.a.tiers must be a list of tiers, each a list of provider/model."),
        ("aliases: {a: {tiers: [[b], []]}}\n", "config.yaml, line 1: aliases.a.tiers[1] must name a model as provider/model, or a list of them."),
        ("aliases: {a: {targets: [[b]]}}\n", "config.yaml, line 1: aliases.a.targets[0] must be a single value."),
    ],
)  # fmt: skip
def test_a_mistake_is_named(refusal, text, expected):
    assert refusal(yaml=text).startswith(expected)


def test_a_models_file_may_hold_nothing_but_models(refusal):
    sentence = refusal(yaml="models_file: m.yaml\n", files={"m.yaml": "modles: []\n"})
    assert sentence == "m.yaml, line 1: modles is not a key that is known here; the nearest is models."
