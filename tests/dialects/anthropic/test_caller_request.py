"""What callers of the Messages API send, read: beyond what the recorded cases show."""

from typing import Any

import pytest

from orcestator.dialects.anthropic.caller import CALLER
from orcestator.errors import InvalidRequest
from orcestator.json_text import Json

HI = [{"role": "user", "content": "Hi"}]
PNG = {"type": "base64", "media_type": "image/png", "data": "AA=="}


def body(**more: Any) -> Json:
    """A body that is whole."""
    return {"model": "m", "max_tokens": 9, "messages": HI, **more}


def read(**more: Any) -> Json:
    """The call that a body means, nothing dropped."""
    made = CALLER.read(body(**more))
    assert made.dropped == ()
    return made.call


def users(*blocks: Json) -> list[Json]:
    """A conversation of one user's message."""
    return [{"role": "user", "content": list(blocks)}]


def assistants(*blocks: Json) -> list[Json]:
    """A conversation that the assistant has spoken in."""
    return [*HI, {"role": "assistant", "content": list(blocks)}]


@pytest.mark.parametrize("name", ["model", "max_tokens", "messages"])
def test_required_fields(name: str) -> None:
    """Missing ones are told as Anthropic tells them, and what to give."""
    whole = body()
    del whole[name]

    with pytest.raises(InvalidRequest, match=f"^{name}: Field required. Give ") as raised:
        CALLER.read(whole)

    assert raised.value.param == name


WRONG = [
    ({"model": 7}, "model"),
    ({"max_tokens": "9"}, "max_tokens"),
    ({"max_tokens": True}, "max_tokens"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"messages": "Hi"}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": ["Hi"]}, "messages[0]"),
    ({"messages": [{"role": "bot", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
    ({"messages": users({"text": "x"})}, "messages[0].content[0]"),
    ({"messages": users({"type": "text"})}, "messages[0].content[0].text"),
    ({"messages": users({"type": "image"})}, "messages[0].content[0].source"),
    ({"messages": users({"type": "image", "source": {**PNG, "data": 7}})}, "messages[0].content[0].source.data"),
    ({"messages": users({"type": "tool_result"})}, "messages[0].content[0].tool_use_id"),
    ({"messages": users({"type": "tool_result", "tool_use_id": "a", "content": 7})}, "messages[0].content[0].content"),
    (
        {"messages": assistants({"type": "tool_use", "id": "a", "name": "f", "input": []})},
        "messages[1].content[0].input",
    ),
    ({"messages": assistants({"type": "tool_use", "id": "a", "input": {}})}, "messages[1].content[0].name"),
    ({"messages": assistants({"type": "thinking"})}, "messages[1].content[0].thinking"),
    ({"system": 7}, "system"),
    ({"system": [{"type": "text", "text": 7}]}, "system[0].text"),
    ({"stream": "yes"}, "stream"),
    ({"temperature": "hot"}, "temperature"),
    ({"top_k": 1.5}, "top_k"),
    ({"stop_sequences": "x"}, "stop_sequences"),
    ({"stop_sequences": [7]}, "stop_sequences[0]"),
    ({"tools": {}}, "tools"),
    ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
    ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
    ({"tools": [{"type": 7}]}, "tools[0].type"),
    ({"tool_choice": "auto"}, "tool_choice"),
    ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
    ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ({"metadata": 7}, "metadata"),
    ({"metadata": {"user_id": 7}}, "metadata.user_id"),
    ({"thinking": {"type": "hard"}}, "thinking.type"),
    ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
    ({"output_config": {"effort": "huge"}}, "output_config.effort"),
    ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
    ({"output_format": {"type": "json_schema"}}, "output_format.schema"),
]


@pytest.mark.parametrize(("fields", "param"), WRONG, ids=[param for _, param in WRONG])
def test_what_is_wrong_is_named_where_it_is(fields: Json, param: str) -> None:
    """With the field as the caller spelled it, and a remedy."""
    with pytest.raises(InvalidRequest) as raised:
        CALLER.read(body(**fields))

    assert raised.value.param == param
    assert raised.value.message.startswith(f"{param}: ")
    assert ". Give " in raised.value.message


def test_sampling_and_limits() -> None:
    """Under OpenAI's names."""
    call = read(temperature=0.5, top_p=0.9, top_k=5, stop_sequences=["a"], stream=False, metadata={"user_id": "u"})

    named = {"temperature": 0.5, "top_p": 0.9, "top_k": 5, "stop": ["a"], "stream": False, "user": "u", "max_tokens": 9}
    assert {name: call[name] for name in named} == named


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, {"reasoning": {"max_tokens": 2000}}),
        ({"thinking": {"type": "adaptive"}}, {"reasoning": {"enabled": True}}),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, {"reasoning": {"enabled": True, "exclude": True}}),
        ({"thinking": {"type": "disabled"}}, {"reasoning": {"enabled": False}}),
        ({"thinking": {"type": "between_tools"}}, {"reasoning": {"enabled": False}}),
        ({"output_config": {"effort": "max"}}, {"reasoning_effort": "max"}),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, {"reasoning_effort": "low"}),
        ({"thinking": None, "output_config": None}, {}),
    ],
)
def test_thinking(fields: Json, expected: Json) -> None:
    """Budgets, efforts, and none."""
    call = read(**fields)

    assert {name: call[name] for name in ("reasoning", "reasoning_effort") if name in call} == expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "f"}, {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
        ({"type": "auto", "disable_parallel_tool_use": True}, {"tool_choice": "auto", "parallel_tool_calls": False}),
    ],
)
def test_tool_choices(choice: Json, expected: Json) -> None:
    """Each has its word."""
    call = read(tools=[{"name": "f", "input_schema": {"type": "object"}}], tool_choice=choice)

    assert {name: call[name] for name in ("tool_choice", "parallel_tool_calls") if name in call} == expected


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "web_search"}])
def test_a_choice_of_a_tool_that_was_left_out_is_named(choice: Json) -> None:
    """OpenAI refuses a choice without tools."""
    made = CALLER.read(body(tools=[{"type": "web_search_20250305", "name": "web_search"}], tool_choice=choice))

    assert made.dropped == ("tools.web_search_20250305", "tool_choice")
    assert not {"tools", "tool_choice"} & made.call.keys()


def test_both_places_of_an_answers_schema() -> None:
    """The older one is still sent."""
    wanted = {"type": "json_schema", "schema": {"type": "object"}}

    assert read(output_config={"format": wanted}) == read(output_format=wanted)
    assert read(output_format=wanted)["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_blocks_of_a_user() -> None:
    """Documents of text and search results are text; what only Anthropic holds is named."""
    made = CALLER.read(
        body(
            messages=users(
                {"type": "document", "source": {"type": "content", "content": [{"type": "image", "source": PNG}]}},
                {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
                {"type": "document", "source": {"type": "file", "file_id": "file_1"}, "citations": {"enabled": True}},
                {"type": "search_result", "title": "T", "source": "S", "content": [{"type": "text", "text": "found"}]},
                {"type": "container_upload", "file_id": "file_2"},
            )
        )
    )

    assert made.call["messages"][0]["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {"type": "file", "file": {"file_data": "https://example.com/a.pdf"}},
        {"type": "text", "text": "T\nS\nfound"},
    ]
    assert made.dropped == ("messages.document.citations", "messages.document", "messages.container_upload")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, ""),
        ("ok", "ok"),
        ([], ""),
        ([{"type": "text", "text": "ok"}], "ok"),
        (
            [{"type": "image", "source": PNG}],
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}],
        ),
    ],
)
def test_results_of_tools(content: Any, expected: Any) -> None:
    """In their plainest form, and no empty user's message after them."""
    call = read(messages=users({"type": "tool_result", "tool_use_id": "a", "content": content}))

    assert call["messages"] == [{"role": "tool", "tool_call_id": "a", "content": expected}]


def test_unknown_blocks_and_fields_are_named_not_refused() -> None:
    """A newer client must not break; what is about Anthropic's own service is not worth a word."""
    made = CALLER.read(
        body(
            messages=assistants({"type": "server_tool_use", "id": "s"}, {"type": "text", "text": "x"}),
            mcp_servers=[{"url": "x"}],
            container="c",
            context_management={"edits": []},
            service_tier="auto",
            output_config={"task_budget": {"total": 1}},
        )
    )

    assert made.dropped == ("messages.server_tool_use", "output_config.task_budget", "mcp_servers", "container")


def test_a_mark_on_a_result_goes_to_its_last_part() -> None:
    """Marks live on parts."""
    mark = {"type": "ephemeral", "ttl": "1h"}

    call = read(messages=users({"type": "tool_result", "tool_use_id": "a", "content": "x", "cache_control": mark}))

    assert call["messages"][0]["content"] == [{"type": "text", "text": "x", "cache_control": mark}]
