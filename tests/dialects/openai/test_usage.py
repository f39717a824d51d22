"""The classes of what was used, as the canonical usage and its cousins tell them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.dialects.openai.usage import LARGEST_COUNT, read_usage
from orcestator.json_text import Json
from orcestator.usage import Usage


def told(**more: Any) -> Json:
    return {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150, **more}


@pytest.mark.parametrize(
    ("wire", "usage"),
    [
        (told(), Usage(100, 50)),
        ({"prompt_tokens": 7, "total_tokens": 7}, Usage(7, 0)),
        ({"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}, Usage(3, 4)),
        # https://platform.openai.com/docs/api-reference/chat/object (checked 2026-11): what was cached is part of the prompt.
        (told(prompt_tokens_details={"cached_tokens": 90}), Usage(100, 50, cache_read_tokens=90)),
        (told(prompt_tokens_details={"cached_tokens": 0, "audio_tokens": 0}, completion_tokens_details=None), Usage(100, 50)),
        (
            told(
                prompt_tokens_details={"cached_tokens": 10, "cache_write_tokens": 30, "cache_write_1h_tokens": 20, "audio_tokens": 5},
                completion_tokens_details={"reasoning_tokens": 40, "audio_tokens": 6},
            ),
            Usage(100, 50, False, 10, 10, 20, 40, 5, 6),
        ),
        # A picture's answer: https://platform.openai.com/docs/api-reference/images/object (checked 2026-11).
        ({"input_tokens": 10, "output_tokens": 20, "input_tokens_details": {"cached_tokens": 4}}, Usage(10, 20, cache_read_tokens=4)),
        # DeepSeek, Moonshot, OpenRouter's shape for searches, Perplexity's.
        (told(prompt_cache_hit_tokens=60, prompt_cache_miss_tokens=40), Usage(100, 50, cache_read_tokens=60)),
        (told(cached_tokens=60), Usage(100, 50, cache_read_tokens=60)),
        (told(server_tool_use={"web_search_requests": 2}), Usage(100, 50, searches=2)),
        (told(num_search_queries=3), Usage(100, 50, searches=3)),
        # Nonsense in a class is no class; more than the whole is the whole.
        (told(prompt_tokens_details={"cached_tokens": "9"}, completion_tokens_details=[1]), Usage(100, 50)),
        (
            told(prompt_tokens_details={"cached_tokens": 500}, completion_tokens_details={"reasoning_tokens": 500}),
            Usage(100, 50, cache_read_tokens=100, reasoning_tokens=50),
        ),
        ({"prompt_tokens": 7.0, "completion_tokens": 2.5}, Usage(7, 2)),
        (told(prompt_tokens=-1), None),
        (told(completion_tokens="5"), None),
        (told(completion_tokens=None), None),
        (told(prompt_tokens=LARGEST_COUNT + 1), None),
        (told(prompt_tokens=True), None),
        ({"completion_tokens": 5}, None),
        ([], None),
        (None, None),
    ],
)  # fmt: skip
def test_what_a_report_tells(wire: Any, usage: Usage | None) -> None:
    assert read_usage(wire) == usage


_anything = st.none() | st.booleans() | st.integers(-5, 10**9) | st.floats() | st.text(max_size=3) | st.lists(st.none())
_details = st.dictionaries(
    st.sampled_from(
        ["cached_tokens", "cache_write_tokens", "cache_write_1h_tokens", "audio_tokens", "reasoning_tokens"]
    ),
    _anything,
)


@given(
    st.fixed_dictionaries({"prompt_tokens": st.integers(0, 10**6), "completion_tokens": st.integers(0, 10**6)}),
    st.dictionaries(st.sampled_from(["prompt_tokens_details", "completion_tokens_details"]), _details | _anything),
    st.dictionaries(
        st.sampled_from(["cached_tokens", "server_tool_use", "num_search_queries", "total_tokens"]), _anything
    ),
)
def test_the_classes_are_disjoint_and_never_more_than_the_whole(counts: Json, details: Json, beside: Json) -> None:
    usage = read_usage({**counts, **details, **beside})
    assert usage is not None
    assert usage[:3] == (counts["prompt_tokens"], counts["completion_tokens"], False)
    assert all(type(count) is int and count >= 0 for count in usage[3:])
    assert usage.audio_input_tokens <= usage.input_tokens
    assert max(usage.reasoning_tokens, usage.audio_output_tokens) <= usage.completion_tokens
