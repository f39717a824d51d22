"""Questions and answers over a pipe: both ways at once, in pieces, and to somebody who is gone."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from orcestator.cluster.pipe_rpc import PipeChannel
from orcestator.json_text import Json


def pair(cut: int = 7) -> tuple[PipeChannel, PipeChannel]:
    """Two ends; what one sends reaches the other in small pieces."""
    ends: list[PipeChannel] = []

    def sends_to(other: int) -> Callable[[bytes], Awaitable[None]]:
        async def send(line: bytes) -> None:
            for start in range(0, len(line), cut):
                ends[other].feed(line[start : start + cut])

        return send

    ends.extend((PipeChannel(sends_to(1)), PipeChannel(sends_to(0))))
    return ends[0], ends[1]


async def doubled(question: Json) -> Json:
    return {"got": 2 * question["give"]}


def test_both_may_ask_at_once() -> None:
    async def scenario() -> list[Json | None]:
        one, other = pair()
        other.answer_with(doubled)

        async def by_asking_back(question: Json) -> Json:
            answer = await one.ask(question, 5.0)
            return {"relayed": answer}

        one.answer_with(by_asking_back)
        return await asyncio.gather(other.ask({"give": 1}, 5.0), other.ask({"give": 2}, 5.0), one.ask({"give": 3}, 5.0))

    assert asyncio.run(scenario()) == [{"relayed": {"got": 2}}, {"relayed": {"got": 4}}, {"got": 6}]


def test_a_question_waits_for_who_is_not_ready_yet() -> None:
    async def scenario() -> Json | None:
        one, other = pair()
        asking = asyncio.create_task(one.ask({"give": 4}, 5.0))
        await asyncio.sleep(0)
        other.answer_with(doubled)
        return await asking

    assert asyncio.run(scenario()) == {"got": 8}


def test_who_leaves_owes_no_answer() -> None:
    """Neither to what was asked before, nor to what is asked after."""

    async def scenario() -> tuple[Any, Any]:
        one, _ = pair()
        asking = asyncio.create_task(one.ask({"give": 4}, 60.0))
        await asyncio.sleep(0)
        one.close()
        return await asking, await one.ask({"give": 5}, 60.0)

    assert asyncio.run(scenario()) == (None, None)


def test_silence_and_a_broken_pipe_are_no_answer() -> None:
    async def broken(_line: bytes) -> None:
        raise BrokenPipeError

    async def scenario() -> tuple[Any, Any]:
        silent, _ = pair()
        return await silent.ask({}, 0.01), await PipeChannel(broken).ask({}, 60.0)

    assert asyncio.run(scenario()) == (None, None)


def test_what_a_program_prints_is_no_question() -> None:
    async def scenario() -> Json | None:
        one, other = pair()
        other.answer_with(doubled)
        other.feed(b'loading...\n\n{"not": "ours"}\n[1]\n7\n\xff\n{"number": "x", "question": {}}\n')
        return await one.ask({"give": 6}, 5.0)

    assert asyncio.run(scenario()) == {"got": 12}


def test_an_answerer_that_fails_leaves_nobody_waiting(caplog: Any) -> None:
    async def fails(_question: Json) -> Json:
        raise ZeroDivisionError

    async def scenario() -> Json | None:
        one, other = pair()
        other.answer_with(fails)
        return await one.ask({}, 60.0)

    assert asyncio.run(scenario()) is None
    assert "ZeroDivisionError" in caplog.text
