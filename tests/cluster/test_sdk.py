"""The official openai SDK against the cluster, in both wirings: what a Python program that uses it sees."""

import base64
import json
import warnings
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import BaseModel

from orcestator.sandbox.dialects.media import png, vector
from tests.cluster.harness import WIRINGS, Cluster, SandboxThread, until

EVERYTHING = "[chat, completions, embeddings, images, audio, moderations]"
KEY = "the-callers-own-key"


@pytest.fixture(scope="module", params=WIRINGS)
def full(
    request: pytest.FixtureRequest, alpha: SandboxThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """A cluster whose one provider offers every endpoint."""
    config = f"""
providers:
  alpha: {{base_url: "{alpha.base_url}", api_key: "alpha-key", default_model: echo, endpoints: {EVERYTHING}}}
"""
    with Cluster(tmp_path_factory.mktemp("sdk"), config, request.param) as running:
        until(lambda: "alpha/echo" in [card["id"] for card in running.models()], "the provider's own models are listed")
        yield running


@pytest.fixture(autouse=True)
def nothing_is_held_against_alpha(full: Cluster) -> None:
    """A key that one test had refused would be out for the next one."""
    assert full.post("/admin/state/reset", {}).status_code == 200


@pytest.fixture
def client(full: Cluster) -> Iterator[openai.OpenAI]:
    """The SDK, without retries of its own."""
    with openai.OpenAI(base_url=f"{full.url}/v1", api_key=KEY, max_retries=0) as made:
        yield made


def says(text: str) -> list[ChatCompletionMessageParam]:
    """A conversation of one user message."""
    return [{"role": "user", "content": text}]


def tool(name: str) -> ChatCompletionToolParam:
    """A tool with one text parameter."""
    parameters: dict[str, object] = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    """The text of a stream."""
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def asked_of(sandbox: SandboxThread, model: str) -> list[Any]:
    """What the upstream was asked for a model."""
    return [record for record in sandbox.records if record.model == model]


def test_chat(client: openai.OpenAI) -> None:
    """The answer to our words, under the name we asked for, with its tokens."""
    answer = client.chat.completions.create(model="orcestator", messages=says("nonce:kiwi hello"))
    assert answer.model == "orcestator"
    assert "kiwi" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


def test_stream(client: openai.OpenAI) -> None:
    """One id, one model, one finish reason, and no usage, for nobody asked for it."""
    chunks = list(client.chat.completions.create(model="orcestator", messages=says("nonce:plum hello"), stream=True))
    assert "plum" in text_of(chunks)
    assert {chunk.model for chunk in chunks} == {"orcestator"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]
    assert all(chunk.usage is None for chunk in chunks)
    assert all(chunk.choices for chunk in chunks)


def test_stream_with_usage(client: openai.OpenAI) -> None:
    """The usage comes once, last, in a chunk without choices."""
    chunks = list(
        client.chat.completions.create(
            model="orcestator", messages=says("hello"), stream=True, stream_options={"include_usage": True}
        )
    )
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    last = chunks[-1]
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens > 0


def test_stream_helper(client: openai.OpenAI) -> None:
    """``.stream()`` puts the whole answer together."""
    with client.chat.completions.stream(model="orcestator", messages=says("nonce:fig hello")) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert "content.delta" in kinds
    assert "fig" in (final.choices[0].message.content or "")
    assert final.choices[0].finish_reason == "stop"


def test_tools_round_trip(client: openai.OpenAI) -> None:
    """As runTools does it: call, answer each call, until there is an answer in words."""
    messages: list[Any] = list(says("read the file"))
    finishes = []
    for _ in range(3):
        answer = client.chat.completions.create(
            model="alpha/tools", messages=messages, tools=[tool("read_file")], tool_choice="auto"
        )
        choice = answer.choices[0]
        finishes.append(choice.finish_reason)
        messages.append(choice.message)
        for call in choice.message.tool_calls or []:
            assert call.type == "function"
            assert json.loads(call.function.arguments)["path"]
            messages.append({"role": "tool", "tool_call_id": call.id, "content": f"result of {call.function.name}"})
        if choice.finish_reason == "stop":
            break
    assert finishes == ["tool_calls", "stop"]
    assert "result of read_file" in str(messages[-1].content)


def test_parallel_tools_streamed(client: openai.OpenAI) -> None:
    """Two calls: each with its id and name once, complete before the next one begins."""
    tools = [tool("first"), tool("second")]
    chunks = list(
        client.chat.completions.create(
            model="alpha/tools", messages=says("use both in parallel"), tools=tools, stream=True
        )
    )
    deltas = [part for chunk in chunks for choice in chunk.choices for part in choice.delta.tool_calls or []]
    indexes = [part.index for part in deltas]
    assert indexes == sorted(indexes)
    named = [part.function.name for part in deltas if part.function and part.function.name]
    assert named == ["first", "second"]
    ids = [part.id for part in deltas if part.id]
    assert len(set(ids)) == 2
    for index in (0, 1):
        pieces = [part.function.arguments or "" for part in deltas if part.index == index and part.function]
        assert json.loads("".join(pieces))["path"]


def test_parallel_tools_by_helper(client: openai.OpenAI) -> None:
    """``.stream()`` accumulates both calls, and both can be answered in one turn."""
    tools = [tool("first"), tool("second")]
    messages: list[Any] = list(says("use both in parallel"))
    with client.chat.completions.stream(model="alpha/tools", messages=messages, tools=tools) as stream:
        message = stream.get_final_completion().choices[0].message
    calls = message.tool_calls or []
    assert [call.function.name for call in calls] == ["first", "second"]
    messages.append({"role": "assistant", "content": message.content, "tool_calls": [c.to_dict() for c in calls]})
    messages += [{"role": "tool", "tool_call_id": call.id, "content": call.function.name} for call in calls]
    answer = client.chat.completions.create(model="alpha/tools", messages=messages, tools=tools)
    assert "second" in (answer.choices[0].message.content or "")


class Person(BaseModel):
    """What the model is asked to fill in."""

    name: str
    age: int


def test_response_format(client: openai.OpenAI, alpha: SandboxThread) -> None:
    """``.parse()`` gets an object of its schema, and the schema reached the upstream whole."""
    answer = client.chat.completions.parse(model="alpha/echo", messages=says("a person"), response_format=Person)
    assert isinstance(answer.choices[0].message.parsed, Person)
    sent = json.loads(alpha.last_call.body)["response_format"]
    assert sent["json_schema"]["schema"]["required"] == ["name", "age"]
    assert sent["json_schema"]["strict"] is True


def test_vision(client: openai.OpenAI, alpha: SandboxThread) -> None:
    """An image part is accepted and arrives as it was sent."""
    url = "data:image/png;base64," + base64.b64encode(png()).decode()
    parts: list[Any] = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    answer = client.chat.completions.create(model="orcestator", messages=[{"role": "user", "content": parts}])
    assert answer.choices[0].message.content
    assert json.loads(alpha.last_call.body)["messages"][0]["content"] == parts


@pytest.mark.parametrize("form", [None, "base64", "float"])
def test_embeddings(client: openai.OpenAI, alpha: SandboxThread, form: Any) -> None:
    """The SDK asks for base64 unless told otherwise; either way the same numbers come out."""
    wanted = {} if form is None else {"encoding_format": form}
    answer = client.embeddings.create(model="alpha/embed", input=["one", "two"], **wanted)
    assert answer.model == "alpha/embed"
    assert json.loads(alpha.last_call.body)["encoding_format"] == (form or "base64")
    numbers = answer.data[1].embedding
    if form == "base64":
        assert isinstance(numbers, str)
    else:
        assert numbers == pytest.approx(vector("two", 64), abs=1e-6)


def test_completions(client: openai.OpenAI) -> None:
    """The old text completions, whole and streamed, say the same."""
    whole = client.completions.create(model="orcestator", prompt="nonce:date def f(")
    chunks = list(client.completions.create(model="orcestator", prompt="nonce:date def f(", stream=True))
    assert "date" in whole.choices[0].text
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == whole.choices[0].text
    assert {chunk.model for chunk in chunks} == {whole.model} == {"orcestator"}
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"


def test_images(client: openai.OpenAI) -> None:
    """An image comes through as it is."""
    answer = client.images.generate(model="alpha/image", prompt="an orange pixel", n=2)
    assert answer.data is not None
    assert [base64.b64decode(image.b64_json or "") for image in answer.data] == [png(), png()]


def test_speech(client: openai.OpenAI) -> None:
    """Bytes, with their own content type."""
    answer = client.audio.speech.create(model="alpha/speech", input="hello", voice="alloy")
    assert answer.response.headers["content-type"] == "audio/wav"
    assert answer.content.startswith(b"RIFF")
    assert len(answer.content) == 1644


@pytest.mark.parametrize("route", ["transcriptions", "translations"])
def test_transcription(client: openai.OpenAI, alpha: SandboxThread, route: str) -> None:
    """An upload arrives byte for byte, under the upstream's own name of the model."""
    sound = bytes(range(256)) * 40 + b'\r\nContent-Disposition: form-data; name="model"\r\n\r\nnot-this\r\n'
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the SDK's own, about translations
        answer = getattr(client.audio, route).create(model="alpha/transcribe", file=("a.wav", sound), temperature=0.5)
    assert answer.text == f"A sound of {len(sound)} bytes."
    record = alpha.last_call
    assert record.model == "transcribe"
    assert sound in record.body
    assert b"0.5" in record.body
    assert b"alpha/transcribe" not in record.body


def test_moderations(client: openai.OpenAI) -> None:
    """One verdict an input."""
    answer = client.moderations.create(model="alpha/moderate", input=["peace", "violence"])
    assert [result.flagged for result in answer.results] == [False, True]


def test_models(client: openai.OpenAI) -> None:
    """The default model, and each provider's, with what model discovery reads."""
    names = [model.id for model in client.models.list()]
    assert names[0] == "orcestator"
    assert "alpha/echo" in names
    card = client.models.retrieve("alpha/tools").to_dict()
    assert card["id"] == "alpha/tools"
    assert card["context_length"] == card["max_model_len"] == 131_072
    assert "tools" in card["supported_parameters"]  # type: ignore[operator]
    assert "image" in card["architecture"]["input_modalities"]  # type: ignore[index]
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")


def test_bad_request(client: openai.OpenAI) -> None:
    """What only the caller can change: our own check, and an upstream's refusal."""
    with pytest.raises(openai.BadRequestError) as ours:
        client.chat.completions.create(model="orcestator", messages=[])
    assert ours.value.param == "messages"
    with pytest.raises(openai.BadRequestError) as theirs:
        client.chat.completions.create(model="alpha/fault:H1:422", messages=says("hello"))
    assert theirs.value.type == "invalid_request_error"


def test_unknown_model(client: openai.OpenAI) -> None:
    """404 with the nearest names."""
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="orcestrator", messages=says("hello"))
    assert caught.value.code == "model_not_found"
    assert "'orcestator'" in caught.value.message


@pytest.mark.parametrize("status", [401, 402, 403])
def test_the_providers_credential_is_not_the_callers_business(client: openai.OpenAI, status: int) -> None:
    """The SDK sees a status that it does not try again, never an AuthenticationError about a key it does not have."""
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=f"alpha/fault:H1:{status}", messages=says("hello"))
    assert (caught.value.status_code, caught.value.code) == (424, "upstream_key_refused")


def test_rate_limit(client: openai.OpenAI) -> None:
    """429 stays 429 when there is nobody else to ask, and says when to come back."""
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="alpha/fault:H2:99999999999", messages=says("hello"))
    assert int(caught.value.response.headers["retry-after"]) > 1


def test_error_after_content(client: openai.OpenAI) -> None:
    """A stream that breaks is an APIError with a message, after the text that came: never a success."""
    chunks: list[ChatCompletionChunk] = []
    stream = client.chat.completions.create(
        model="alpha/fault:S2?after=3&tps=20", messages=says("nonce:quince one two three four"), stream=True
    )
    with pytest.raises(openai.APIError) as caught:
        chunks.extend(stream)
    assert type(caught.value) is openai.APIError
    assert caught.value.message
    assert "quince" in text_of(chunks)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_the_sdk_does_not_multiply_our_attempts(client: openai.OpenAI, alpha: SandboxThread, stream: bool) -> None:
    """The upstream is asked as often as we tried, although the SDK would try three times."""
    alpha.reset()
    with pytest.raises(openai.InternalServerError) as caught:
        client.with_options(max_retries=2).chat.completions.create(
            model="alpha/fault:H1:500", messages=says("hello"), stream=stream
        )
    asked = asked_of(alpha, "fault:H1:500")
    assert len(asked) == int(caught.value.response.headers["x-orcestator-attempts"]) <= 2


def test_the_sdk_waits_for_a_rate_limit(client: openai.OpenAI, alpha: SandboxThread) -> None:
    """A limit that will pass is the one thing that the SDK should try again."""
    model = f"alpha/fault:H2:1?once={alpha.base_url[-8:-3]}"
    alpha.reset()
    answer = client.with_options(max_retries=2).chat.completions.create(model=model, messages=says("nonce:sloe"))
    assert "sloe" in (answer.choices[0].message.content or "")


def test_caller_keys(alpha: SandboxThread, full: Cluster) -> None:
    """Without caller keys any key will do, and the provider never sees it."""
    with openai.OpenAI(base_url=f"{full.url}/v1", api_key="whatever-key", max_retries=0) as other:
        other.chat.completions.create(model="orcestator", messages=says("hello"))
    assert alpha.last_call.headers["authorization"] == "Bearer alpha-key"
