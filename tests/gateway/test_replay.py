"""A response cache as middleware: what it has is answered in every dialect, whole and as a stream, and nobody is called."""

from typing import Any

import pytest

from orcestator.gateway.replay import replay
from orcestator.gateway.seams import Answers, PlannedCall
from orcestator.upstream.call import Answer
from tests.gateway.parts import ResponseCache
from tests.gateway.served import OTHER_KEY, Json, chat, events_in, run, served, text_in
from tests.gateway.test_leases import FLOWS

SAID = "You said: hello there"
ASKED: dict[str, tuple[str, Json]] = {
    "openai": ("/v1/chat/completions", chat("plain/echo")),
    "anthropic": ("/v1/messages", chat("plain/echo", max_tokens=64)),
    "responses": ("/v1/responses", {"model": "plain/echo", "input": "hello there"}),
    "ollama": ("/api/chat", chat("plain/echo")),
}
DIALECTS = pytest.mark.parametrize("dialect", ASKED)


@DIALECTS
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_hit_is_the_same_answer(dialect: str, stream: bool) -> None:
    path, body = ASKED[dialect]

    async def work() -> None:
        async with served(middleware=(ResponseCache(),)) as gateway:
            first = await gateway.post({**body, "stream": False}, path)
            hit = await gateway.post({**body, "stream": stream}, path)
            assert (first.status_code, hit.status_code) == (200, 200)
            assert len(gateway.calls) == 1
            if not stream:
                assert text_of(hit.json()) == text_of(first.json())
            assert SAID.rsplit(maxsplit=1)[-1] in hit.text
            assert ends_well(dialect, hit.text) or not stream
            record = await gateway.record(2)
            assert (record.outcome, record.served_by, record.provider, record.attempts) == ("ok", "cache", "", 0)
            assert record.assistant_text.startswith(SAID)
            assert (await gateway.record(1)).served_by == "attempt"

    run(work)


def text_of(reply: Json) -> str:
    """The text in a whole reply of any of the dialects."""
    for way in (("choices", 0, "message", "content"), ("content", 0, "text"), ("message", "content")):
        found: Any = reply
        for step in way:
            known = found is not None and (step in found if isinstance(step, str) else bool(found))
            found = found[step] if known else None
        if isinstance(found, str):
            return found
    return str(reply["output"][0]["content"][0]["text"])


def ends_well(dialect: str, body: str) -> bool:
    """Whether a stream has its end."""
    ends = {"openai": "[DONE]", "anthropic": "message_stop", "responses": "response.completed", "ollama": '"done":true'}
    return ends[dialect] in body[-2000:]


def test_a_stream_from_the_cache_is_whole() -> None:
    """With the usage that is asked for, and the model's name as this caller gave it."""

    async def work() -> None:
        async with served(middleware=(ResponseCache(),)) as gateway:
            await gateway.post(chat("plain/echo"))
            hit = await gateway.post(chat("plain/echo", stream=True, stream_options={"include_usage": True}))
            assert text_in(hit.text).startswith(SAID)
            events = events_in(hit.text)
            assert {event["model"] for event in events} == {"plain/echo"}
            assert events[-1]["usage"]["completion_tokens"] > 0
            assert "x-orcestator-provider" not in hit.headers

    run(work)


def test_another_callers_answer_is_not_given() -> None:
    async def work() -> None:
        async with served(middleware=(ResponseCache(),)) as gateway:
            await gateway.post(chat("plain/echo"))
            await gateway.post(chat("plain/echo"), key=OTHER_KEY)
            assert len(gateway.calls) == 2

    run(work)


class Twice:
    """Middleware that wants two answers."""

    name = "twice"

    async def answer(self, call: PlannedCall, proceed: Answers) -> Answer:
        """Asks again."""
        await proceed(call)
        return await proceed(call)


class Instead:
    """Middleware that asks, and then says something else."""

    name = "instead"

    def __init__(self, reply: Json) -> None:
        self._reply = reply

    async def answer(self, call: PlannedCall, proceed: Answers) -> Answer:
        """Throws the attempts' answer away."""
        await proceed(call)
        return replay(call.order, self._reply, self.name)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_one_request_has_one_answer(stream: bool) -> None:
    """A second one is a bug, which the caller is told."""

    async def work() -> None:
        async with served(middleware=(Twice(),)) as gateway:
            assert (await gateway.post(chat("plain/echo", stream=stream))).status_code == 500
            assert (await gateway.record(1)).error == "OrcestatorError"
            assert len(gateway.calls) == 1

    run(work)


def test_an_answer_that_nobody_gets_is_closed() -> None:
    """Its upstream, which would go on for a long time, sees its caller leave."""

    async def work() -> None:
        cache = ResponseCache()
        async with served(middleware=(cache,)) as gateway:
            await gateway.post(chat("plain/echo"))
            gateway.gateway.middleware = (Instead(next(iter(cache.replies.values()))),)
            answer = await gateway.post(chat(FLOWS, stream=True))
            assert text_in(answer.text).startswith(SAID)
            record = await gateway.record(2)
            assert (record.outcome, record.provider, record.served_by) == ("ok", "plain", "attempt")
            await gateway.sandbox.wait_for(lambda records: records[-1].peer_closed_at is not None, 30.0)

    run(work)
