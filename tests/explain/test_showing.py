"""What the command prints: every line of it, so that a change of its looks is seen."""

from orcestator.cli import harmless
from orcestator.explain.showing import plan_shown, record_shown
from tests.explain.explain_samples import ANALYSIS, RECORD

ASKED = "both, nobody (unknown, or the same as one before)"
ASKING = "wishes tags=code,math prefer_fast=true budget=0.5 · needs tools"
PLAN = """\
           candidate                  tier  score  cost  speed  quality  availability  reliability  est. cost  notes
  1        alpha/echo                    0  71.25    60     40       50           100           98  $0.001800
  2        beta/a-longer-name            1   9.50     5     40       50           100           98          -
  3        beta/a-longer-name, key 2     2   1.00    60     40       50           100           98          -  the paid fallback
  reserve  gamma/echo                    1      -     -      -        -             -            -  $0.100000  unwell: tried when nothing else is left
  out      delta/echo                    0      -     -      -        -             -            -          -  cooldown: It asked for a pause. (back in 12 s)
  … and 3 more that nobody looked at
"""
TRIED = """\
     attempt                      start                                      took  what came of it
  1  alpha/echo                 0.25 ms  ████████                          100 ms  UpstreamUnavailable 503 http_503 → fall back (probe)
  2  beta/a-longer-name, key 2   100 ms          ████████████████████████  300 ms  served

parse 0.08 ms · plan 0.01 ms · first content 400 ms · total 12.3 s
"""


def test_a_plan() -> None:
    """One row an option, the best first; what is known of those that are not tried."""
    assert plan_shown(ANALYSIS) == (
        f"\nmodel {ASKED} · about 5 tokens of prompt, 35 in all\n{ASKING}\n\nstrategy score, rule urgent before it\n\n"
        f"{PLAN}\n"
    )


def test_a_record() -> None:
    """The plan, a bar an attempt on one scale, and the times."""
    assert record_shown(RECORD) == (
        f"\nreq-1 · 2026-11-21T14:13:20.250Z · by caller-0a1b2c3d · asked for {ASKED} · 200 served by beta/a-longer-name\n{ASKING}\n\n"
        "strategy score\n\n"
        f"{PLAN}\n{TRIED}\n"
    )


def test_a_request_that_never_had_a_plan() -> None:
    """It says so, and that nobody was called."""
    refused = {**RECORD, "decision": None, "attempts": [], "served": None, "error": "ModelNotFound", "status": 404}
    shown = record_shown({**refused, "timings": {**RECORD["timings"], "first_content_ms": None}})
    assert "404 ModelNotFound" in shown
    assert "No plan was made" in shown
    assert "Nobody was called." in shown
    assert "first content none" in shown


def test_a_request_for_one_name_that_wishes_nothing() -> None:
    """A line less."""
    asked = {**RECORD["decision"]["asked"], "names": ["m"], "unused_names": None, "wishes": {}, "needs": []}
    shown = record_shown({**RECORD, "decision": {**RECORD["decision"], "asked": asked}})
    assert "asked for m · 200 served by beta/a-longer-name\n\nstrategy score" in shown


def test_names_are_callers_and_move_no_cursor() -> None:
    """Whatever escape sequences a caller asks for, the terminal of whoever looks shows them as text, and on the line where they belong."""
    evil = "pp/a\x1b[2J\x1b[31mred\x9b1m\u2028\nserved by nobody\x07"
    asked = {
        **RECORD["decision"]["asked"],
        "names": [evil],
        "unused_names": [evil],
        "wishes": {"tags": [evil]},
        "needs": [evil],
    }
    rows = [{**row, "model": evil, "provider": evil} for row in RECORD["decision"]["candidates"]]
    decision = {**RECORD["decision"], "asked": asked, "candidates": rows, "rule": evil}
    attempts = [{**attempt, "model": evil, "error": evil, "cause": evil} for attempt in RECORD["attempts"]]
    record = {
        **RECORD,
        "decision": decision,
        "attempts": attempts,
        "request_id": evil,
        "served": {"provider": evil, "model": evil},
    }
    for shown in (
        record_shown(record),
        plan_shown({**ANALYSIS, "decision": decision}),
        record_shown({**record, "decision": None, "requested": evil}),
    ):
        assert shown.replace("\n", "").isprintable()
        assert not [line for line in shown.splitlines() if line.startswith("served by nobody")]
        assert "\\x1b[2J" in shown


def test_what_commands_print_moves_no_cursor() -> None:
    """Line ends and tabs stay; everything else that a terminal acts on is written out."""
    assert harmless("plain\n\tжф ✓\n") == "plain\n\tжф ✓\n"
    assert harmless("a\x1b]0;title\x07\n\tb\r\x9b") == "a\\x1b]0;title\\x07\n\tb\\x0d\\x9b"


def test_twins_are_told_apart_by_their_workers() -> None:
    """Where several have the same, and nowhere else."""
    first, *others = RECORD["decision"]["candidates"]
    twins = [{**first, "worker": f"http://w{number}"} for number in (1, 2)]
    shown = record_shown({**RECORD, "decision": {**RECORD["decision"], "candidates": [*twins, *others]}})
    assert "alpha/echo at http://w1" in shown
    assert "alpha/echo at http://w2" in shown
    alone = record_shown({**RECORD, "decision": {**RECORD["decision"], "candidates": [twins[0], *others]}})
    assert "at http://w1" not in alone


def test_marks_of_attempts() -> None:
    """A hedge that lost, and a probe."""
    first = {**RECORD["attempts"][0], "error": "", "verdict": "hedge_lost", "is_hedge": True}
    assert "hedge lost (hedge, probe)" in record_shown({**RECORD, "attempts": [first]})


def test_what_a_record_left_out_is_counted() -> None:
    """A plan over thousands."""
    assert "… and 9936 more that the record does not keep" in record_shown({**RECORD, "options_left_out": 9936})


def test_others_with_the_same_id_are_named() -> None:
    """Each by the id of its record, with whose it was: callers choose request ids."""
    other = {
        "id": "req-1~7",
        "at": "2026-11-21T14:12:00.000Z",
        "caller": "caller-99",
        "requested": "m\x1b[2J",
        "status": 404,
    }
    shown = record_shown({**RECORD, "same_request_id": [other]})
    assert "orcestator explain RECORD" in shown
    assert "req-1~7  2026-11-21T14:12:00.000Z  caller-99  m\\x1b[2J" in shown
