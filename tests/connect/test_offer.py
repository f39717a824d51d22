"""What a server offers: read from its list whatever is in it, chosen by name, with what is not known said."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.connect.offer import OfferedModel, cautions, chosen, models_in
from orcestator.errors import StartupProblem

CARD = {
    "id": "orcestator",
    "owned_by": "orcestator",
    "context_length": 128_000,
    "max_output_tokens": 16_384,
    "supported_parameters": ["tools", "reasoning_effort"],
    "architecture": {"input_modalities": ["text", "image"]},
}


def test_a_card_is_read() -> None:
    """Ours, and one with the numbers where OpenRouter has them."""
    other = {"id": "x/y", "top_provider": {"context_length": 9, "max_completion_tokens": 4}, "context_length": None}
    assert models_in({"data": [CARD, other]}) == [
        OfferedModel("orcestator", 128_000, 16_384, tools=True, images=True, reasoning=True),
        OfferedModel("x/y", 9, 4, owner=""),
    ]


@pytest.mark.parametrize("listing", [None, [], {}, {"data": {}}, {"data": [{"id": "gpt-4o"}]}, {"data": [{"id": 5}]}])
def test_another_server_is_not_taken_for_ours(listing: Any) -> None:
    """Whatever answers has to know the model orcestator."""
    with pytest.raises(ValueError, match="orcestator"):
        models_in(listing)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(CARD)), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_JSON, max_size=4))
def test_any_list_is_read(entries: list[Any]) -> None:
    """A foreign entry is left out or read as one of which little is known."""
    models = models_in({"data": [CARD, *entries]})
    assert models[0].id == "orcestator"
    for model in models:
        assert model.window > 0
        assert 0 < model.input_within < model.window + 1
        assert model.input_within + model.output_within == model.window


@pytest.mark.parametrize(
    ("model", "window", "output"),
    [
        (OfferedModel("m", 128_000, 16_384), 128_000, 16_384),
        (OfferedModel("m", 131_072, 131_072), 131_072, 65_536),
        (OfferedModel("m", 131_072, None), 131_072, 8_192),
        (OfferedModel("m", 8_192, None), 8_192, 4_096),
        (OfferedModel("m"), 32_768, 8_192),
    ],
)
def test_the_limits_fit_together(model: OfferedModel, window: int, output: int) -> None:
    """The true numbers where they are known; there is always room for a question."""
    assert (model.window, model.output_within, model.input_within) == (window, output, window - output)


MODELS = [
    OfferedModel("orcestator"),
    OfferedModel("careful"),
    OfferedModel("openai/gpt-4o", owner="openai"),
    OfferedModel("openai/gpt-5.5", owner="openai"),
]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ([], ["orcestator", "careful"]),
        (["openai/*"], ["openai/gpt-4o", "openai/gpt-5.5"]),
        (["openai/gpt-5.5", "orcestator", "*gpt-5*"], ["openai/gpt-5.5", "orcestator"]),
    ],
)
def test_models_are_chosen_by_name(wanted: list[str], names: list[str]) -> None:
    """In the order in which they were named; without a name the server's own."""
    assert [model.id for model in chosen(MODELS, wanted)] == names


def test_an_unknown_name_gets_the_nearest_ones() -> None:
    """So that a slip of the finger is put right at once."""
    with pytest.raises(StartupProblem, match=r"'openai/gpt4o'.*'openai/gpt-4o'"):
        chosen(MODELS, ["openai/gpt4o"])


def test_what_is_assumed_or_missing_is_said() -> None:
    """Nothing is invented in silence."""
    models = [OfferedModel("a", 9, 9, tools=True), OfferedModel("b", None, 5), OfferedModel("c", 5, None, tools=False)]
    assert list(cautions(models)) == [
        "b: its provider does not tell how long its context is (32768 tokens are assumed).",
        "c: its provider does not tell how long an answer may be (8192 are assumed).",
        "c takes no tools: agents cannot work with it.",
    ]
