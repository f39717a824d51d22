"""Quirks: what a stricter upstream would refuse is renamed or left out, and a call without a quirk is untouched."""

import copy
from typing import Any

import pytest

from orcestator.dialects.openai.adapt import adapted
from orcestator.providers.rows import (
    MAX_TOKENS_ONLY,
    NO_DEVELOPER_ROLE,
    NO_MODELS_LIST,
    NO_STREAM_OPTIONS,
    QUIRKS,
    ROWS,
    STRICT_BODY,
)

PLAIN: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,", "detail": "low"}}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {}}]},
        {"role": "tool", "tool_call_id": "c", "content": "x", "name": "f"},
        {"role": "assistant", "content": "half", "prefix": True, "refusal": None},
    ],
    "max_tokens": 5,
    "unknown": {"kept": [1]},
}


@pytest.mark.parametrize("quirk", sorted(QUIRKS))
def test_a_call_that_has_nothing_to_adapt_is_the_same_object(quirk: str) -> None:
    """So that its bytes go through as they came."""
    assert adapted(PLAIN, {quirk}) is PLAIN


def test_the_callers_call_is_never_changed() -> None:
    """Another candidate, with other quirks, may be tried next."""
    call = {
        "messages": [{"role": "developer", "content": [{"image_url": {"url": "x", "media_type": "y"}}], "cot_id": 1}],
        "max_completion_tokens": 7,
    }
    before = copy.deepcopy(call)
    assert adapted(call, QUIRKS) != before
    assert call == before


def test_max_tokens_only() -> None:
    call = {"model": "m", "max_completion_tokens": 9, "temperature": 1}
    assert adapted(call, {MAX_TOKENS_ONLY}) == {"model": "m", "max_tokens": 9, "temperature": 1}


def test_max_tokens_is_kept_when_both_are_given() -> None:
    """Who says both has a reason for the older one."""
    call = {"max_tokens": 3, "max_completion_tokens": 9}
    assert adapted(call, {MAX_TOKENS_ONLY}) == {"max_tokens": 3}


def test_developer_becomes_system() -> None:
    call = {"messages": [{"role": "developer", "content": "a"}, {"role": "user", "content": "developer"}]}
    assert adapted(call, {NO_DEVELOPER_ROLE})["messages"] == [
        {"role": "system", "content": "a"},
        {"role": "user", "content": "developer"},
    ]


def test_a_strict_upstream_gets_no_bookkeeping() -> None:
    """What VS Code and the Copilot CLI echo back, and the type beside an image's address."""
    call = {
        "messages": [
            {"role": "assistant", "content": "x", "cot_id": "1", "cot_summary": "s", "reasoning_content": "r"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "t"},
                    {"type": "image_url", "image_url": {"url": "u", "media_type": "image/png", "detail": "low"}},
                ],
            },
            {"role": "tool", "tool_call_id": "c", "content": "kept"},
        ]
    }
    assert adapted(call, {STRICT_BODY})["messages"] == [
        {"role": "assistant", "content": "x"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "t"},
                {"type": "image_url", "image_url": {"url": "u", "detail": "low"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": "kept"},
    ]


def test_several_quirks_act_together() -> None:
    call = {"messages": [{"role": "developer", "content": "a", "cot_id": 1}], "max_completion_tokens": 1}
    assert adapted(call, [NO_DEVELOPER_ROLE, STRICT_BODY, MAX_TOKENS_ONLY]) == {
        "messages": [{"role": "system", "content": "a"}],
        "max_tokens": 1,
    }


@pytest.mark.parametrize("quirk", [NO_STREAM_OPTIONS, NO_MODELS_LIST, "a quirk of later"])
def test_quirks_about_other_things_do_nothing(quirk: str) -> None:
    call = {"messages": [{"role": "developer", "cot_id": 1}], "max_completion_tokens": 1}
    assert adapted(call, {quirk}) is call


@pytest.mark.parametrize("messages", [None, "text", [], ["text", None], [{"content": [None, {"image_url": "u"}]}]])
def test_foreign_shapes_are_left_to_the_upstream(messages: Any) -> None:
    """A caller's mistake is explained best by whoever reads it."""
    call = {"messages": messages}
    assert adapted(call, QUIRKS) == call


def test_every_quirk_of_a_row_is_known() -> None:
    assert set().union(*(row.quirks for row in ROWS)) <= QUIRKS
