"""The command ``orcestator check``: whether a configuration is valid, what it means, and what it would change."""

import argparse
import asyncio
from collections.abc import Callable

from orcestator.check.arguments import AT_SETTINGS, HAS_CHANGES
from orcestator.check.showing import changes_table, summary
from orcestator.errors import StartupProblem
from orcestator.explain.asking import ask
from orcestator.settings import Settings, load
from orcestator.settings.changes import document_difference, document_of

CONFIG_PATH = "/admin/config"
IS_INVALID = 1
ANYWHERE = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}


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
    if arguments.against_running is None:
        return 0
    url = own_address(settings) if arguments.against_running == AT_SETTINGS else arguments.against_running
    token = arguments.token or settings.admin_token.reveal()
    running = asyncio.run(ask(url, token, CONFIG_PATH))
    changes = document_difference(running, document_of(settings))
    if not changes:
        say(f"\nNothing would change at {url}.\n")
        return 0
    how = "orcestator reload" if any(change.live for change in changes) else "a restart"
    say(f"\nWould change at {url}:\n\n{changes_table(changes)}\nTake it over with: {how}\n")
    return HAS_CHANGES if arguments.exit_code else 0


def own_address(settings: Settings) -> str:
    """Where the server of these settings is reached from this machine."""
    host = settings.host
    shown = ANYWHERE.get(host) or (f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{settings.port}"
