"""Names to candidates: aliases, prefixes, vendors, the default alias, and a helpful refusal."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.errors import InvalidRequest, ModelNotFound, Overloaded
from orcestator.routing.offer import Offer, stock_offer
from orcestator.routing.planning.catalog import DEFAULT_ALIAS, REMEMBERED_NAMES, Alias, Candidate, Catalog, tier_of

CHAT = frozenset({"chat"})
OPENAI = Offer("openai", 1, CHAT | {"embeddings"}, {"gpt-4o": {"context": 128}, "ada": {}}, "gpt-4o", ("o1-",))
ROUTER = Offer("openrouter", 2, CHAT, {"openai/gpt-4o": {}, "meta/llama": {}, "openrouter/auto": {}}, "openai/gpt-4o")
LOCAL = Offer("local", 0, CHAT, {}, takes_any=True)
STOCK = stock_offer("http://w:1", ["vicuna"])


def candidates(catalog: Catalog, name: str, endpoint: str = "chat") -> list[Candidate]:
    """The options for one name, tier by tier."""
    return [candidate for tier in catalog.tiers((name,), endpoint) for candidate in tier.candidates]


def found(catalog: Catalog, name: str, endpoint: str = "chat") -> list[tuple[str, str]]:
    """(provider, model) of the options for one name."""
    return [candidate.deployment[:2] for candidate in candidates(catalog, name, endpoint)]


def in_turn(*targets: str) -> Alias:
    """An alias that tries these one after the other."""
    return Alias.in_turn(targets)


@pytest.mark.parametrize(
    ("name", "deployments"),
    [
        ("gpt-4o", [("openai", "gpt-4o"), ("openrouter", "openai/gpt-4o")]),
        ("openai/gpt-4o", [("openai", "gpt-4o"), ("openrouter", "openai/gpt-4o")]),
        ("openrouter/openai/gpt-4o", [("openrouter", "openai/gpt-4o")]),
        ("openrouter/auto", [("openrouter", "openrouter/auto")]),
        ("openai/brand-new", [("openai", "brand-new")]),
        ("o1-next", [("openai", "o1-next")]),
        ("llama", [("openrouter", "meta/llama")]),
        ("vicuna", [("fastchat", "vicuna")]),
    ],
)
def test_a_name_has_its_deployments_in_order(name: str, deployments: list[tuple[str, str]]) -> None:
    assert found(Catalog([STOCK, ROUTER, OPENAI]), name) == deployments


def test_what_is_listed_comes_before_what_takes_any_name() -> None:
    catalog = Catalog([LOCAL, OPENAI, ROUTER])

    assert found(catalog, "gpt-4o") == [("openai", "gpt-4o"), ("openrouter", "openai/gpt-4o"), ("local", "gpt-4o")]
    assert found(catalog, "local/x") == [("local", "x")]
    assert found(catalog, "anything") == [("local", "anything")]


def test_a_name_that_begins_with_a_provider_is_tried_nowhere_else() -> None:
    """Or the fallback behind it in an alias would wait until everybody who takes any name has refused it."""
    catalog = Catalog([LOCAL, OPENAI, ROUTER], {"both": in_turn("openai/new", "openrouter/auto")})

    assert found(catalog, "openai/new") == [("openai", "new")]
    assert found(catalog, "both") == [("openai", "new"), ("openrouter", "openrouter/auto")]


@pytest.mark.parametrize(
    "name", ["gpt-5", "", "/", "openai/", "/gpt-4o", "\0", "\0gpt", "OPENAI/gpt-4o", "x" * 10_000, "\ud800"]
)
def test_an_unknown_name_is_not_found(name: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        Catalog([STOCK, ROUTER, OPENAI]).tiers((name,), "chat")

    assert caught.value.param == "model"
    assert len(caught.value.message) < 400


def test_a_vendored_name_must_be_unambiguous() -> None:
    twice = Offer("agg", 1, CHAT, {"a/llama": {}, "b/llama": {}})

    with pytest.raises(ModelNotFound):
        Catalog([twice]).tiers(("llama",), "chat")


def test_an_alias_tries_its_targets_in_turn_without_repeats() -> None:
    catalog = Catalog([OPENAI, ROUTER], {"fast": in_turn("llama", "gpt-4o", "openai/gpt-4o", "missing")})

    assert found(catalog, "fast") == [
        ("openrouter", "meta/llama"),
        ("openai", "gpt-4o"),
        ("openrouter", "openai/gpt-4o"),
    ]


def test_an_alias_hides_a_model_of_its_name() -> None:
    assert found(Catalog([OPENAI], {"gpt-4o": in_turn("ada")}), "gpt-4o") == [("openai", "ada")]


def test_an_alias_may_name_another() -> None:
    """Which keeps its own tiers and strategy; a name that leads back is a model's."""
    aliases = {
        "inner": Alias((("openai/ada",), ("llama",)), "cheapest"),
        "outer": in_turn("inner"),
        "top": in_turn("openai/gpt-4o", "outer"),
        "equals": Alias((("llama", "inner"),)),
        "one": in_turn("two"),
        "two": in_turn("one", "openai/ada"),
    }
    catalog = Catalog([OPENAI, ROUTER], aliases, default_targets=("outer",))

    inner = [("openai", "ada"), ("openrouter", "meta/llama")]
    assert found(catalog, "outer") == found(catalog, "inner") == inner
    assert found(catalog, "orcestator")[:2] == inner
    assert {tier.strategy for tier in catalog.tiers(("outer",), "chat")} == {"cheapest"}
    assert found(catalog, "top") == [("openai", "gpt-4o"), ("openrouter", "openai/gpt-4o"), *inner]
    assert set(found(catalog, "equals")) == {*inner}
    assert ("openai", "ada") in found(catalog, "one")
    assert catalog.card("outer")[0] == "outer"


def test_an_alias_without_a_living_target_is_not_found() -> None:
    with pytest.raises(ModelNotFound):
        Catalog([OPENAI], {"fast": in_turn("missing")}).tiers(("fast",), "chat")


@pytest.mark.parametrize(
    ("offers", "targets", "deployments"),
    [
        ([OPENAI, ROUTER], (), [("openai", "gpt-4o"), ("openrouter", "openai/gpt-4o")]),
        (
            [OPENAI, ROUTER],
            ("llama",),
            [("openrouter", "meta/llama"), ("openai", "gpt-4o"), ("openrouter", "openai/gpt-4o")],
        ),
        ([STOCK], ("openai/gpt-4o",), [("fastchat", "vicuna")]),
        ([ROUTER, LOCAL], ("openai/gpt-4o",), [("openrouter", "openai/gpt-4o"), ("local", "openai/gpt-4o")]),
    ],
)
def test_the_default_alias_answers_whichever_providers_are_on(
    offers: list[Offer], targets: tuple[str, ...], deployments: list[tuple[str, str]]
) -> None:
    assert found(Catalog(offers, None, targets), DEFAULT_ALIAS) == deployments


def test_an_alias_may_redefine_the_default() -> None:
    assert found(Catalog([OPENAI], {DEFAULT_ALIAS: in_turn("ada")}), DEFAULT_ALIAS) == [("openai", "ada")]


def test_no_offers_at_all() -> None:
    """Before a worker is known no name is wrong: who asks again finds it."""
    for look in (lambda: Catalog([]).tiers((DEFAULT_ALIAS,), "chat"), lambda: Catalog([]).card("a/b")):
        with pytest.raises(Overloaded, match="No worker is known yet") as caught:
            look()
        assert caught.value.headers == {"retry-after": "1"}


def test_an_endpoint_that_no_provider_of_the_model_has() -> None:
    catalog = Catalog([OPENAI, ROUTER])

    assert found(catalog, "gpt-4o", "embeddings") == [("openai", "gpt-4o")]
    with pytest.raises(
        InvalidRequest, match="'llama' is served by openrouter, which does not offer embeddings"
    ) as caught:
        catalog.tiers(("llama",), "embeddings")
    assert caught.value.param == "model"
    with pytest.raises(InvalidRequest, match="The model 'llama' is served by openrouter"):
        catalog.tiers(("nobody-has-it", "llama"), "embeddings")
    with pytest.raises(InvalidRequest, match="'gpt-4o' is served by openai, openrouter, which do not offer images"):
        catalog.tiers(("gpt-4o",), "images")


def test_replicas_of_a_provider_are_deployments_each() -> None:
    replicas = [stock_offer(f"http://w:{number}", ["vicuna"]) for number in (2, 1)]

    assert [one.deployment.worker for one in candidates(Catalog(replicas), "vicuna")] == ["http://w:1", "http://w:2"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("gpt-4", "'openai/gpt-4o'"), ("orchestrator", "'orcestator'"), ("opnai/gpt-4o", "'openai/gpt-4o'")],
)
def test_the_nearest_names_are_suggested(name: str, hint: str) -> None:
    with pytest.raises(ModelNotFound, match=f"Did you mean.*{hint}"):
        Catalog([OPENAI]).tiers((name,), "chat")


def test_a_hopeless_name_points_to_the_list() -> None:
    with pytest.raises(ModelNotFound, match="GET /v1/models"):
        Catalog([OPENAI]).tiers(("zzzzzzzz",), "chat")


def test_every_public_name_is_known_resolves_and_has_a_card() -> None:
    catalog = Catalog([OPENAI, ROUTER, STOCK], {"fast": in_turn("llama")})

    names = catalog.public_names()

    assert names[:2] == [DEFAULT_ALIAS, "fast"]
    assert [card[0] for card in catalog.cards()] == names
    for name in names:
        assert catalog.knows(name)
        assert catalog.tiers((name,), "chat")
        assert catalog.card(name) in catalog.cards()
    assert catalog.knows("gpt-4o")
    assert not catalog.knows("openai/invented")


def test_cards_show_owner_and_facts() -> None:
    catalog = Catalog([OPENAI], {"fast": in_turn("gpt-4o")})

    assert catalog.card("fast") == ("fast", "orcestator", {"context": 128})
    assert catalog.card("openai/gpt-4o") == ("openai/gpt-4o", "openai", {"context": 128})
    assert catalog.card("openai/ada") == ("openai/ada", "openai", {})
    with pytest.raises(ModelNotFound):
        catalog.card("missing")


def test_a_card_is_a_copy() -> None:
    catalog = Catalog([OPENAI])
    catalog.card("gpt-4o")[2]["context"] = 0
    catalog.cards()[1][2]["context"] = 0

    assert catalog.card("gpt-4o")[2] == {"context": 128}


def test_callers_cannot_grow_the_table_of_names() -> None:
    catalog = Catalog([OPENAI])
    for number in range(REMEMBERED_NAMES + 10):
        catalog.tiers((f"openai/{number}",), "chat")

    assert len(catalog._resolved) == REMEMBERED_NAMES
    assert found(catalog, "gpt-4o") == [("openai", "gpt-4o")]


_names = st.sampled_from(["a", "b", "p/a", "q/a", "p", "q", "p/", "orcestator", "fast", "\0", ""])


@given(
    st.lists(
        st.builds(
            Offer, st.sampled_from(["p", "q"]), st.integers(0, 2), st.sampled_from([CHAT, frozenset()]),
            st.dictionaries(_names.filter(bool), st.just({}), max_size=3), _names, st.sampled_from([(), ("a",)]), st.booleans(),
            st.sampled_from(["w1", "w2"]),
        ),
        max_size=3,
    ),
    st.dictionaries(_names, st.builds(Alias, st.lists(st.lists(_names, max_size=2).map(tuple), max_size=2).map(tuple)), max_size=2),
    _names,
)  # fmt: skip
def test_any_name_has_distinct_deployments_that_can_or_a_clear_refusal(
    offers: list[Offer], aliases: Any, name: str
) -> None:
    catalog = Catalog(offers, aliases, ("a",), paid_fallback="p/a")
    try:
        tiers = catalog.tiers((name,), "chat")
    except (ModelNotFound, InvalidRequest):
        assert offers
        return
    except Overloaded:
        assert not offers
        return

    assert catalog.tiers((name,), "chat") is tiers
    deployments = [candidate.deployment for tier in tiers for candidate in tier.candidates]
    assert deployments
    assert len(set(deployments)) == len(deployments)
    assert all(candidate.tier == place for place, tier in enumerate(tiers) for candidate in tier.candidates)
    able = {(offer.provider, offer.worker) for offer in offers if "chat" in offer.endpoints}
    assert all((one.provider, one.worker) in able and one.model for one in deployments)


def test_the_default_may_name_an_alias() -> None:
    """``OR_DEFAULT_MODEL=fast`` means what ``fast`` means."""
    offers = [Offer("one", 1, frozenset({"chat"}), {"small": {}}, "large")]
    catalog = Catalog(offers, {"fast": in_turn("one/small")}, ["fast"])
    assert found(catalog, "orcestator") == [("one", "small"), ("one", "large")]


def test_tiers_of_several_targets_hold_equals_and_name_their_strategy() -> None:
    alias = Alias((("openrouter/auto", "llama"), ("openai/ada",)), "cheapest")
    catalog = Catalog([OPENAI, ROUTER], {"fast": alias})
    tiers = catalog.tiers(("fast",), "chat")

    models = [[candidate.deployment.model for candidate in tier.candidates] for tier in tiers]
    assert models == [["openrouter/auto", "meta/llama"], ["ada"]]
    assert [tier.strategy for tier in tiers] == ["cheapest", "cheapest"]
    assert catalog.uses("cheapest")
    assert not catalog.uses("sticky")


def test_names_are_tried_in_their_order_and_each_candidate_knows_the_place_of_its_name() -> None:
    tiers = Catalog([OPENAI, ROUTER]).tiers(("llama", "gpt-4o"), "chat")

    assert [(candidate.deployment.model, candidate.rank) for tier in tiers for candidate in tier.candidates] == [
        ("meta/llama", 0),
        ("gpt-4o", 1),
        ("openai/gpt-4o", 1),
    ]


def test_auto_chooses_among_the_models_of_the_configuration_or_means_the_default() -> None:
    assert found(Catalog([OPENAI, ROUTER]), "auto") == found(Catalog([OPENAI, ROUTER]), DEFAULT_ALIAS)
    catalog = Catalog([OPENAI, ROUTER], auto=Alias((("openai/ada", "llama"),), "smart"))
    assert found(catalog, "auto") == [("openai", "ada"), ("openrouter", "meta/llama")]
    assert (catalog.unnamed, Catalog([OPENAI]).unnamed) == ("auto", DEFAULT_ALIAS)
    assert catalog.uses("smart")


def test_the_paid_fallback_stands_behind_every_name_for_chat() -> None:
    catalog = Catalog([OPENAI, ROUTER], paid_fallback="openai/ada")

    last = candidates(catalog, "llama")[-1]
    assert (last.deployment.model, last.is_paid_fallback, last.tier) == ("ada", True, 1)
    assert [candidate.is_paid_fallback for candidate in candidates(catalog, "openai/ada")] == [False]
    assert not any(candidate.is_paid_fallback for candidate in candidates(catalog, "ada", "embeddings"))


def test_the_paid_fallback_is_one_place() -> None:
    """OpenRouter lists ``openai/gpt-4o`` too, and nobody chose to pay there."""
    spare = [
        candidate for candidate in candidates(Catalog([OPENAI, ROUTER], paid_fallback="openai/gpt-4o"), "meta/llama")
    ][1:]
    assert [(candidate.deployment.provider, candidate.is_paid_fallback) for candidate in spare] == [("openai", True)]
    spare = candidates(Catalog([ROUTER], paid_fallback="openai/gpt-4o"), "meta/llama")[1:]
    assert [candidate.deployment.provider for candidate in spare] == ["openrouter"]


def test_a_deployment_for_each_credential() -> None:
    offer = Offer("one", 0, CHAT, {"m": {}}, credentials=("", "2"))
    assert [candidate.deployment.credential for candidate in candidates(Catalog([offer]), "m")] == ["", "2"]


def test_what_a_look_at_a_tier_tells() -> None:
    plain = Offer("a", 0, CHAT, {"m": {"context_length": 8000, "public_name": "fine"}})
    odd = Offer(
        "b", 1, CHAT,
        {"m": {"context_length": 4000, "available": False, "max_concurrent": 2, "input_modalities": ["text"], "pricing": {"input": 0.0, "output": 0.0}}},
        credentials=("", "2"),
    )  # fmt: skip
    (tier,) = Catalog([plain]).tiers(("m",), "chat")
    assert tier[2:] == (True, frozenset(), 8000, False, False, False, None)
    (tier,) = Catalog([plain, odd]).tiers(("m",), "chat")
    assert tier[2:] == (False, frozenset({"image", "audio", "file"}), 4000, True, True, True, None)
    assert tier.candidates[0].name == "fine"
    assert tier_of("x", []).least_context > 1e9


def test_an_alias_with_a_hedge_limit_of_its_own_gives_it_to_its_tiers() -> None:
    aliases = {"mine": Alias((("openai/ada",), ("llama",)), hedge_percent=30.0), "plain": Alias.in_turn(["openai/ada"])}
    catalog = Catalog([OPENAI, ROUTER], aliases, default_targets=("mine",))
    for name, limit in (("mine", ("mine", 30.0)), ("orcestator", ("mine", 30.0)), ("plain", None), ("llama", None)):
        assert {tier.hedge_limit for tier in catalog.tiers((name,), "chat")} == {limit}
