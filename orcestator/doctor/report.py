"""The findings as a person or a machine reads them. Pure."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from textwrap import TextWrapper
from typing import Any

from orcestator.doctor.finding import OK, PROBLEM, WARNING, Finding, worst

WIDTH = 110


def table(findings: Sequence[Finding]) -> str:
    """Aligned lines: state, subject, what it is like, and below it what to do."""
    wide = max((len(finding.subject) for finding in findings), default=0)
    lines = [line for finding in findings for line in _lines(finding, wide)]
    return "\n".join(["", *lines, "", _sum(findings), ""])


def _lines(finding: Finding, wide: int) -> list[str]:
    margin = " " * (2 + len(PROBLEM) + 2 + wide + 2)
    head = f"  {finding.state.ljust(len(PROBLEM))}  {finding.subject.ljust(wide)}  "
    lines = _wrapped(head, margin, finding.says)
    if finding.remedy:
        lines += _wrapped(margin + "→ ", margin + "  ", finding.remedy)
    return lines


def _wrapped(first: str, margin: str, text: str) -> list[str]:
    wrapper = TextWrapper(
        max(WIDTH, len(margin) + 40),
        initial_indent=first,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return wrapper.wrap(text) or [first.rstrip()]


def _sum(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.state for finding in findings)
    parts = [f"{counts[OK]} ok", _counted(counts[WARNING], "warning"), _counted(counts[PROBLEM], "problem")]
    return "  " + ", ".join(parts)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def machine_report(findings: Sequence[Finding], probed: Mapping[str, Any]) -> str:
    """One JSON object: ``status`` is the worst state; ``probed`` is what was written to ``probed.json``."""
    wire: dict[str, Any] = {"status": worst(findings), "findings": [finding.to_wire() for finding in findings]}
    return json.dumps({**wire, "probed": dict(probed)} if probed else wire, indent=2) + "\n"
