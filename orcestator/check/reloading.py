"""The command ``orcestator reload``: tells the running server to read its configuration again, and shows what came of it."""

import argparse
import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from orcestator.check.showing import changes_table
from orcestator.errors import StartupProblem
from orcestator.explain.asking import ask
from orcestator.explain.credentials import token_for
from orcestator.settings.changes import Change
from orcestator.settings.own_address import own_address, settings_for_asking

RELOAD_PATH = "/admin/reload"
WAS_REFUSED = 1


def run(arguments: argparse.Namespace, say: Callable[[str], None]) -> int:
    """Reload, print, and give the exit status: 0, or 1 when the server kept its old configuration.

    Raises StartupProblem when the server cannot be asked.
    """
    settings = settings_for_asking(arguments.config, arguments.env_file)
    url = arguments.url or own_address(settings)
    token = token_for(arguments, url, settings.admin_token.reveal(), settings.state_dir)
    outcome = asyncio.run(ask(url, token, RELOAD_PATH, {}))
    problems = [str(problem) for problem in outcome.get("problems") or ()]
    if problems:
        say(f"{url} keeps its old configuration:\n\n" + "".join(f"  {problem}\n" for problem in problems))
        return WAS_REFUSED
    try:
        changes = [*_changes(outcome, "applied", live=True), *_changes(outcome, "needs_restart", live=False)]
    except (KeyError, TypeError) as fault:
        raise StartupProblem(f"What answers at {url} is not orcestator. Name its address with --url.") from fault
    say(_summary(url, changes))
    return 0


def _summary(url: str, changes: Sequence[Change]) -> str:
    if not changes:
        return f"Nothing has changed at {url}.\n"
    how = (
        "runs with its new configuration"
        if any(change.live for change in changes)
        else "takes this over when it is started again"
    )
    return f"{url} {how}:\n\n{changes_table(changes)}"


def _changes(outcome: Mapping[str, Any], name: str, *, live: bool) -> Iterator[Change]:
    for wire in outcome[name]:
        yield Change.from_wire(wire, live=live)
