"""The error of a request for which nothing is left: the most useful of the reasons, in words that help."""

import pytest

from orcestator.errors import ModelNotFound, UpstreamKeyRefused
from orcestator.routing.planning.exclusions import Excluded, NothingLeft, refusal
from orcestator.routing.reading.request import RoutingRequest
from tests.routing.failures import deployment
from tests.routing.plans import candidate_of

NOW = 100.0
ASK = RoutingRequest(("ours",), "chat")


def excluded(reason: str, until: float = 0.0, provider: str = "a") -> Excluded:
    return Excluded(candidate_of(deployment(provider)), reason, "refused it", until)


def test_keys_that_do_not_work_are_named_with_the_first_that_is_tried_again() -> None:
    error = refusal(ASK, [excluded("key_refused", 160.0), excluded("key_refused", 130.0, "b")], NOW)

    assert isinstance(error, UpstreamKeyRefused)
    assert error.message == "No key for 'ours' works: a (refused it), b (refused it). They are tried again in 30 s."
    assert error.retry_after == 30.0
    assert error.sent is False


def test_a_model_that_its_providers_took_away_is_not_found() -> None:
    error = refusal(ASK, [excluded("permanently_unavailable")], NOW)

    assert isinstance(error, ModelNotFound)
    assert error.param == "model"
    assert error.message.startswith("The providers of 'ours' do not have it any more:")


def test_a_model_that_is_switched_off_says_where() -> None:
    error = refusal(ASK, [excluded("unavailable")], NOW)

    assert isinstance(error, ModelNotFound)
    assert "'available' is false" in error.message


@pytest.mark.parametrize("found", [[], [excluded("unavailable"), excluded("odd")]], ids=["nothing", "several"])
def test_what_has_no_better_words_may_be_over_soon(found: list[Excluded]) -> None:
    error = refusal(ASK, found, NOW)

    assert isinstance(error, NothingLeft)
    assert error.message.startswith("Nothing can take a request for 'ours' now:")
    assert error.retry_after is None
