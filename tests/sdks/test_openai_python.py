"""The openai SDK against an upstream of each dialect: chat completions and responses."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

from tests.sdks.conftest import IMAGE, KEY, PARAMETERS, ROOTS, THINKERS, Gateway, on, read_file

CHAT_TOOL: Any = {"type": "function", "function": {"name": "read_file", "parameters": PARAMETERS}}
RESPONSES_TOOL: Any = {"type": "function", "name": "read_file", "parameters": PARAMETERS, "strict": False}
every_upstream = pytest.mark.parametrize("dialect", ROOTS)
every_thinker = pytest.mark.parametrize("dialect", THINKERS)


class Person(BaseModel):
    """What the model is asked to fill in."""

    name: str
    age: int


@pytest.fixture(scope="module")
def sdk(running: Gateway) -> Iterator[openai.OpenAI]:
    """The SDK, without retries of its own."""
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key=KEY, max_retries=0) as made:
        yield made


def says(text: str) -> list[Any]:
    """A conversation of one message."""
    return [{"role": "user", "content": text}]


@every_upstream
def test_chat(sdk: openai.OpenAI, dialect: str) -> None:
    """A system prompt and a question; the answer has a finish reason and adds up its tokens."""
    messages = [{"role": "system", "content": "Be brief."}, *says("nonce:kiwi hello")]
    answer = sdk.chat.completions.create(model=on(dialect, "echo"), messages=messages, max_tokens=500)
    assert "kiwi" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == on(dialect, "echo")
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


@every_upstream
def test_chat_streamed(sdk: openai.OpenAI, dialect: str) -> None:
    """The stream says what the whole answer says, and ends with the usage that was asked for."""
    call: Any = {"model": on(dialect, "echo"), "messages": says("nonce:plum hello")}
    whole = sdk.chat.completions.create(**call)
    chunks = list(sdk.chat.completions.create(**call, stream=True, stream_options={"include_usage": True}))
    choices = [choice for chunk in chunks for choice in chunk.choices]
    assert "".join(choice.delta.content or "" for choice in choices) == whole.choices[0].message.content
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["stop"]
    assert [chunk.usage is not None for chunk in chunks].index(True) == len(chunks) - 1


def chat_turns(sdk: openai.OpenAI, model: str, *, streamed: bool, echoes: bool) -> list[ChatCompletion]:
    """Turns until the model speaks. ``echoes``: everything it said goes back, not only what OpenAI's API knows."""
    messages, answers = says("nonce:sloe read the file"), []
    while not answers or answers[-1].choices[0].message.tool_calls:
        call: Any = {"model": model, "messages": messages, "tools": [CHAT_TOOL], "reasoning_effort": "high"}
        if streamed:
            with sdk.chat.completions.stream(**call) as stream:
                answer: ChatCompletion = stream.get_final_completion()
        else:
            answer = sdk.chat.completions.create(**call)
        answers.append(answer)
        assert len(answers) < 5
        message = answer.choices[0].message
        known = {"role": "assistant", "content": message.content}
        calls = [made.to_dict() for made in message.tool_calls or []]
        messages.append(message.to_dict() if echoes else known | {"tool_calls": calls})
        for made in message.tool_calls or []:
            assert made.type == "function"
            content = read_file(**json.loads(made.function.arguments))
            messages.append({"role": "tool", "tool_call_id": made.id, "content": content})
    return answers


@pytest.mark.parametrize("echoes", [True, False], ids=["echoing", "plain"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@every_upstream
def test_chat_with_tools(sdk: openai.OpenAI, dialect: str, streamed: bool, echoes: bool) -> None:
    """The model calls, sees the results and speaks; a caller may keep its reasoning or throw it away."""
    answers = chat_turns(sdk, on(dialect, "agent"), streamed=streamed, echoes=echoes)
    finishes = [answer.choices[0].finish_reason for answer in answers]
    assert finishes == ["tool_calls"] * (len(answers) - 1) + ["stop"]
    assert len(answers) > 2
    said = (answers[-1].choices[0].message.content or "").replace("sloe ", "")
    ids = [made.id for answer in answers for made in answer.choices[0].message.tool_calls or []]
    assert len(set(ids)) == len(ids) == said.count("the content of")


@every_upstream
def test_chat_reasoning(sdk: openai.OpenAI, dialect: str) -> None:
    """Reasoning that the upstream shows is in ``reasoning_content``, whole and streamed."""
    call: Any = {"model": on(dialect, "reasoner"), "messages": says("hello"), "reasoning_effort": "high"}
    message = sdk.chat.completions.create(**call).choices[0].message
    deltas = [c.delta for chunk in sdk.chat.completions.create(**call, stream=True) for c in chunk.choices]
    thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert thought == (getattr(message, "reasoning_content", None) or "")
    if dialect not in ("yandex",):
        assert "I only have to say it back" in thought


@every_upstream
def test_chat_structured(sdk: openai.OpenAI, dialect: str) -> None:
    """``.parse()`` gets an object of its schema."""
    answer = sdk.chat.completions.parse(
        model=on(dialect, "echo"), messages=says("a person, nonce:quince"), response_format=Person
    )
    person = answer.choices[0].message.parsed
    assert person is not None
    assert person.name == "quince"


@pytest.mark.parametrize("dialect", [*THINKERS, "ollama", "cohere"])
def test_chat_vision(sdk: openai.OpenAI, gateway: Gateway, dialect: str) -> None:
    """The image arrives, in whatever shape the upstream wants it."""
    parts: Any = [
        {"type": "text", "text": "what is it?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}},
    ]
    answer = sdk.chat.completions.create(model=on(dialect, "echo"), messages=[{"role": "user", "content": parts}])
    assert answer.choices[0].message.content
    assert IMAGE in json.dumps(gateway.received()[-1])


ERRORS = [
    ("H1:400", openai.BadRequestError),
    ("H1:401", openai.APIStatusError),
    ("H1:404", openai.NotFoundError),
    ("H1:500", openai.InternalServerError),
    ("H2:99999999999", openai.RateLimitError),
]


@pytest.mark.parametrize(("fault", "kind"), ERRORS)
@every_upstream
def test_chat_errors(sdk: openai.OpenAI, dialect: str, fault: str, kind: type[openai.APIStatusError]) -> None:
    """What an upstream refuses is the error that the SDK has for it."""
    with pytest.raises(kind) as caught:
        sdk.chat.completions.create(model=on(dialect, f"fault:{fault}"), messages=says("hello"))
    assert caught.value.message


def test_a_stream_that_breaks(sdk: openai.OpenAI) -> None:
    """The text that came, then an error: never a success."""
    text: list[str] = []
    chunks = sdk.chat.completions.create(
        model="on-openai/fault:S4:rst?after=3", messages=says("nonce:fig one two three"), stream=True
    )
    with pytest.raises(openai.APIError):
        text.extend(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert "fig" in "".join(text)


# --- responses --------------------------------------------------------------------------------------------------------


@every_thinker
def test_responses(sdk: openai.OpenAI, dialect: str) -> None:
    """A text for a text."""
    answer = sdk.responses.create(model=on(dialect, "echo"), instructions="Be brief.", input="nonce:kiwi hello")
    assert "kiwi" in answer.output_text
    assert answer.status == "completed"
    assert answer.id.startswith("resp_")
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 0


@every_thinker
def test_responses_streamed(sdk: openai.OpenAI, dialect: str) -> None:
    """The helper puts the answer together from the events, which count up."""
    with sdk.responses.stream(model=on(dialect, "echo"), input="nonce:plum hello") as stream:
        events = list(stream)
        final = stream.get_final_response()
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert "plum" in said
    assert said == final.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))  # type: ignore[union-attr]
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")


@pytest.mark.parametrize("stateful", [True, False], ids=["by-id", "by-history"])
@every_thinker
def test_responses_with_tools(sdk: openai.OpenAI, dialect: str, stateful: bool) -> None:
    """The model calls tools until it speaks; the caller names the last answer, or sends everything again."""
    history: list[Any] = says("nonce:sloe read the file")
    sent, last, answers = list(history), None, 0
    while True:
        answer = sdk.responses.create(
            model=on(dialect, "agent"),
            input=sent,
            tools=[RESPONSES_TOOL],
            reasoning={"effort": "high", "summary": "auto"},
            store=stateful,
            include=[] if stateful else ["reasoning.encrypted_content"],
            previous_response_id=last if stateful else None,
        )
        answers += 1
        assert answers < 5
        results: list[Any] = [
            {"type": "function_call_output", "call_id": item.call_id, "output": read_file(**json.loads(item.arguments))}
            for item in answer.output
            if item.type == "function_call"
        ]
        if not results:
            break
        history += [item.to_dict() for item in answer.output] + results
        sent, last = (results, answer.id) if stateful else (history, None)
    assert answers == 3
    assert answer.output_text.replace("sloe ", "").count("the content of") == 4


@every_thinker
def test_responses_structured(sdk: openai.OpenAI, dialect: str) -> None:
    """``.parse()`` gets an object of its schema."""
    answer = sdk.responses.parse(model=on(dialect, "echo"), input="a person, nonce:quince", text_format=Person)
    assert answer.output_parsed is not None
    assert answer.output_parsed.name == "quince"


@every_thinker
def test_responses_vision(sdk: openai.OpenAI, gateway: Gateway, dialect: str) -> None:
    """The image arrives."""
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{IMAGE}", "detail": "auto"}
    parts: Any = [{"type": "input_text", "text": "what is it?"}, image]
    answer = sdk.responses.create(model=on(dialect, "echo"), input=[{"role": "user", "content": parts}])
    assert answer.output_text
    assert IMAGE in json.dumps(gateway.received()[-1])


@pytest.mark.parametrize(("fault", "kind"), ERRORS)
def test_responses_errors(sdk: openai.OpenAI, fault: str, kind: type[openai.APIStatusError]) -> None:
    """What an upstream refuses is the error that the SDK has for it."""
    with pytest.raises(kind) as caught:
        sdk.responses.create(model=f"on-openai/fault:{fault}", input="hello")
    assert caught.value.message


def test_a_response_that_breaks(sdk: openai.OpenAI) -> None:
    """The text that came, an end that says it failed, and the error that the SDK raises."""
    events: list[Any] = []
    model = "on-openai/fault:S4:rst?after=3"
    with (
        pytest.raises(openai.APIError) as caught,
        sdk.responses.create(model=model, input="nonce:fig one two three", stream=True) as stream,
    ):
        events.extend(stream)
    assert "fig" in "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert events[-1].type == "response.failed"
    assert events[-1].response.error is not None
    assert caught.value.message == events[-1].response.error.message


def test_an_answer_is_kept_until_it_is_deleted(sdk: openai.OpenAI) -> None:
    """By its id, as the API keeps it; one that is gone cannot be gone on from."""
    answer = sdk.responses.create(model="on-anthropic/echo", input="nonce:kiwi hello")
    assert sdk.responses.retrieve(answer.id).output_text == answer.output_text
    sdk.responses.delete(answer.id)
    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve(answer.id)
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.responses.create(model="on-anthropic/echo", input="go on", previous_response_id=answer.id)
    assert caught.value.code == "previous_response_not_found"
