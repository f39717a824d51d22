"""A guardrail sees what is asked and what is answered in canonical words: in every dialect, whole and streamed, relayed or translated."""

import json
from urllib.parse import quote

import pytest

from orcestator.dialects.canonical import WriteTerms
from orcestator.dialects.openai.writer import CALLER as OPENAI
from orcestator.errors import Forbidden, OrcestatorError
from orcestator.gateway.guarding import GuardedWriter
from tests.gateway.parts import Anonymiser, PutBack, ResponseCache
from tests.gateway.served import Json, chat, events_in, run, served, text_in

ADDRESS = "bob@example.org"
TEXT = f"mail {ADDRESS} now, and {ADDRESS} again"
WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def gemini_path(stream: bool, model: str) -> str:
    """Where a Gemini caller asks."""
    return f"/v1beta/models/{quote(model)}:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}"


def asked(dialect: str, model: str, text: str, stream: bool) -> tuple[str, Json]:
    """A request in a dialect: its path and its body."""
    if dialect == "gemini":
        return gemini_path(stream, model), {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    if dialect == "responses":
        return "/v1/responses", {"model": model, "input": text, "stream": stream}
    path = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages", "ollama": "/api/chat"}[dialect]
    return path, chat(model, text, max_tokens=200, stream=stream)


DIALECTS = pytest.mark.parametrize("dialect", ["openai", "anthropic", "responses", "ollama", "gemini"])
UPSTREAMS = pytest.mark.parametrize("upstream", ["plain", "claude"])


@DIALECTS
@UPSTREAMS
@WAYS
def test_an_address_reaches_no_upstream_and_comes_back(dialect: str, upstream: str, stream: bool) -> None:
    """Also where upstream and caller speak the same dialect, whose bytes would be relayed; and the log has what the model was told."""

    async def work() -> None:
        async with served(guardrails=(Anonymiser(),)) as gateway:
            path, body = asked(dialect, f"{upstream}/agent", TEXT, stream)
            answer = await gateway.post(body, path)
            assert answer.status_code == 200, answer.text
            assert ADDRESS not in json.dumps(gateway.calls)
            assert "<person 1>" in json.dumps(gateway.calls)
            assert answer.text.count(ADDRESS) >= 2
            assert "<person" not in answer.text
            record = await gateway.record(1)
            assert record.outcome == "ok"
            assert ADDRESS not in record.user_text + record.assistant_text

    run(work)


@DIALECTS
@WAYS
def test_a_request_that_is_refused(dialect: str, stream: bool) -> None:
    """In the caller's own words, with the place, and before anybody is called."""

    async def work() -> None:
        async with served(guardrails=(Anonymiser(),)) as gateway:
            path, body = asked(dialect, "plain/agent", "this is top secret", stream)
            answer = await gateway.post(body, path)
            assert answer.status_code == 403
            assert "Secrets are not sent to models." in answer.text
            assert not gateway.calls
            record = await gateway.record(1)
            assert (record.outcome, record.error) == ("client_error", "Forbidden")

    run(work)


ENDS = {
    "openai": '"partial":true',
    "anthropic": "event: error",
    "responses": "response.failed",
    "ollama": '"error"',
    "gemini": '"error"',
}


@DIALECTS
@UPSTREAMS
def test_a_stream_that_is_ended(dialect: str, upstream: str) -> None:
    """What came before it was judged and stands; the refusal is told in the caller's dialect, and what it is about is not."""

    async def work() -> None:
        async with served(guardrails=(Anonymiser(),)) as gateway:
            path, body = asked(dialect, f"{upstream}/agent?answer=fine%20so%20far%20top%20secret%20rest", "hello", True)
            answer = await gateway.post(body, path)
            assert answer.status_code == 200, answer.text
            assert "fine" in answer.text
            assert "The answer has a secret in it." in answer.text
            assert ENDS[dialect] in answer.text
            assert '"rest' not in answer.text  # the model's name has it, too, behind other letters
            assert (await gateway.record(1)).error == "Forbidden"

    run(work)


@DIALECTS
@UPSTREAMS
def test_a_whole_answer_that_is_refused(dialect: str, upstream: str) -> None:
    async def work() -> None:
        async with served(guardrails=(Anonymiser(),)) as gateway:
            path, body = asked(dialect, f"{upstream}/agent?answer=top%20secret%20rest", "hello", False)
            answer = await gateway.post(body, path)
            assert answer.status_code == 403, answer.text
            assert "The answer has a secret in it." in answer.text
            assert '"rest' not in answer.text  # the model's name has it, too, behind other letters

    run(work)


@WAYS
def test_what_a_cache_has_is_watched_too(stream: bool) -> None:
    """It is behind the guardrails: it keeps what the model said, and each caller sees its own address."""

    async def work() -> None:
        cache = ResponseCache()
        async with served(guardrails=(Anonymiser(),), middleware=(cache,)) as gateway:
            await gateway.post(chat("plain/agent", TEXT))
            hit = await gateway.post(chat("plain/agent", TEXT.replace("bob", "eve"), stream=stream))
            assert len(gateway.calls) == 1
            assert "eve@example.org" in hit.text
            assert "bob" not in hit.text + json.dumps(list(cache.replies.values()))

    run(work)


def test_the_facts_beside_an_answer_do_not_bring_the_text_back() -> None:
    """``_router`` is added to the reply as the guardrails left it."""

    async def work() -> None:
        async with served(guardrails=(Anonymiser(),)) as gateway:
            answer = await gateway.post(chat("plain/agent", TEXT), **{"x-orcestator-router": "true"})
            assert answer.json()["_router"]["provider"] == "plain"
            assert "<person" not in answer.text

    run(work)


def test_a_kept_response_is_the_one_that_was_shown() -> None:
    async def work() -> None:
        async with served(guardrails=(Anonymiser(),)) as gateway:
            for stream in (False, True):
                shown = await gateway.post({"model": "plain/agent", "input": TEXT, "stream": stream}, "/v1/responses")
                reply = shown.json() if not stream else events_in(shown.text)[-1]["response"]
                more = {"model": "plain/agent", "input": "go on", "previous_response_id": reply["id"]}
                assert (await gateway.post(more, "/v1/responses")).status_code == 200
                assert ADDRESS not in json.dumps(gateway.calls[-1])
                assert "<person 1>" in json.dumps(gateway.calls[-1])

    run(work)


def test_a_completion_is_watched_whole_and_not_streamed() -> None:
    async def work() -> None:
        async with served(guardrails=(Anonymiser(),)) as gateway:
            body = {"model": "plain/echo?answer=top%20secret", "prompt": "hello"}
            assert (await gateway.post(body, "/v1/completions")).status_code == 403
            refused = await gateway.post({**body, "stream": True}, "/v1/completions")
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, "stream")

    run(work)


def test_several_choices_are_watched_each_by_itself() -> None:
    async def work() -> None:
        async with served(guardrails=(Anonymiser(),)) as gateway:
            answer = await gateway.post(chat("plain/echo", TEXT, stream=True, n=3))
            texts = ["", "", ""]
            for event in events_in(answer.text):
                for choice in event["choices"]:
                    texts[choice["index"]] += choice["delta"].get("content") or ""
            assert all(text.count(ADDRESS) == 2 and "<" not in text for text in texts), texts

    run(work)


def written(writer: GuardedWriter, *deltas: Json) -> str:
    """The stream of some deltas, each a chunk of choice 0, and its end."""
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    frames = b""
    for delta in deltas:
        frames += writer.chunk(
            {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None, "logprobs": {"content": []}}]}
        )
    frames += writer.chunk({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return (frames + writer.end({})).decode()


def guarded_writer() -> GuardedWriter:
    """One that puts an address back."""
    terms = WriteTerms("m", 1, lambda prefix: prefix + "1")
    return GuardedWriter(OPENAI.writer(terms), [lambda: PutBack({"<person 1>": ADDRESS})])


def test_what_is_held_back_comes_before_what_follows_it() -> None:
    """The rest of a text is told when the text is over: before another text, a tool call, and the end."""
    call = {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
    body = written(
        guarded_writer(),
        {"role": "assistant", "reasoning_content": "is it <per"},
        {"content": "a <"},
        call,
        {"content": "b <person"},
    )
    deltas = [event["choices"][0]["delta"] for event in events_in(body)]
    assert deltas == [
        {"role": "assistant", "reasoning_content": "is it "}, {"reasoning_content": "<per"}, {"content": "a "}, {"content": "<"},
        call, {"content": "b "}, {"content": "<person"}, {},
    ]  # fmt: skip


def test_the_fast_path_of_text_is_watched() -> None:
    writer = guarded_writer()
    written_so_far = writer.chunk(
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "to <per"}, "finish_reason": None}]}
    )
    written_so_far += writer.text("son ") + writer.text("1> and") + writer.text(" <") + writer.text("b>")
    assert text_in(written_so_far.decode()) == f"to {ADDRESS} and <b>"


def test_what_repeats_a_text_is_left_out() -> None:
    body = written(
        guarded_writer(), {"role": "assistant", "content": "a", "reasoning_details": [{"text": "<person 1>"}]}
    )
    assert "logprobs" not in body
    assert "<person" not in body


def test_a_failure_shows_nothing_of_what_was_held() -> None:
    writer = guarded_writer()
    writer.chunk(
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "a <person"}, "finish_reason": None}]}
    )
    frames = writer.failure(Forbidden("No.")).decode()
    assert "person" not in frames
    assert frames.endswith("data: [DONE]\n\n")
    assert isinstance(Forbidden("No."), OrcestatorError)
