"""What each generation of Claude takes, by its name at any cloud."""

import pytest

from orcestator.dialects.anthropic.models import Traits, traits_of


@pytest.mark.parametrize(
    ("model", "thinking", "off"),
    [
        ("claude-3-5-haiku-20241022", "none", ""),
        ("claude-2.1", "none", ""),
        ("claude-3-7-sonnet-20250219", "budget", ""),
        ("claude-sonnet-4-20250514", "budget", ""),
        ("claude-opus-4@20250514", "budget", ""),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "budget", ""),
        ("anthropic/claude-4.6-opus", "adaptive", ""),
        ("anthropic/claude-opus-4.7", "adaptive", ""),
        ("claude-sonnet-5", "adaptive", "disabled"),
        ("claude-haiku-5-5", "adaptive", "disabled"),
        ("claude-sonnet-5-5", "adaptive", "between_tools"),
        ("claude-opus-5-5", "adaptive", None),
        ("claude-fable-5", "adaptive", None),
        ("claude-mythos-preview", "adaptive", None),
        ("claude-of-tomorrow", "adaptive", None),
    ],
)
def test_thinking_and_how_it_is_turned_off(model: str, thinking: str, off: str | None) -> None:
    """By generation; an unknown Claude is taken for the strictest."""
    traits = traits_of(model)

    assert (traits.thinking, traits.thinking_off) == (thinking, off)


@pytest.mark.parametrize(
    ("model", "prefill", "sampling", "forced", "output_format"),
    [
        ("claude-sonnet-4-20250514", True, True, True, False),
        ("claude-opus-4-1-20250805", True, True, True, True),
        ("claude-sonnet-4-5", True, True, True, True),
        ("claude-opus-4-6", False, True, True, True),
        ("claude-opus-4-8", False, False, True, True),
        ("claude-sonnet-5", False, False, True, True),
        ("claude-haiku-5-5", False, False, True, True),
        ("claude-sonnet-5-5", False, False, False, True),
        ("claude-fable-5-1", False, False, False, True),
    ],
)
def test_what_a_generation_takes(model: str, prefill: bool, sampling: bool, forced: bool, output_format: bool) -> None:
    """Prefill, sampling parameters, forced tools, structured outputs."""
    traits = traits_of(model)

    assert (traits.takes_prefill, traits.takes_sampling) == (prefill, sampling)
    assert (traits.takes_forced_tool, traits.takes_format) == (forced, output_format)


@pytest.mark.parametrize("model", ["deepseek-chat", "mock-model", "", "kimi-k2"])
def test_a_model_of_another_maker_refuses_nothing(model: str) -> None:
    """Endpoints like Anthropic's of other providers."""
    assert traits_of(model) == Traits()


def test_efforts_grow_with_the_generations() -> None:
    """``xhigh`` is newer than ``max``."""
    assert traits_of("claude-sonnet-4-5").efforts == ()
    assert traits_of("claude-opus-4-5-20251101").efforts == ("low", "medium", "high")
    assert "xhigh" not in traits_of("claude-opus-4-6").efforts
    assert "xhigh" in traits_of("claude-opus-4-7").efforts
