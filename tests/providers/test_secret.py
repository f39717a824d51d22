"""A secret is not shown by any ordinary way of showing a value."""

import copy
import dataclasses
import logging

import pytest

from orcestator.providers.secret import Secret

CANARY = "sk-canary-0123456789"


@dataclasses.dataclass
class Holder:
    key: Secret


@pytest.mark.parametrize(
    "shown",
    [
        str,
        repr,
        lambda key: f"{key}",
        lambda key: f"{key:>40}",
        lambda key: f"{key!r}",
        lambda key: "%s %r" % (key, key),  # noqa: UP031 - the way of showing that is tested
        lambda key: repr(Holder(key)),
        lambda key: repr(dataclasses.asdict(Holder(key))),
        lambda key: repr(copy.deepcopy([key])),
        lambda key: logging.LogRecord("n", 20, "f", 1, "key %s", (key,), None).getMessage(),
    ],
)
def test_showing_it_shows_nothing(shown):
    assert CANARY not in shown(Secret(CANARY))


def test_it_is_revealed_on_purpose():
    assert Secret(CANARY).reveal() == CANARY


def test_it_is_a_value():
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")
