"""The anthropic SDK against an upstream of each dialect."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic.types import Message
from pydantic import BaseModel

from tests.sdks.conftest import IMAGE, KEY, PARAMETERS, ROOTS, THINKERS, Gateway, on, read_file

TOOL: Any = {"name": "read_file", "description": "Reads a file.", "input_schema": PARAMETERS}
THINKING: Any = {"type": "enabled", "budget_tokens": 2048}
every_upstream = pytest.mark.parametrize("dialect", ROOTS)


class Person(BaseModel):
    """What the model is asked to fill in."""

    name: str
    age: int


@pytest.fixture(scope="module")
def sdk(running: Gateway) -> Iterator[anthropic.Anthropic]:
    """The SDK, without retries of its own."""
    with anthropic.Anthropic(base_url=running.url, api_key=KEY, max_retries=0) as made:
        yield made


def says(text: str) -> list[Any]:
    """A conversation of one message."""
    return [{"role": "user", "content": text}]


def text_of(message: Message) -> str:
    """The text blocks of an answer."""
    return "".join(block.text for block in message.content if block.type == "text")


@every_upstream
def test_message(sdk: anthropic.Anthropic, dialect: str) -> None:
    """A system prompt and a question."""
    answer = sdk.messages.create(
        model=on(dialect, "echo"), max_tokens=500, system="Be brief.", messages=says("nonce:kiwi hello")
    )
    assert "kiwi" in text_of(answer)
    assert (answer.role, answer.stop_reason, answer.model) == ("assistant", "end_turn", on(dialect, "echo"))
    assert answer.usage.input_tokens > 0
    assert answer.usage.output_tokens > 0


@every_upstream
def test_streamed(sdk: anthropic.Anthropic, dialect: str) -> None:
    """The helper puts the message together from the events."""
    call: Any = {"model": on(dialect, "echo"), "max_tokens": 500, "messages": says("nonce:plum hello")}
    whole = sdk.messages.create(**call)
    with sdk.messages.stream(**call) as stream:
        said = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert said == text_of(final) == text_of(whole)
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens == whole.usage.output_tokens


def turns(sdk: anthropic.Anthropic, model: str, *, streamed: bool) -> list[Message]:
    """Turns until the model speaks; all blocks go back, as the documentation asks for."""
    messages, answers = says("nonce:sloe read the file"), []
    while not answers or answers[-1].stop_reason == "tool_use":
        call: Any = {"model": model, "max_tokens": 4096, "messages": messages, "tools": [TOOL], "thinking": THINKING}
        if streamed:
            with sdk.messages.stream(**call) as stream:
                answers.append(stream.get_final_message())
        else:
            answers.append(sdk.messages.create(**call))
        assert len(answers) < 5
        messages.append({"role": "assistant", "content": answers[-1].content})
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": read_file(**block.input)}
            for block in answers[-1].content
            if block.type == "tool_use"
        ]
        messages.append({"role": "user", "content": results})
    return answers


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@every_upstream
def test_tools(sdk: anthropic.Anthropic, dialect: str, streamed: bool) -> None:
    """The model calls tools, sees the results and speaks."""
    answers = turns(sdk, on(dialect, "agent"), streamed=streamed)
    assert answers[-1].stop_reason == "end_turn"
    assert len(answers) > 2
    ids = [block.id for answer in answers for block in answer.content if block.type == "tool_use"]
    assert len(set(ids)) == len(ids) == text_of(answers[-1]).replace("sloe ", "").count("the content of")


@pytest.mark.parametrize("dialect", THINKERS)
def test_thinking(sdk: anthropic.Anthropic, dialect: str) -> None:
    """Thinking comes in a block of its own, before the text."""
    answer = sdk.messages.create(
        model=on(dialect, "reasoner"), max_tokens=4096, thinking=THINKING, messages=says("hello")
    )
    assert [block.type for block in answer.content] == ["thinking", "text"]
    assert "I only have to say it back" in answer.content[0].thinking  # type: ignore[union-attr]


@pytest.mark.parametrize("dialect", [*THINKERS, "ollama"])
def test_structured(sdk: anthropic.Anthropic, dialect: str) -> None:
    """``.parse()`` gets an object of its schema."""
    answer = sdk.messages.parse(
        model=on(dialect, "echo"), max_tokens=500, messages=says("a person, nonce:quince"), output_format=Person
    )
    assert answer.parsed_output is not None
    assert answer.parsed_output.name == "quince"


@pytest.mark.parametrize("dialect", [*THINKERS, "ollama", "cohere"])
def test_vision(sdk: anthropic.Anthropic, gateway: Gateway, dialect: str) -> None:
    """The image arrives."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}}
    parts: Any = [{"type": "text", "text": "what is it?"}, image]
    answer = sdk.messages.create(
        model=on(dialect, "echo"), max_tokens=500, messages=[{"role": "user", "content": parts}]
    )
    assert text_of(answer)
    assert IMAGE in json.dumps(gateway.received()[-1])


@pytest.mark.parametrize("dialect", THINKERS)
def test_count_tokens(sdk: anthropic.Anthropic, dialect: str) -> None:
    """A longer question has more tokens."""
    short, long = (
        sdk.messages.count_tokens(model=on(dialect, "echo"), messages=says(text), tools=[TOOL]).input_tokens
        for text in ("hello", "hello " * 500)
    )
    assert 0 < short < long


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("H1:400", anthropic.BadRequestError),
        ("H1:401", anthropic.APIStatusError),
        ("H1:404", anthropic.NotFoundError),
        ("H1:500", anthropic.InternalServerError),
        ("H2:99999999999", anthropic.RateLimitError),
    ],
)
def test_errors(sdk: anthropic.Anthropic, fault: str, kind: type[anthropic.APIStatusError]) -> None:
    """What an upstream refuses is the error that the SDK has for it."""
    with pytest.raises(kind) as caught:
        sdk.messages.create(model=f"on-openai/fault:{fault}", max_tokens=500, messages=says("hello"))
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["error"]["message"]


def test_a_stream_that_breaks(sdk: anthropic.Anthropic) -> None:
    """The text that came, then an error: never a success."""
    text = []
    model = "on-openai/fault:S4:rst?after=3"
    with (
        pytest.raises(anthropic.APIError),
        sdk.messages.stream(model=model, max_tokens=500, messages=says("nonce:fig one two three")) as stream,
    ):
        text.extend(stream.text_stream)  # what came before the error stays in the list
    assert "fig" in "".join(text)


def test_models(sdk: anthropic.Anthropic) -> None:
    """The list, page by page, in the shape the SDK wants."""
    names = [card.id for card in sdk.models.list(limit=1000)]
    assert "on-gemini/echo" in names
    card = sdk.models.retrieve("on-gemini/echo")
    assert (card.id, card.type) == ("on-gemini/echo", "model")
