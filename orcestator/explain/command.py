"""The command ``orcestator explain``: what was asked for, and the run."""

import argparse
import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from orcestator.errors import StartupProblem
from orcestator.explain.asking import ask
from orcestator.explain.credentials import token_for
from orcestator.explain.showing import plan_shown, record_shown
from orcestator.json_text import Json, loads
from orcestator.settings.own_address import own_address, settings_for_asking


def run(arguments: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Ask and print. Raises StartupProblem with what to do."""
    body = question_of(arguments)
    settings = settings_for_asking()
    url = arguments.url or own_address(settings)
    token = token_for(arguments, url, settings.admin_token.reveal(), settings.state_dir)
    if body is None:
        found = asyncio.run(ask(url, token, f"/orchestrator/decisions/{quote(arguments.request_id, safe='')}"))
    else:
        found = asyncio.run(ask(url, token, "/orchestrator/analyze-request", body))
    if arguments.json:
        say(json.dumps(found, indent=2) + "\n")
    else:
        say(record_shown(found) if body is None else plan_shown(found))


def question_of(arguments: argparse.Namespace) -> Json | None:
    """The request to be planned; None when a past one is asked for. Raises StartupProblem for what does not fit together."""
    would = [name for name in ("model", "prompt", "body") if getattr(arguments, name) is not None]
    if arguments.request_id is not None:
        if would:
            raise StartupProblem(f"A REQUEST_ID tells of a past request: leave out --{would[0]}.")
        return None
    if not would:
        raise StartupProblem("Say what to explain: a REQUEST_ID, or --model NAME (see orcestator explain --help).")
    if arguments.prompt is not None and arguments.body is not None:
        raise StartupProblem("--body holds the whole request: leave out --prompt.")
    body = {} if arguments.body is None else _body_in(Path(arguments.body))
    given = {"model": arguments.model, "prompt": arguments.prompt}
    return {**body, **{field: value for field, value in given.items() if value is not None}}


def _body_in(path: Path) -> Json:
    try:
        body = loads(path.read_bytes())
    except OSError as problem:
        raise StartupProblem(f"--body: {path} cannot be read: {problem.strerror}.") from None
    except ValueError as problem:
        raise StartupProblem(f"--body: {path} is not JSON: {problem}.") from None
    if not isinstance(body, dict):
        raise StartupProblem(f"--body: {path} must hold one JSON object.")
    return body
