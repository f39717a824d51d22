"""Answers that do not end well, asked for and read."""

from typing import Any

from tests.cluster.harness import SandboxThread
from tests.crossing.asked import Ask
from tests.crossing.cells import NUMBERS, Cell
from tests.crossing.frames import Door, Wire
from tests.crossing.truth import truth_of

LENGTH = 160_000
"""Of a piece of a stream that breaks: together they are more than is read at once, so that some of them are out before
the error is in."""


def sent(door: Door, cell: Cell, role: str, words: str = "", length: int = 0) -> tuple[Wire, str]:
    """The answer to a plain question, asked of a model of the cell's upstream, and the model's name."""
    model = f"{cell.upstream.name}-{role}"
    ask = Ask(f"Talk to me nonce:e{next(NUMBERS)}{'x' * length} {words}")
    body = cell.caller.body(ask, model, streams=cell.streams)
    return door.post(cell.caller.path(model, streams=cell.streams), body), model


def read(cell: Cell, wire: Wire) -> Any:
    """The answer as the caller reads it."""
    return cell.caller.stream(wire) if cell.streams else cell.caller.whole(wire)


def check_broken_stream(door: Door, sandbox: SandboxThread, cell: Cell, role: str) -> None:
    """What was said before the failure is there, then the failure in the dialect's own words, and nothing else."""
    wire, _ = sent(door, cell, role, length=LENGTH)
    assert wire.status == 200, wire.body
    assert wire.is_whole
    answer = read(cell, wire)
    assert answer.error
    whole = truth_of(sandbox.last_call).text
    assert answer.text
    assert whole.startswith(answer.text)
    assert len(answer.text) < len(whole)
