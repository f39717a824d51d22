"""The cards of ``/v1/models``: what an SDK and VS Code's model discovery read."""

import pytest

from orcestator.dialects.anthropic.spoken_names import meant_name
from orcestator.errors import ModelNotFound
from orcestator.routing.offer import Offer
from orcestator.routing.planning.catalog import Alias, Catalog
from orcestator.web.models import CREATED, model_card, model_list

FACTS = {
    "context_length": 128_000,
    "max_output_tokens": 4096,
    "supported_parameters": ["tools", "reasoning_effort"],
    "input_modalities": ["text", "image"],
}
CATALOG = Catalog(
    [Offer("alpha", 1, frozenset({"chat"}), {"big": FACTS, "bare": {}}, default_model="big")],
    {"mine": Alias.in_turn(["alpha/bare"]), "lost": Alias.in_turn(["nowhere/model"])},
)


def test_the_list() -> None:
    """``orcestator`` first, then the aliases, then each provider's models; each name once."""
    answer = model_list(CATALOG)
    assert answer["object"] == "list"
    assert [card["id"] for card in answer["data"]] == ["orcestator", "mine", "lost", "alpha/big", "alpha/bare"]
    assert [card["owned_by"] for card in answer["data"]] == ["orcestator"] * 3 + ["alpha"] * 2


def test_the_list_for_claude_code() -> None:
    """Our own names once more, as its list shows them; what it sends is the name that was meant."""
    named = {"claude-mine": Alias.in_turn(["alpha/bare"]), "mine": Alias.in_turn(["alpha/bare"])}
    catalog = Catalog([Offer("alpha", 1, frozenset({"chat"}), {"big": FACTS}, default_model="big")], named)
    plain, shown = model_list(catalog)["data"], model_list(catalog, for_claude=True)["data"]
    assert shown[: len(plain)] == plain
    more = shown[len(plain) :]
    assert [card["id"] for card in more] == ["claude-via-orcestator", "claude-via-mine"]
    assert (
        [meant_name(card["id"]) for card in more] == [card["display_name"] for card in more] == ["orcestator", "mine"]
    )


@pytest.mark.parametrize("name", ["orcestator", "alpha/big"])
def test_a_card(name: str) -> None:
    """The default model has the facts of what it stands for."""
    card = model_card(CATALOG, name)
    assert card["id"] == card["name"] == card["root"] == name
    assert (card["object"], card["created"]) == ("model", CREATED)
    assert card["context_length"] == card["max_model_len"] == 128_000
    assert card["max_output_tokens"] == 4096
    assert card["supported_parameters"] == ["tools", "reasoning_effort"]
    assert card["architecture"] == {"input_modalities": ["text", "image"]}


@pytest.mark.parametrize("name", ["alpha/bare", "mine"])
def test_unknown_facts(name: str) -> None:
    """Nothing is invented, and the lists are there to be iterated over."""
    card = model_card(CATALOG, name)
    assert card["context_length"] is None
    assert card["supported_parameters"] == []
    assert card["architecture"] == {"input_modalities": ["text"]}


def test_a_card_is_what_the_list_shows() -> None:
    listed = {card["id"]: card for card in model_list(CATALOG)["data"]}
    assert all(listed[name] == model_card(CATALOG, name) for name in ("orcestator", "mine", "alpha/big", "alpha/bare"))


def test_an_unknown_name() -> None:
    with pytest.raises(ModelNotFound) as caught:
        model_card(CATALOG, "orcestratr")
    assert "'orcestator'" in caught.value.message
