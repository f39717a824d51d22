"""The parts of docs/architecture.md that are made from the code. ``python -m tests.docs.made_parts`` writes them anew."""

import inspect
import re

from orcestator import errors
from orcestator.routing.verdict import VERDICTS, Verdict
from tests.docs.pages import Page, page

ARCHITECTURE = "docs/architecture.md"
_HEAD = """\
| Error | Tries the next candidate | Retries the same one, if there is no other | Out of routing for | Moves the breaker | Needs a person |
|---|---|---|---|---|---|
"""


def verdict_table() -> str:
    """``VERDICTS`` as a Markdown table."""
    return _HEAD + "".join(_row(kind.__name__, verdict) for kind, verdict in VERDICTS.items())


def _row(name: str, verdict: Verdict) -> str:
    out = f"{verdict.cooldown_seconds:g} s" if verdict.cooldown_seconds else "not at all"
    cells = [
        f"`{name}`",
        _yes(verdict.falls_back),
        _yes(verdict.retries),
        out,
        _yes(verdict.counts),
        _yes(verdict.disables_credential),
    ]
    return f"| {' | '.join(cells)} |\n"


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"


def error_tree() -> str:
    """The tree in the module's docstring."""
    lines = (inspect.getdoc(errors) or "").splitlines(keepends=True)
    return "".join(line.removeprefix("    ") for line in lines if line.startswith("    ")).rstrip() + "\n"


def remade(old: Page) -> str:
    """The page with its made parts as they should be."""
    text = re.sub(
        r"(<!-- verdicts -->\n).*?(<!-- end -->)",
        lambda found: found[1] + verdict_table() + found[2],
        old.text,
        flags=re.DOTALL,
    )
    return re.sub(
        r"(```text errors\n).*?(```)", lambda found: found[1] + error_tree() + found[2], text, flags=re.DOTALL
    )


if __name__ == "__main__":
    page(ARCHITECTURE).path.write_text(remade(page(ARCHITECTURE)), "utf-8")
