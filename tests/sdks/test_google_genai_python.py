"""The google-genai SDK against an upstream of each dialect, at both versions of the API that it knows."""

import base64
import json
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from tests.sdks.conftest import IMAGE, KEY, ROOTS, THINKERS, Gateway, on, read_file

with warnings.catch_warnings():
    # Compiled for the first time, a file of it warns about a backslash in a text.
    warnings.filterwarnings("ignore", "invalid escape sequence")
    from google import genai
    from google.genai import errors, types

every_upstream = pytest.mark.parametrize("dialect", ROOTS)


class Person(BaseModel):
    """What the model is asked to fill in."""

    name: str
    age: int


@pytest.fixture(scope="module")
def sdk(running: Gateway) -> Iterator[genai.Client]:
    """The SDK at v1beta, which has all fields."""
    options = types.HttpOptions(base_url=running.url, api_version="v1beta")
    with genai.Client(api_key=KEY, http_options=options) as made:
        yield made


@every_upstream
def test_generate(sdk: genai.Client, dialect: str) -> None:
    """A system instruction and a question."""
    config = types.GenerateContentConfig(system_instruction="Be brief.", max_output_tokens=500)
    answer = sdk.models.generate_content(model=on(dialect, "echo"), contents="nonce:kiwi hello", config=config)
    assert "kiwi" in (answer.text or "")
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    usage = answer.usage_metadata
    assert usage is not None
    assert (usage.total_token_count or 0) >= (usage.prompt_token_count or 0) + (usage.candidates_token_count or 0) > 0


@every_upstream
def test_streamed(sdk: genai.Client, dialect: str) -> None:
    """The chunks together say what the whole answer says."""
    whole = sdk.models.generate_content(model=on(dialect, "echo"), contents="nonce:plum hello")
    chunks = list(sdk.models.generate_content_stream(model=on(dialect, "echo"), contents="nonce:plum hello"))
    assert "".join(chunk.text or "" for chunk in chunks) == whole.text
    reasons = [c.finish_reason for chunk in chunks for c in chunk.candidates or [] if c.finish_reason]
    assert reasons == [types.FinishReason.STOP]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@every_upstream
def test_tools(sdk: genai.Client, dialect: str, streamed: bool) -> None:
    """The chat calls our function by itself until the model speaks, and keeps the signatures in its history."""
    config = types.GenerateContentConfig(
        tools=[read_file], thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=2048)
    )
    chat = sdk.chats.create(model=on(dialect, "agent"), config=config)
    prompt = "nonce:sloe read the file"
    if streamed:
        said = "".join(chunk.text or "" for chunk in chat.send_message_stream(prompt))
    else:
        said = chat.send_message(prompt).text or ""
    calls = [part for content in chat.get_history() for part in content.parts or [] if part.function_call]
    assert len(calls) > 1
    assert said.replace("sloe ", "").count("the content of") == len(calls)


@pytest.mark.parametrize("dialect", THINKERS)
def test_thinking(sdk: genai.Client, dialect: str) -> None:
    """Thoughts are parts that say so."""
    config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))
    answer = sdk.models.generate_content(model=on(dialect, "reasoner"), contents="hello", config=config)
    assert "I only have to say it back" in "".join(part.text or "" for part in answer.parts or [] if part.thought)
    assert "You said: hello" in (answer.text or "")


@pytest.mark.parametrize("dialect", [*THINKERS, "ollama", "cohere"])
def test_structured(sdk: genai.Client, dialect: str) -> None:
    """An object of its schema."""
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Person)
    answer = sdk.models.generate_content(model=on(dialect, "echo"), contents="nonce:quince", config=config)
    assert isinstance(answer.parsed, Person)
    assert answer.parsed.name == "quince"


@pytest.mark.parametrize("dialect", [*THINKERS, "ollama", "cohere"])
def test_vision(sdk: genai.Client, gateway: Gateway, dialect: str) -> None:
    """The image arrives."""
    contents: Any = ["what is it?", types.Part.from_bytes(data=base64.b64decode(IMAGE), mime_type="image/png")]
    assert sdk.models.generate_content(model=on(dialect, "echo"), contents=contents).text
    assert IMAGE in json.dumps(gateway.received()[-1])


@pytest.mark.parametrize("dialect", THINKERS)
def test_count_tokens(sdk: genai.Client, dialect: str) -> None:
    """A longer question has more tokens."""
    short, long = (
        sdk.models.count_tokens(model=on(dialect, "echo"), contents=text).total_tokens or 0
        for text in ("hello", "hello " * 500)
    )
    assert 0 < short < long


@pytest.mark.parametrize(
    ("fault", "code"), [("H1:400", 400), ("H1:401", 424), ("H1:404", 404), ("H1:500", 503), ("H2:99999999999", 429)]
)
def test_errors(sdk: genai.Client, fault: str, code: int) -> None:
    """What an upstream refuses is an error with its status and a message; a model's name may have colons in it."""
    with pytest.raises(errors.APIError) as caught:
        sdk.models.generate_content(model=f"on-openai/fault:{fault}", contents="hello")
    assert caught.value.code == code
    assert caught.value.message


def test_a_stream_that_breaks(sdk: genai.Client) -> None:
    """The text that came, then an error: never a success."""
    text: list[str] = []
    chunks = sdk.models.generate_content_stream(model="breaks", contents="nonce:fig one two three")
    with pytest.raises(errors.APIError):
        text.extend(chunk.text or "" for chunk in chunks)
    assert "fig" in "".join(text)


def test_models(sdk: genai.Client) -> None:
    """The list in the shape the SDK wants."""
    names = [card.name for card in sdk.models.list()]
    assert "models/on-anthropic/echo" in names
    assert sdk.models.get(model="on-anthropic/echo").name == "models/on-anthropic/echo"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_the_version_it_takes_by_itself(gateway: Gateway, streamed: bool) -> None:
    """Since 3.0 that is v1 and no longer v1beta."""
    with genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=gateway.url)) as sdk:
        call: Any = {"model": "on-anthropic/echo", "contents": "nonce:kiwi hello"}
        if streamed:
            said = "".join(chunk.text or "" for chunk in sdk.models.generate_content_stream(**call))
        else:
            said = sdk.models.generate_content(**call).text or ""
    assert "kiwi" in said
