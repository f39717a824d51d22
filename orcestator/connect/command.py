"""The command ``orcestator connect``: its arguments, and the run."""

import argparse
import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from orcestator.connect.asking import Listing, ask, base_of
from orcestator.connect.machine import Machine, system_of
from orcestator.connect.offer import KEY_VARIABLE, SHOWN_KEY, Offered, chosen
from orcestator.connect.plan import FileEdit, Plan
from orcestator.connect.registry import CLIENTS
from orcestator.connect.showing import HOW_TO_WRITE, configuration, head, outcome, rest
from orcestator.connect.writing import chosen_path, prepare, write
from orcestator.errors import StartupProblem
from orcestator.settings.environment import Variables, read_variables
from orcestator.settings.own_address import client_address, settings_for_asking
from orcestator.settings.secret_file import secret_in

MACHINE_VARIABLES = (
    *("XDG_CONFIG_HOME", "APPDATA", "CODEX_HOME", "CLAUDE_CONFIG_DIR", "COPILOT_HOME", "CLINE_DATA_DIR"),
    *("CONTINUE_GLOBAL_DIR", "GEMINI_CLI_HOME", "LLM_USER_PATH"),
)
"""Where a person's programs were told to keep their files."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for. ``key`` is a caller key, "" for none; ``file`` takes the place of the client's (first) file."""

    client: str
    url: str
    key: str = ""
    models: tuple[str, ...] = ()
    writes: bool = False
    file: Path | None = None


def run(arguments: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Print or write the configuration. Raises StartupProblem with what to do."""
    variables = read_variables(None, ".env")
    wish = Wish(
        client=arguments.client,
        url=arguments.url or client_address(settings_for_asking()),
        key=_key(arguments, variables),
        models=tuple(arguments.model or ()),
        writes=arguments.write,
        file=Path(arguments.file).expanduser() if arguments.file else None,
    )
    connect(wish, this_machine(variables), say)


def connect(wish: Wish, machine: Machine, say: Callable[[str], None]) -> None:
    """The same for a wish and a machine that are handed in."""
    client = CLIENTS[wish.client]
    base = base_of(wish.url)
    _check_key(wish.key)
    listing = asyncio.run(ask(base, wish.key))
    offered = _offered(base, listing, wish)
    say(head(client, _shown(offered, wish), _left_out(listing, wish)))
    plan = _at(client.plan(offered, machine), wish.file)
    if wish.writes and plan.files:
        # All are worked out before the first is written: one that cannot be edited leaves the others alone.
        for prepared in [prepare(edit) for edit in plan.files]:
            say(outcome(write(prepared)))
    else:
        _print(_at(client.plan(replace(offered, key=offered.key and SHOWN_KEY), machine), wish.file), say)
    shows_key = bool(offered.key) and not wish.writes and any(edit.holds_key for edit in plan.files)
    say(rest(plan, _shown(offered, wish), shows_key=shows_key))


def this_machine(variables: Variables) -> Machine:
    """The machine that the program runs on."""
    found = {name: text for name in MACHINE_VARIABLES if (text := _text(variables, name))}
    return Machine(system_of(sys.platform), Path.home(), found)


def _key(arguments: argparse.Namespace, variables: Variables) -> str:
    if arguments.key_file is not None:
        return secret_in(arguments.key_file, "--key-file")
    return arguments.key or _text(variables, KEY_VARIABLE)


def _check_key(key: str) -> None:
    """A key travels in a header, where a line end would begin another one."""
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise StartupProblem(
            "The caller key has characters that no key has: a space, a line end or a letter beyond ASCII."
        )


def _text(variables: Variables, name: str) -> str:
    variable = variables.get(name)
    return variable.text.strip() if variable else ""


def _offered(base: str, listing: Listing, wish: Wish) -> Offered:
    return Offered(base, chosen(listing.models, wish.models), wish.key if listing.wants_key else "")


def _shown(offered: Offered, wish: Wish) -> Offered:
    """What the client gets to know: its one model, where it takes no more."""
    return offered if CLIENTS[wish.client].takes_many else replace(offered, models=offered.models[:1])


def _left_out(listing: Listing, wish: Wish) -> int:
    return 0 if wish.models else len(listing.models) - len(chosen(listing.models, ()))


def _at(plan: Plan, file: Path | None) -> Plan:
    """The plan with its first file elsewhere; the others go beside it."""
    if file is None:
        return plan
    first, *others = plan.files or (None,)
    if first is None:
        return plan
    beside = [replace(edit, paths=(file.parent / edit.paths[0].name,)) for edit in others]
    return replace(plan, files=(replace(first, paths=(file,)), *beside))


def _print(plan: Plan, say: Callable[[str], None]) -> None:
    for edit in plan.files:
        say(_configuration(edit))
    if plan.files:
        say(HOW_TO_WRITE)


def _configuration(edit: FileEdit) -> str:
    path = chosen_path(edit)
    return configuration(edit, path, exists=path.exists())
