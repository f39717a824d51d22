"""The environment of a supervised program: what it needs and no provider's key but its own.

In a split cluster neither the API server nor the controller can leak a key, because neither has one.
"""

import os
from collections.abc import Mapping

from orcestator.providers.secret import SHORTEST_SECRET
from orcestator.settings.environment import read_variables
from orcestator.settings.table import Settings


def spoken_variables(dotenv_path: str | None) -> dict[str, str]:
    """The process's environment over ``.env``. Raises StartupProblem."""
    found = {variable.name: variable.text for variable in read_variables(None, dotenv_path)}
    return {**os.environ, **found}  # noqa: TID251 - this package is the one place


def child_environment(
    settings: Settings,
    spoken: Mapping[str, str],
    more: Mapping[str, str],
    *,
    keys_of: str | None,
    serves_callers: bool = True,
) -> dict[str, str]:
    """The variables for a child, out of those that were ``spoken`` when the settings were read: start it with ``--env-file ''``.

    ``keys_of`` names the provider whose key stays in; None takes all of them out, by value, so that a key goes
    whatever its variable is called. ``serves_callers``: it needs the secrets of the callers' door, of notices and of databases.
    """
    hidden = {key.reveal() for provider in settings.providers if provider.row.name != keys_of for key in provider.keys}
    listed: set[str] = set()
    if not serves_callers:
        ours = {
            key.reveal() for provider in settings.providers if provider.row.name == keys_of for key in provider.keys
        }
        kept = {settings.worker_secret.reveal(), *ours, *more.values()}
        listed = {secret for secret in settings.secrets() if len(secret) >= SHORTEST_SECRET} - kept
    return {
        name: text
        for name, text in {**spoken, **more}.items()
        if text.strip() not in hidden and (name in more or listed.isdisjoint(map(str.strip, text.split(","))))
    }
