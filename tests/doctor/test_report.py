"""What a person and a machine read."""

import json

from orcestator.doctor.finding import OK, PROBLEM, WARNING, Finding, worst
from orcestator.doctor.report import machine_report, table

FINDINGS = [
    Finding("Python", OK, "3.11"),
    Finding("provider groq", PROBLEM, "refuses the key (401)", "Put a valid key into GROQ_API_KEY."),
    Finding("clock", WARNING, "90 s ahead of the providers'", "Set it."),
]


def test_the_table_is_aligned() -> None:
    """State, subject, what it is like; what to do below; the sum at the end."""
    assert table(FINDINGS).splitlines() == [
        "",
        "  ok       Python         3.11",
        "  problem  provider groq  refuses the key (401)",
        "                          → Put a valid key into GROQ_API_KEY.",
        "  warning  clock          90 s ahead of the providers'",
        "                          → Set it.",
        "",
        "  1 ok, 1 warning, 1 problem",
    ]


def test_a_long_sentence_is_folded() -> None:
    """Under its own column."""
    lines = table([Finding("x", OK, "word " * 60)]).splitlines()[1:-2]
    assert len(lines) > 1
    assert all(len(line) <= 110 for line in lines)
    assert {line.index("word") for line in lines} == {len("  problem  x  ")}


def test_for_machines() -> None:
    """One object; the status is the worst there is."""
    report = json.loads(machine_report(FINDINGS, {"a/b": {"checked": "2026-11-21"}}))
    assert (report["status"], report["probed"]) == ("problem", {"a/b": {"checked": "2026-11-21"}})
    assert report["findings"][0] == {"subject": "Python", "state": "ok", "says": "3.11", "remedy": ""}
    assert "probed" not in json.loads(machine_report(FINDINGS, {}))


def test_the_worst() -> None:
    """Problems before warnings before nothing."""
    assert [worst(FINDINGS), worst(FINDINGS[::2]), worst(FINDINGS[:1]), worst([])] == [PROBLEM, WARNING, OK, OK]
