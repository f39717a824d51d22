"""What callers may ask of the routing: read from body and headers, taken out of what goes to an upstream."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.errors import InvalidRequest
from orcestator.json_text import Json
from orcestator.routing.reading.preferences import (
    NO_PREFERENCES,
    Preferences,
    flag_in,
    preferences_in,
    take_names,
    take_preferences,
)

EVERYTHING: Json = {
    "tags": ["code", "math"],
    "type": "fast",
    "min_context_size": 32000,
    "json_response": True,
    "prefer_fast": True,
    "min_success_rate": 0.8,
    "urgency": "high",
    "quality": "premium",
    "budget": 0.05,
    "provider": {
        "order": ["a"], "only": ["a", "b"], "ignore": ["c"], "sort": "price", "allow_fallbacks": False,
        "max_price": {"prompt": 1, "completion": 2.5},
    },
}  # fmt: skip
WISHED = Preferences(
    frozenset({"code", "math"}), "fast", 32000, True, True, 0.8, "high", "premium", 0.05,
    ("a",), ("a", "b"), ("c",), "price", 1.0, 2.5, False,
)  # fmt: skip


def test_the_bodys_preferences_are_read_and_taken_out() -> None:
    call = {"model": "m", "messages": [], **EVERYTHING}
    assert preferences_in(call, {})
    assert take_preferences(call, {}) == WISHED
    assert call == {"model": "m", "messages": []}


def test_headers_say_the_same_and_the_body_wins() -> None:
    headers = {
        b"x-orcestator-tags": b" code , math ", b"x-orcestator-type": b"fast", b"x-orcestator-min-context-size": b"32000",
        b"x-orcestator-json-response": b"true", b"x-orcestator-prefer-fast": b"1", b"x-orcestator-min-success-rate": b"0.8",
        b"x-orcestator-urgency": b"high", b"x-orcestator-quality": b"premium", b"x-orcestator-budget": b"0.05",
    }  # fmt: skip
    assert preferences_in({}, headers)
    assert take_preferences({"provider": EVERYTHING["provider"]}, headers) == WISHED
    assert take_preferences({"urgency": "low"}, headers).urgency == "low"


def test_who_asks_for_nothing_gets_the_one_object() -> None:
    assert not preferences_in({"model": "m"}, {b"content-type": b"x"})
    assert take_preferences({"model": "m"}, {}) is NO_PREFERENCES
    call: Json = {"tags": None, "provider": None, "budget": None}
    assert take_preferences(call, {b"x-orcestator-strict": b"true"}) is NO_PREFERENCES
    assert call == {}


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ({"tags": 7}, "tags"),
        ({"tags": ["a", 7]}, "tags"),
        ({"tags": ["a"] * 99}, "tags"),
        ({"tags": [""]}, "tags"),
        ({"type": ""}, "type"),
        ({"type": ["fast"]}, "type"),
        ({"min_context_size": "32000"}, "min_context_size"),
        ({"min_context_size": -1}, "min_context_size"),
        ({"min_context_size": True}, "min_context_size"),
        ({"json_response": "true"}, "json_response"),
        ({"prefer_fast": 1}, "prefer_fast"),
        ({"min_success_rate": 80}, "min_success_rate"),
        ({"min_success_rate": float("nan")}, "min_success_rate"),
        ({"urgency": "urgent"}, "urgency"),
        ({"quality": []}, "quality"),
        ({"budget": -1}, "budget"),
        ({"budget": float("inf")}, "budget"),
        ({"budget": {"max": 1}}, "budget"),
        ({"provider": "openai"}, "provider"),
        ({"provider": {"order": [1]}}, "provider.order"),
        ({"provider": {"sort": "quality"}}, "provider.sort"),
        ({"provider": {"sort": {"by": "price", "partition": "none"}}}, "provider.sort"),
        ({"provider": {"sort": {"of": "price"}}}, "provider.sort"),
        ({"provider": {"allow_fallbacks": "no"}}, "provider.allow_fallbacks"),
        ({"provider": {"max_price": 1}}, "provider.max_price"),
        ({"provider": {"max_price": {"image": 1}}}, "provider.max_price"),
        ({"provider": {"max_price": {"prompt": "1"}}}, "provider.max_price.prompt"),
        ({"provider": {"data_collection": "deny"}}, "provider.data_collection"),
        ({"provider": {"require_parameters": True}}, "provider.require_parameters"),
        ({"provider": {"zdr": "false"}}, "provider.zdr"),
        ({"provider": {"anything": False}}, "provider.anything"),
    ],
)
def test_what_cannot_be_read_names_its_field(call: Json, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        take_preferences(call, {})
    assert caught.value.param == field
    assert f"'{field}'" in caught.value.message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("min-context-size", "many"),
        ("budget", "inf"),
        ("budget", "nan"),
        ("json-response", "yes"),
        ("urgency", ""),
        ("type", " "),
    ],
)
def test_a_bad_header_is_named_as_it_was_written(name: str, text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        take_preferences({}, {f"x-orcestator-{name}".encode(): text.encode()})
    assert caught.value.param == f"x-orcestator-{name}"


def test_what_asks_openrouter_for_nothing_asks_for_nothing() -> None:
    usual = {
        "data_collection": "allow",
        "require_parameters": False,
        "zdr": False,
        "quantizations": [],
        "anything": None,
    }
    assert take_preferences({"provider": usual}, {}) == NO_PREFERENCES


def test_providers_may_be_written_in_capitals() -> None:
    """As OpenRouter's display names are: an exclusion must not fail for its spelling."""
    preferences = take_preferences(
        {"provider": {"order": ["Groq"], "only": ["GROQ", "Openai"], "ignore": ["DeepSeek"]}}, {}
    )
    assert (preferences.order, preferences.only, preferences.ignore) == (("groq",), ("groq", "openai"), ("deepseek",))


@pytest.mark.parametrize(
    ("text", "said"), [(b"true", True), (b" TRUE", True), (b"1", True), (b"false", False), (b"0", False)]
)
def test_a_flag_of_a_header(text: bytes, said: bool) -> None:
    assert flag_in({b"x-orcestator-router": text}, b"x-orcestator-router") is said
    assert flag_in({}, b"x-orcestator-router") is False


@pytest.mark.parametrize("text", [b"", b"yes", b"\xff"])
def test_a_flag_that_says_something_else_is_named(text: bytes) -> None:
    with pytest.raises(InvalidRequest, match="true or false") as caught:
        flag_in({b"x-orcestator-router": text}, b"x-orcestator-router")
    assert caught.value.param == "x-orcestator-router"


def test_openrouters_sort_object() -> None:
    assert take_preferences({"provider": {"sort": {"by": "latency"}}}, {}).sort == "latency"


@pytest.mark.parametrize(
    ("call", "names"),
    [
        ({"model": "a"}, ("a",)),
        ({}, ("auto",)),
        ({"model": None}, ("auto",)),
        ({"model": ""}, ("auto",)),
        ({"model": ["a", "b", "a", "auto"]}, ("a", "b", "auto")),
        ({"model": "a", "models": ["b", "c"]}, ("a", "b", "c")),
        ({"models": ["b", "c"]}, ("b", "c")),
        ({"model": "a", "models": None}, ("a",)),
        ({"models": ""}, ("auto",)),
    ],
)
def test_the_names_of_a_call(call: Json, names: tuple[str, ...]) -> None:
    assert take_names(call, "auto") == names
    assert "models" not in call


@pytest.mark.parametrize("field", ["model", "models"])
@pytest.mark.parametrize("value", [[], 7, [""], ["a", None], {"a": 1}, ["x" * 257], [["a"]], False])
def test_names_that_are_none(field: str, value: Any) -> None:
    with pytest.raises(InvalidRequest, match=f"'{field}' must be a name") as caught:
        take_names({field: value}, "auto")
    assert caught.value.param == field


def test_too_many_names() -> None:
    with pytest.raises(InvalidRequest, match="at most 32"):
        take_names({"models": [str(number) for number in range(33)]}, "auto")


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["order", "sort", "max_price", "by", "x"]), inner)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*EVERYTHING, "models", "model", "messages"]), _values, max_size=5))
def test_whatever_comes_it_is_read_or_refused_and_never_left_in(call: Json) -> None:
    try:
        names = take_names(call, "auto")
        take_preferences(call, {})
    except InvalidRequest:
        return
    assert names
    assert set(call) <= {"model", "messages"}
