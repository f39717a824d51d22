"""Who was turned away at a door: counted, told in the log without flooding it, and slowed down when it guesses keys.

Memory is bounded, whoever comes from wherever; a right key is never refused for the wrong ones before it.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from orcestator.errors import QuotaExceeded, Unauthorized
from orcestator.server.connection_limits import peer as peer_of

logger = logging.getLogger("orcestator.access")
Door = Literal["caller", "management", "worker", "controller"]
Reason = Literal["no_key", "wrong_key", "throttled", "foreign"]
"""``foreign``: not of this machine, or of a web page, where no key is asked for."""
MOST_PEERS = 1024
WINDOW_SECONDS = 60.0
WRONG_KEYS_A_WINDOW = 100
"""After so many of one address its further wrong keys are answered with 429, and with as little work as possible."""
MOST_LINES = 60
"""Lines of the log in a window, whoever comes."""


@dataclass(slots=True)
class _Peer:
    since: float
    refused: int = 0


class FailedLogins:
    """Of one process. ``count`` is told the door and the reason of each."""

    def __init__(
        self,
        count: Callable[[str, str], object] = lambda _door, _reason: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count = count
        self._now = now
        self._peers: OrderedDict[tuple[Door, Reason, str], _Peer] = OrderedDict()
        self._lines_since = 0.0
        self._lines = 0

    def note(self, door: Door, reason: Reason, scope: Mapping[str, Any]) -> None:
        """Somebody was refused."""
        self._count(door, reason)
        self._note(door, reason, scope)

    def wrong_key(self, door: Door, scope: Mapping[str, Any], error: Unauthorized) -> NoReturn:
        """Raises ``error``, or QuotaExceeded after too many from there."""
        record = self._note(door, "wrong_key", scope)
        if record.refused <= WRONG_KEYS_A_WINDOW:
            self._count(door, "wrong_key")
            raise error
        self._count(door, "throttled")
        wait = max(1, round(record.since + WINDOW_SECONDS - self._now()))
        raise QuotaExceeded(
            f"Too many wrong keys came from your address: try again in {wait} s. A right key is taken at any time.",
            code="too_many_wrong_keys",
            headers={"retry-after": str(wait), "connection": "close"},
        )

    def _note(self, door: Door, reason: Reason, scope: Mapping[str, Any]) -> _Peer:
        client = scope.get("client")
        name = peer_of(str(client[0])) if client else "a Unix socket"
        now = self._now()
        record = self._peers.pop((door, reason, name), None)
        if record is None or now - record.since >= WINDOW_SECONDS:
            record = _Peer(now)
        self._peers[door, reason, name] = record
        if len(self._peers) > MOST_PEERS:
            self._peers.popitem(last=False)
        record.refused += 1
        if record.refused == 10 ** (len(str(record.refused)) - 1) and self._may_log(now):
            logger.warning(
                "refused at the %s's door: %s from %s, %d so far in this minute", door, reason, name, record.refused
            )
        return record

    def _may_log(self, now: float) -> bool:
        if now - self._lines_since >= WINDOW_SECONDS:
            self._lines_since, self._lines = now, 0
        self._lines += 1
        if self._lines == MOST_LINES:
            logger.warning("refused at the doors: more addresses than are named in the log in this minute")
        return self._lines < MOST_LINES
