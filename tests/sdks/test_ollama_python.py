"""The ollama library against an upstream of each dialect."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import ollama
import pytest
from pydantic import BaseModel

from tests.sdks.conftest import IMAGE, ROOTS, THINKERS, Gateway, on, read_file

every_upstream = pytest.mark.parametrize("dialect", ROOTS)


class Person(BaseModel):
    """What the model is asked to fill in."""

    name: str
    age: int


@pytest.fixture(scope="module")
def sdk(running: Gateway) -> Iterator[ollama.Client]:
    """The library, told where the server is."""
    with ollama.Client(host=running.url) as made:
        yield made


def says(text: str) -> list[Any]:
    """A conversation of one message."""
    return [{"role": "user", "content": text}]


@every_upstream
def test_chat(sdk: ollama.Client, dialect: str) -> None:
    """A system prompt and a question."""
    messages = [{"role": "system", "content": "Be brief."}, *says("nonce:kiwi hello")]
    answer = sdk.chat(model=on(dialect, "echo"), messages=messages, options={"num_predict": 500})
    assert "kiwi" in (answer.message.content or "")
    assert answer.done
    assert answer.done_reason == "stop"
    assert (answer.prompt_eval_count or 0) > 0
    assert (answer.eval_count or 0) > 0


@every_upstream
def test_streamed(sdk: ollama.Client, dialect: str) -> None:
    """The lines together say what the whole answer says; only the last is done."""
    call: Any = {"model": on(dialect, "echo"), "messages": says("nonce:plum hello")}
    parts = list(sdk.chat(**call, stream=True))
    assert "".join(part.message.content or "" for part in parts) == sdk.chat(**call).message.content
    assert [part.done for part in parts].index(True) == len(parts) - 1


@every_upstream
def test_generate(sdk: ollama.Client, dialect: str) -> None:
    """The older way of asking, whole and streamed."""
    whole = sdk.generate(model=on(dialect, "echo"), prompt="nonce:date hello")
    parts = list(sdk.generate(model=on(dialect, "echo"), prompt="nonce:date hello", stream=True))
    assert "date" in whole.response
    assert "".join(part.response for part in parts) == whole.response


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@every_upstream
def test_tools(sdk: ollama.Client, dialect: str, streamed: bool) -> None:
    """The model calls tools, sees the results, which go back by the tool's name, and speaks."""
    messages, made, answers = says("nonce:sloe read the file"), 0, 0
    while True:
        call: Any = {"model": on(dialect, "agent"), "messages": messages, "tools": [read_file], "think": True}
        parts = list(sdk.chat(**call, stream=True)) if streamed else [sdk.chat(**call)]
        calls = [one for part in parts for one in part.message.tool_calls or []]
        answers += 1
        assert answers < 5
        if not calls:
            break
        made += len(calls)
        messages.append({"role": "assistant", "tool_calls": calls})
        messages += [
            {"role": "tool", "tool_name": one.function.name, "content": read_file(**one.function.arguments)}
            for one in calls
        ]
    said = "".join(part.message.content or "" for part in parts)
    assert answers > 2
    assert said.replace("sloe ", "").count("the content of") == made


@pytest.mark.parametrize("dialect", THINKERS)
def test_thinking(sdk: ollama.Client, dialect: str) -> None:
    """In a field of its own."""
    answer = sdk.chat(model=on(dialect, "reasoner"), messages=says("hello"), think=True)
    assert "I only have to say it back" in (answer.message.thinking or "")


@pytest.mark.parametrize("dialect", [*THINKERS, "ollama", "cohere"])
def test_structured(sdk: ollama.Client, dialect: str) -> None:
    """An object of its schema."""
    answer = sdk.chat(model=on(dialect, "echo"), messages=says("nonce:quince"), format=Person.model_json_schema())
    assert Person.model_validate_json(answer.message.content or "").name == "quince"


@pytest.mark.parametrize("dialect", [*THINKERS, "ollama", "cohere"])
def test_vision(sdk: ollama.Client, gateway: Gateway, dialect: str) -> None:
    """The image arrives."""
    message: Any = {"role": "user", "content": "what is it?", "images": [base64.b64decode(IMAGE)]}
    assert sdk.chat(model=on(dialect, "echo"), messages=[message]).message.content
    assert IMAGE in json.dumps(gateway.received()[-1])


@pytest.mark.parametrize(
    ("fault", "status"), [("H1:400", 400), ("H1:401", 424), ("H1:404", 404), ("H1:500", 503), ("H2:99999999999", 429)]
)
def test_errors(sdk: ollama.Client, fault: str, status: int) -> None:
    """What an upstream refuses is an error with its status and a message."""
    with pytest.raises(ollama.ResponseError) as caught:
        sdk.chat(model=f"on-openai/fault:{fault}", messages=says("hello"))
    assert caught.value.status_code == status
    assert "{" not in caught.value.error


def test_a_stream_that_breaks(sdk: ollama.Client) -> None:
    """The text that came, then an error: never a success."""
    text: list[str] = []
    parts = sdk.chat(model="on-openai/fault:S4:rst?after=3", messages=says("nonce:fig one two three"), stream=True)
    with pytest.raises(ollama.ResponseError):
        text.extend(part.message.content or "" for part in parts)
    assert "fig" in "".join(text)


def test_embed(sdk: ollama.Client) -> None:
    """Numbers, and the same ones for the same text."""
    both = sdk.embed(model="on-openai/embed", input=["one", "two"]).embeddings
    assert len(both) == 2
    assert sdk.embed(model="on-openai/embed", input="two").embeddings[0] == both[1]


def test_models(sdk: ollama.Client) -> None:
    """The list, one of them, and what runs."""
    assert "on-anthropic/echo" in [model.model for model in sdk.list().models]
    shown = sdk.show("on-anthropic/echo")
    assert "completion" in (shown.capabilities or [])
    assert isinstance(sdk.ps().models, list)
