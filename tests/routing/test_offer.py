"""Offers: plain data that survives the wire."""

from typing import Any

import orjson
import pytest

from orcestator.routing.offer import Offer, stock_offer

OFFER = Offer(
    "openai", 1, frozenset({"chat"}), {"gpt": {"context": 8}}, "gpt", ("o1-",), takes_any=True, worker="http://w"
)


def test_an_offer_comes_back_from_the_wire_as_it_was() -> None:
    assert Offer.from_wire(orjson.loads(orjson.dumps(OFFER.to_wire())), "http://w") == OFFER


@pytest.mark.parametrize(
    "wire",
    [{}, [], {**OFFER.to_wire(), "order": "first"}, {**OFFER.to_wire(), "endpoints": 3}, {**OFFER.to_wire(), "models": ["gpt"]},
     {**OFFER.to_wire(), "models": {"gpt": 3}}, {**OFFER.to_wire(), "prefixes": None}],
)  # fmt: skip
def test_a_foreign_shape_is_refused(wire: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Offer.from_wire(wire, "w")


def test_a_stock_worker_offers_its_names_after_everyone_else() -> None:
    offer = stock_offer("http://w", ["vicuna", "fastchat"])

    assert (offer.kind, offer.default_model, list(offer.models)) == ("stock", "vicuna", ["vicuna", "fastchat"])
    assert offer.order > OFFER.order
    assert stock_offer("http://w", []).default_model == ""
