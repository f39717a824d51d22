"""A cell carried out, and what must hold in every one."""

from orcestator.sandbox.wire.records import Record
from tests.cluster.harness import SandboxThread
from tests.crossing.asked import RESULTS, Answer, Ask
from tests.crossing.cells import CASES, NUMBERS, Cell
from tests.crossing.frames import Door, Wire
from tests.crossing.truth import Truth, truth_of

RELAYED_STOPS = ("stop_sequence",)
"""Anthropic's word where a stop sequence was met, which OpenAI's dialect has not."""
RELAYED_VERSIONS = ("echo", "reasoner", "agent?rounds=1")
"""Gemini's ``modelVersion`` is not the model's name but what really answered, and stays."""


def crossed(
    door: Door, sandbox: SandboxThread, cell: Cell, body: dict[str, object], model: str
) -> tuple[Wire, Answer, Record]:
    """The answer to a body as the caller reads it, and what the upstream was asked."""
    wire = door.post(cell.caller.path(model, streams=cell.streams), body)
    assert wire.status == 200, wire.body
    assert wire.is_whole
    assert wire.headers[cell.caller.ID_HEADER]
    assert wire.headers["x-orcestator-attempts"] == "1"
    read = cell.caller.stream if cell.streams else cell.caller.whole
    return wire, read(wire), sandbox.last_call


def asked(cell: Cell) -> tuple[Ask, str, str]:
    """What the cell asks, with its nonce, and the model it asks for."""
    nonce, case = f"n{next(NUMBERS)}", CASES[cell.case]
    return case.ask(nonce), nonce, f"{cell.upstream.name}-{case.role}"


def check(cell: Cell, answer: Answer, truth: Truth, model: str) -> None:
    """What is the same in every cell."""
    assert answer.error == ""
    assert answer.text == truth.text
    assert [(call.name, call.arguments) for call in answer.calls] == list(truth.calls)
    assert answer.usage == truth.usage
    if cell.relays:
        assert answer.finish in (cell.caller.FINISH[truth.finish], *RELAYED_STOPS)
        assert answer.model in (model, *RELAYED_VERSIONS)
    else:
        assert answer.finish == cell.caller.FINISH[truth.finish]
        assert answer.model == model
    assert answer.thought in ("", truth.thought)


def check_dropped(cell: Cell, wire: Wire, case: str) -> None:
    """``x-orcestator-dropped`` names what this upstream cannot express, and nothing else; a relay drops nothing."""
    assert wire.dropped == (set() if cell.relays else cell.upstream.cannot.get(case, set()))


def go_around(door: Door, sandbox: SandboxThread, cell: Cell) -> None:
    """Two calls at once, their results in the caller's own words, and the answer that is made of them."""
    ask, nonce, model = asked(cell)
    body = cell.caller.body(ask, model, streams=cell.streams)
    wire, first, record = crossed(door, sandbox, cell, body, model)
    truth = truth_of(record)
    # What a model of Cohere's plans before a call comes as text.
    first.text = "" if first.text == truth.thought else first.text
    check(cell, first, truth, model)
    assert [call.name for call in first.calls] == ["get_weather", "get_time"]
    assert first.calls[0].arguments == {"city": nonce, "days": 2}
    check_dropped(cell, wire, cell.case)
    wire, second, record = crossed(door, sandbox, cell, cell.caller.answered(body, first, RESULTS), model)
    check(cell, second, truth_of(record), model)
    assert second.text.index(RESULTS[0]) < second.text.index(RESULTS[1])
    assert not second.calls
    check_dropped(cell, wire, "results")
