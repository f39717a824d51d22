"""The command ``orcestator check``: whether a configuration is valid, what it means, and what it would change."""

import argparse
import asyncio
from collections.abc import Callable

from orcestator.check.arguments import AT_SETTINGS, HAS_CHANGES
from orcestator.check.showing import NO_PROVIDER, changes_table, shares_table, summary
from orcestator.errors import StartupProblem
from orcestator.explain.asking import ask
from orcestator.explain.credentials import token_for
from orcestator.providers.rows import SANDBOX
from orcestator.routing.planning.rehearsal import Share
from orcestator.settings import Settings, load
from orcestator.settings.changes import document_difference, document_of
from orcestator.settings.own_address import own_address

CONFIG_PATH = "/admin/config"
CHECK_PATH = "/admin/check"
IS_INVALID = 1


def run(arguments: argparse.Namespace, say: Callable[[str], None]) -> int:
    """Check, print, and give the exit status: 0, 1 for a configuration that is not valid, 3 for changes if asked for.

    Raises StartupProblem when the running server cannot be asked.
    """
    try:
        settings = load(config_path=arguments.config, dotenv_path=arguments.env_file)
    except StartupProblem as problem:
        say(f"Not valid: {problem.message}\n")
        return IS_INVALID
    say(f"{settings.config or 'The environment'} is valid.\n\n{summary(settings)}")
    if arguments.against_running is None and arguments.requests is None:
        return 0
    named = arguments.against_running
    url = own_address(settings) if named in (None, AT_SETTINGS) else named
    token = token_for(arguments, url, settings.admin_token.reveal(), settings.state_dir)
    has_changes = _compare(settings, url, token, say)
    if has_changes is None:
        return IS_INVALID
    if arguments.requests is not None:
        _rehearse(url, token, arguments.requests, say)
    return HAS_CHANGES if has_changes and arguments.exit_code else 0


def _compare(settings: Settings, url: str, token: str, say: Callable[[str], None]) -> bool | None:
    """Whether the running server has other settings; they are said. None for settings that it would refuse."""
    running = asyncio.run(ask(url, token, CONFIG_PATH))
    changes = document_difference(running, document_of(settings))
    if settings.sandbox_fallback and any(change.name == f"providers.{SANDBOX}" for change in changes):
        say(f"\nA reload would be refused at {url}, which has providers: {NO_PROVIDER}\n")
        return None
    if not changes:
        say(f"\nNothing would change at {url}.\n")
        return False
    how = "orcestator reload" if any(change.live for change in changes) else "a restart"
    say(f"\nWould change at {url}:\n\n{changes_table(changes)}\nTake it over with: {how}\n")
    return True


def _rehearse(url: str, token: str, limit: int, say: Callable[[str], None]) -> None:
    """Say where the server's last requests would go after a reload of its own files."""
    outcome = asyncio.run(ask(url, token, f"{CHECK_PATH}?requests={limit}", {}))
    if outcome["problems"]:
        say(f"\n{url} reads another configuration, and it is not valid: {outcome['problems'][0]}\n")
        return
    requests = outcome["requests"]
    planned, shares = requests["planned"], [Share(**share) for share in requests["changed"]]
    if not planned:
        say(f"\n{url} remembers no request yet: there is nothing to try the changes with.\n")
    elif not shares:
        say(f"\nThe last {planned} requests there would go where they go now.\n")
    else:
        say(
            f"\nOf the last {planned} requests there, these would go elsewhere after a reload:\n\n{shares_table(shares)}"
        )
