"""Sends notices to whatever the package ``apprise`` reaches: Telegram, Slack, e-mail and a hundred others.

It is an extra of the installation and is imported only when an address is configured. An address holds a key: none is
ever shown.
"""

import importlib
from collections.abc import Sequence
from typing import Any, Protocol, cast

from orcestator.errors import StartupProblem
from orcestator.telemetry.background import BackgroundWriter
from orcestator.telemetry.notices import Level, Notice, headline

CAPACITY = 1_000
COMPANY_SECONDS = 5.0
"""How long the first notice waits for others: people read these."""
TRIES = 3
FIRST_PAUSE_SECONDS = 2.0
TYPES: dict[Level, str] = {"info": "info", "warning": "warning", "error": "failure"}
"""What apprise calls the levels; what is solved is a "success" (apprise 2.2, checked 2026-11)."""


class Service(Protocol):
    """The part of ``apprise.Apprise`` that is used."""

    def add(self, services: str) -> bool:
        """Take an address; False when it is not one."""

    def notify(self, body: str, title: str, notify_type: str, body_format: str) -> Any:
        """Send; true when it went well."""


class AppriseTarget:
    """The ``Target`` that sends to one address."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def prepare(self) -> None:
        """Nothing is slow here."""

    def write(self, items: Sequence[Notice]) -> None:
        """Send one message with all of them. Raises OSError when it was not taken."""
        level, is_solved = headline(items)
        body = "\n".join(notice.sentence for notice in items)
        kind = "success" if is_solved else TYPES[level]
        if not self._service.notify(body, "orcestator", kind, "text"):
            raise OSError("the service did not take the message")

    def close(self) -> None:
        """Nothing is held."""


def apprise_writers(addresses: Sequence[str]) -> list[BackgroundWriter[Notice]]:
    """A queue and a thread for each address: one that hangs must not hold the others back.

    Raises StartupProblem when the package is not installed, or does not understand an address.
    """
    return [_writer(place, address) for place, address in enumerate(addresses, 1)]


def _writer(place: int, address: str) -> BackgroundWriter[Notice]:
    service = _service()
    if not service.add(address):
        scheme = address.partition("://")[0][:32] if "://" in address else "no"
        raise StartupProblem(
            f"OR_NOTIFY: apprise does not understand address {place} ({scheme} scheme);"
            " https://github.com/caronc/apprise/wiki lists the forms."
        )
    return BackgroundWriter(
        f"notify_{place}",
        AppriseTarget(service),
        keeps_failed=True,
        most_tries=TRIES,
        first_pause_seconds=FIRST_PAUSE_SECONDS,
        capacity=CAPACITY,
        window_seconds=COMPANY_SECONDS,
    )


def _service() -> Service:
    try:
        apprise = importlib.import_module("apprise")
    except ModuleNotFoundError:
        raise StartupProblem(
            "OR_NOTIFY needs the package apprise, which is not installed: pip install 'orcestator[notices]'."
        ) from None
    return cast(Service, apprise.Apprise())
