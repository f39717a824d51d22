"""Every caller's dialect against every upstream's: what was said arrives, and what cannot be said is named."""

import json

import pytest

from orcestator.sandbox.wire.records import Record
from tests.cluster.harness import SandboxThread
from tests.crossing.asked import PIXEL, Answer
from tests.crossing.cells import LONG, Cell, cells
from tests.crossing.crossing import asked, check, check_dropped, crossed, go_around
from tests.crossing.frames import Door
from tests.crossing.truth import Truth, truth_of


@pytest.mark.parametrize("cell", cells("text", "rules", "image", "schema", "reasoning", "stop", "length", "long"))
def test_what_is_asked_arrives_and_so_does_the_answer(door: Door, sandbox: SandboxThread, cell: Cell) -> None:
    """Text, finish, usage; and ``x-orcestator-dropped`` names what this upstream cannot express, and nothing else."""
    ask, nonce, model = asked(cell)
    body = cell.caller.body(ask, model, streams=cell.streams)
    wire, answer, record = crossed(door, sandbox, cell, body, model)
    truth = truth_of(record)
    check(cell, answer, truth, model)
    assert nonce in answer.text
    check_dropped(cell, wire, cell.case)
    EXTRA.get(cell.case, lambda *_: None)(cell, answer, record, truth)


def rules_arrive(cell: Cell, answer: Answer, record: Record, truth: Truth) -> None:
    places = [record.body.index(text) for text in (b"Be brief-7.", b"Be polite-8.")]
    assert cell.relays or places == sorted(places)


def image_arrives(cell: Cell, answer: Answer, record: Record, truth: Truth) -> None:
    assert (PIXEL.encode() in record.body) == (cell.upstream.name != "yandex")


def schema_is_kept(cell: Cell, answer: Answer, record: Record, truth: Truth) -> None:
    value = json.loads(answer.text)
    assert value.keys() == {"answer", "sure"}
    assert value["sure"] is True


def thought_is_shown(cell: Cell, answer: Answer, record: Record, truth: Truth) -> None:
    assert truth.thought
    assert answer.thought == ("" if cell.upstream.name == "yandex" else truth.thought)


def text_stops(cell: Cell, answer: Answer, record: Record, truth: Truth) -> None:
    is_obeyed = "stop" not in cell.upstream.cannot.get("stop", set())
    assert ("after" not in answer.text) == is_obeyed
    assert "Before" in answer.text


def text_is_cut(cell: Cell, answer: Answer, record: Record, truth: Truth) -> None:
    assert truth.finish == "length"


def every_turn_arrives(cell: Cell, answer: Answer, record: Record, truth: Truth) -> None:
    places = [record.body.index(text.encode()) for text in LONG]
    assert places == sorted(places)


EXTRA = {
    "rules": rules_arrive,
    "image": image_arrives,
    "schema": schema_is_kept,
    "reasoning": thought_is_shown,
    "stop": text_stops,
    "length": text_is_cut,
    "long": every_turn_arrives,
}


@pytest.mark.parametrize("cell", cells("tools"))
def test_calls_and_their_results_go_around(door: Door, sandbox: SandboxThread, cell: Cell) -> None:
    """Two calls at once, their results in the caller's own words, and the answer that is made of them."""
    go_around(door, sandbox, cell)
