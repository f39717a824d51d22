"""Continuation: plain text only, by models that can, and what they are asked."""

from typing import Any

import pytest

from orcestator.routing.attempts.continuation import can_continue, continued_call
from orcestator.routing.offer import Deployment
from orcestator.routing.planning.catalog import Candidate
from tests.routing.plans import candidate_of

CALL = {"model": "m", "messages": [{"role": "user", "content": "Tell me a story."}], "stream": True}


def candidate(provider: str = "mistral", dialect: str = "openai", *, continues_text: bool = True) -> Candidate:
    return candidate_of(Deployment(provider, "m", "", "proxy", (dialect,)), continues_text=continues_text)


ABLE = candidate()


def test_models_that_continue_text_may_go_on() -> None:
    unable = candidate("other", continues_text=False)

    assert can_continue(CALL, "Once upon", [unable, ABLE]) == (ABLE,)


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "function"}]},
        {"functions": [{}]},
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "json_schema"}},
        {"n": 2},
        {"reasoning_effort": "high"},
        {"reasoning": {"enabled": True}},
        {"thinking": {"type": "enabled"}},
        {"logprobs": True},
        {"audio": {"voice": "x"}},
        {"max_tokens": 2},
        {"messages": [{"role": "assistant", "content": "On"}]},
        {"messages": []},
    ],
)
def test_nothing_but_plain_text_is_continued(more: dict[str, Any]) -> None:
    assert can_continue({**CALL, **more}, "Once upon a time", [ABLE]) == ()


@pytest.mark.parametrize(
    "more",
    [{"tools": []}, {"n": 1}, {"reasoning_effort": "none"}, {"response_format": {"type": "text"}}, {"max_tokens": 99}],
)
def test_what_asks_for_plain_text_in_other_words_is(more: dict[str, Any]) -> None:
    assert can_continue({**CALL, **more}, "Once upon a time", [ABLE]) == (ABLE,)


def test_without_text_there_is_nothing_to_go_on_with() -> None:
    assert can_continue(CALL, "", [ABLE]) == ()


def test_a_model_that_continues_only_elsewhere_would_begin_anew() -> None:
    assert can_continue(CALL, "Once", [candidate("deepseek")]) == ()


def test_one_that_takes_no_space_at_the_end_is_not_asked_to_go_on_after_one() -> None:
    claude = candidate("anthropic", "anthropic")

    assert can_continue(CALL, "Once ", [claude, ABLE]) == (ABLE,)
    assert can_continue(CALL, "Once", [claude, ABLE]) == (claude, ABLE)


def test_the_text_becomes_the_beginning_of_the_next_answer() -> None:
    call = {**CALL, "max_tokens": 100, "max_completion_tokens": 50, "temperature": 0.5}

    asked = continued_call(call, "x" * 40)

    assert asked == {
        **call,
        "max_tokens": 90,
        "max_completion_tokens": 40,
        "messages": [*call["messages"], {"role": "assistant", "content": "x" * 40, "prefix": True}],  # type: ignore[misc]
    }
    assert call["messages"] == CALL["messages"]
