"""The parts of pages that are made from the code. ``python -m tests.docs.made_parts`` writes them anew."""

import inspect
import re
from collections.abc import Callable

from orcestator import errors
from orcestator.providers.rows import DIALECT_AUTH, ROWS, SANDBOX
from orcestator.routing.verdict import VERDICTS, Verdict
from orcestator.upstream.dialect_table import UPSTREAM_DIALECTS
from tests.docs.losses import loss_table
from tests.docs.pages import Page, page

ARCHITECTURE = "docs/architecture.md"
DIALECTS = "docs/dialects.md"
_MOST_NAMED = 12
"""Providers that a cell names; of more it has the number."""
_HEAD = """\
| Error | Tries the next candidate | Retries the same one, if there is no other | Out of routing for | Moves the breaker | Needs a person |
|---|---|---|---|---|---|
"""


def verdict_table() -> str:
    """``VERDICTS`` as a Markdown table."""
    return _HEAD + "".join(_row(kind.__name__, verdict) for kind, verdict in VERDICTS.items())


def _row(name: str, verdict: Verdict) -> str:
    out = f"{verdict.cooldown_seconds:g} s" if verdict.cooldown_seconds else "not at all"
    out = "until it is listed again or reset" if verdict.is_final else out
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


def upstream_table() -> str:
    """Every dialect of upstreams, where a chat goes in it, and who is spoken to in it."""
    head = "| Dialect | A chat goes to | The key is shown as | Spoken first with | Also taken by |\n|---|---|---|---|---|\n"
    return head + "".join(_upstream_row(name) for name in DIALECT_AUTH)


def _upstream_row(name: str) -> str:
    dialect = UPSTREAM_DIALECTS.get(name)
    path = "/chat/completions" if dialect is None else dialect.relay_path("MODEL", False)
    auth = DIALECT_AUTH[name]
    key = f"`{auth.header}: {auth.scheme} …`" if auth.scheme else f"`{auth.header}: …`"
    rows = [row for row in ROWS if row.name != SANDBOX]
    first = [row.name for row in rows if row.dialect == name]
    also = [row.name for row in rows if name in row.dialects[1:]]
    spoken = f"{len(first)} [providers](providers.md)" if len(first) > _MOST_NAMED else _names(first)
    return f"| `{name}` | `{path}` | {key} | {spoken} | {_names(also)} |\n"


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def remade(old: Page) -> str:
    """A page with its made parts as they should be."""
    text = old.text
    for name, made in (("verdicts", verdict_table), ("upstreams", upstream_table), ("losses", loss_table)):
        text = _replaced(rf"(<!-- {name} -->\n).*?(<!-- end -->)", made, text)
    return _replaced(r"(```text errors\n).*?(```)", error_tree, text)


def _replaced(pattern: str, made: Callable[[], str], text: str) -> str:
    return re.sub(pattern, lambda found: found[1] + made() + found[2], text, flags=re.DOTALL)


if __name__ == "__main__":
    for name in (ARCHITECTURE, DIALECTS):
        page(name).path.write_text(remade(page(name)), "utf-8")
