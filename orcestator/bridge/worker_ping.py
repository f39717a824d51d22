"""Which of our workers hang: stopped, or with an event loop that something blocks.

A worker that is dead refuses connections. One that hangs takes them, in its system's name, and looks like an upstream that thinks for long. So
while something waits for a worker it is asked, beside the requests and on a connection of its own, for its ``/health``, which comes from its
event loop. Must never cost a request more than a look into a set, nor call anything but our own workers.
"""

import asyncio
import logging

from orcestator.bridge.carrier import worker_origin
from orcestator.errors import OrcestatorError, UpstreamTimeout, WorkerLost
from orcestator.upstream.http.client import UpstreamClient
from orcestator.upstream.http.origin import Origin
from orcestator.upstream.http.timeouts import Timeouts

HUNG = "hung"
"""The cause of a failure at a worker that does not answer."""
LOOK_SECONDS = 0.25
"""How often a worker is asked while something waits for it."""
ANSWER_SECONDS = 1.5
"""How long its answer may take: with the look before it, a request waits less than two seconds for a worker that hangs."""
MID_ANSWER_SECONDS = 5.0
"""How long a worker must have been silent until answers that have begun are given up: callers have a part of them already."""
LATE_SECONDS = 0.5
"""When our own loop was this late, a missing answer says nothing about the worker."""
FORGET_SECONDS = 120.0
"""A worker that is silent for longer is no longer asked: its controller dropped it after two heart-beats."""
RESTART_SECONDS = 1.0
"""About what a worker that died needs until it serves again under its supervisor."""

logger = logging.getLogger(__name__)


class WorkerPing:
    """``client`` is the one that attempts are made with. ``hung`` has the workers that do not answer, by their addresses."""

    def __init__(
        self,
        client: UpstreamClient,
        *,
        answer_seconds: float = ANSWER_SECONDS,
        mid_answer_seconds: float = MID_ANSWER_SECONDS,
    ) -> None:
        self.hung: set[str] = set()
        self._client = client
        self._answer_seconds = answer_seconds
        self._mid_answer_seconds = mid_answer_seconds
        # The pool of the attempts may be full, just because the worker hangs.
        self._asking = UpstreamClient(connections_per_origin=1)
        self._origins: dict[str, Origin] = {}
        self._silent_since: dict[str, float] = {}
        self._looks: dict[str, asyncio.Task[None]] = {}

    def origin(self, worker: str) -> Origin:
        """Where a worker listens; from now on it is looked after. Raises UpstreamUnavailable for what is no address."""
        known = self._origins.get(worker)
        if known is None:
            known = self._origins[worker] = worker_origin(worker)
        return known

    async def run(self) -> None:
        """Look after the workers until cancelled."""
        try:
            while True:
                for worker, origin in list(self._origins.items()):
                    if worker not in self._looks and (worker in self.hung or self._client.in_use_at(origin)):
                        self._looks[worker] = asyncio.create_task(self._look(worker, origin))
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            for look in list(self._looks.values()):
                look.cancel()
            await self._asking.close()

    async def _look(self, worker: str, origin: Origin) -> None:
        try:
            started = self._now()
            answered = await self._answers(origin)
            now = self._now()
            if answered:
                self._note_answer(worker)
            elif now - started < self._answer_seconds + LATE_SECONDS:
                self._note_silence(worker, origin, self._silent_since.setdefault(worker, started), now)
        finally:
            del self._looks[worker]

    async def _answers(self, origin: Origin) -> bool:
        """Whether the worker, or in its place a system that knows that it is gone, says anything."""
        patience = Timeouts(*(self._answer_seconds,) * 5)
        try:
            response = await self._asking.send(origin, b"GET", b"/health", b"", b"", patience)
        except UpstreamTimeout:
            return False
        except OrcestatorError:
            return True
        response.close()
        return True

    def _note_answer(self, worker: str) -> None:
        self._silent_since.pop(worker, None)
        if worker in self.hung:
            self.hung.discard(worker)
            logger.info("the worker at %s answers again", worker)

    def _note_silence(self, worker: str, origin: Origin, since: float, now: float) -> None:
        if worker not in self.hung:
            self.hung.add(worker)
            logger.warning("the worker at %s takes connections and does not answer; others are tried", worker)
        if now - since > FORGET_SECONDS:
            for known in (self.hung.discard, self._origins.pop, self._silent_since.pop):
                known(worker)
        begun = now - since >= self._mid_answer_seconds
        self._client.break_off(origin, lambda: hung_worker(worker), begun=begun)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def hung_worker(name: str, *, sent: bool = True) -> WorkerLost:
    """The failure of an attempt at a worker that hangs."""
    return WorkerLost(f"The worker of {name} does not answer.", cause=HUNG, retry_after=RESTART_SECONDS, sent=sent)
