"""The environment of a supervised program: what it needs and no provider's key but its own.

In a split cluster neither the API server nor the controller can leak a key, because neither has one.
"""

import os
from collections.abc import Mapping
from functools import cache

from orcestator.providers.secret import Secret
from orcestator.settings.environment import read_variables
from orcestator.settings.spec import table_of
from orcestator.settings.table import Settings

_FOR_ALL = frozenset({"worker_secret", "upstream_proxy"})
WITHHELD = frozenset(row.name for row in table_of(Settings) if row.type in (Secret, tuple[Secret, ...])) - _FOR_ALL
"""Settings that are secrets of the callers' door, of notices and of databases: a worker and the controller have no use for them."""


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

    ``keys_of`` names the provider whose keys and proxy stay in; None takes all keys out, by value, so that a key goes
    whatever its variable is called. ``serves_callers``: it needs what is ``WITHHELD`` from the others.
    """
    ours = {key.reveal() for provider in settings.providers if provider.row.name == keys_of for key in provider.keys}
    listed = {key.reveal() for provider in settings.providers for key in provider.keys} - ours
    if not serves_callers:
        proxies = {provider.proxy.reveal() for provider in settings.providers if provider.row.name == keys_of}
        kept = {settings.worker_secret.reveal(), settings.upstream_proxy.reveal(), *proxies, *ours, *more.values()}
        listed |= set(settings.secrets()) - kept
    # A key may be a word or a number: a setting that happens to have the same value is none.
    plain = _plain_variables()
    return {
        name: text
        for name, text in {**spoken, **more}.items()
        if name in plain or name in more or listed.isdisjoint((text.strip(), *map(str.strip, text.split(","))))
    }


@cache
def _plain_variables() -> frozenset[str]:
    """The variables of the settings that are no secrets."""
    plain = (row for row in table_of(Settings) if row.type not in (Secret, tuple[Secret, ...]))
    return frozenset(name for row in plain for name in (row.variable, *(other.name for other in row.spec.also)))
