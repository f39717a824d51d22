"""Answers that do not end well, in every caller's dialect from every upstream's: filtered, refused, broken off."""

import pytest

from tests.cluster.harness import SandboxThread
from tests.crossing import caller_gemini
from tests.crossing.asked import Ask
from tests.crossing.cells import Cell, cells
from tests.crossing.endings import LENGTH, check_broken_stream, read, sent
from tests.crossing.frames import Door
from tests.crossing.truth import truth_of
from tests.crossing.upstreams import AFTER, BEFORE, BROKEN, CUT, WELL


def filtered(cell: Cell) -> bool:
    return cell.streams in cell.upstream.filtered


@pytest.mark.parametrize("cell", cells("filter", may=filtered))
def test_a_filter_is_told_as_one(door: Door, cell: Cell) -> None:
    """In the dialect's word for it, with usage, and not as an error."""
    role = "filter" if cell.streams or cell.upstream.name != "gemini" else "blocked"
    wire, _ = sent(door, cell, role, cell.upstream.filter_words)
    assert wire.status == 200, wire.body
    answer = read(cell, wire)
    assert answer.error == ""
    assert answer.finish == cell.caller.FINISH["content_filter"]
    assert answer.usage is not None


@pytest.mark.parametrize("cell", cells("error-before"))
def test_an_error_before_the_answer_is_an_error_answer(door: Door, cell: Cell) -> None:
    """Even of a stream: a status, the dialect's envelope, the request's id, and no invitation to try again at once."""
    wire, _ = sent(door, cell, BEFORE if cell.streams else BROKEN)
    assert wire.status in (502, 503)
    assert wire.headers["content-type"] == "application/json"
    assert wire.headers[cell.caller.ID_HEADER]
    assert wire.headers["x-should-retry"] == "false"
    assert f"{cell.upstream.at}" in cell.caller.refusal(wire)


@pytest.mark.parametrize("cell", cells("error-falls-over", may=lambda cell: cell.streams or cell.relays))
def test_an_error_before_the_answer_is_unseen_when_another_can_answer(door: Door, cell: Cell) -> None:
    """The next in line is of another dialect, and the caller sees one whole answer."""
    wire, model = sent(door, cell, f"{BEFORE if cell.streams else BROKEN}-then-well")
    assert wire.status == 200, wire.body
    answer = read(cell, wire)
    assert "You" in answer.text
    assert answer.finish == cell.caller.FINISH["stop"]
    assert answer.model == model
    assert wire.headers["x-orcestator-provider"] == WELL
    assert wire.headers["x-orcestator-attempts"] == "2"


@pytest.mark.parametrize("cell", cells("error-after", may=lambda cell: cell.streams))
def test_an_error_in_the_stream_is_told_in_the_stream(door: Door, sandbox: SandboxThread, cell: Cell) -> None:
    """After what was said, in the dialect's own words, and nothing comes after it."""
    check_broken_stream(door, sandbox, cell, AFTER)


@pytest.mark.parametrize(
    "cell", cells("cut", may=lambda cell: cell.streams and (cell.relays or cell.caller.NAME == "openai"))
)
def test_a_stream_that_is_cut_is_told_as_an_error(door: Door, sandbox: SandboxThread, cell: Cell) -> None:
    """An upstream that hangs up says nothing about it; the caller must not take that for an end."""
    check_broken_stream(door, sandbox, cell, CUT)


@pytest.mark.parametrize("upstream_and_role", [("gemini", "plain"), ("plain", "plain"), ("anthropic", AFTER)])
def test_gemini_without_sse_is_one_array(
    door: Door, sandbox: SandboxThread, upstream_and_role: tuple[str, str]
) -> None:
    """``streamGenerateContent`` without ``alt=sse``."""
    upstream, role = upstream_and_role
    model = f"{upstream}-{role}"
    body = caller_gemini.body(Ask(f"Talk nonce:{'y' * LENGTH}"), model, streams=True)
    wire = door.post(caller_gemini.path(model, streams=True).removesuffix("?alt=sse"), body)
    answer = caller_gemini.array(wire)
    truth = truth_of(sandbox.last_call)
    assert bool(answer.error) == (role == AFTER)
    assert truth.text.startswith(answer.text)
    assert role == AFTER or (answer.text, answer.usage, answer.model) == (truth.text, truth.usage, model)
