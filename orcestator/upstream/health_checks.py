"""Asks providers in the background whether they are well, and keeps the last answer for whoever wants to know.

It decides nothing: what follows for the routing is told to ``tell``. A check costs no tokens unless a chat is asked for.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from orcestator.errors import (
    OrcestatorError,
    QuotaUsedUp,
    UpstreamBroken,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from orcestator.json_text import dumps
from orcestator.upstream.call import UpstreamCall, WholeAnswer
from orcestator.upstream.ids import new_id
from orcestator.upstream.provider_client import ProviderClient

Status = Literal["operational", "degraded", "down", "unknown"]
Source = Literal["", "check", "requests"]
Probe = Callable[[float], Awaitable[None]]
"""Asks once, within so many seconds. Raises OrcestatorError when the provider is not well."""

LISTING = "listing"
"""The cause of a check that was answered with a failure of the list of models alone."""
BUCKET_SECONDS = 3600.0
MOST_BUCKETS = 24
MOST_AT_ONCE = 8
"""Checks that run at the same time."""
JITTER = 0.1
"""How much shorter or longer a pause may be: several processes must not ask in step."""


@dataclass(frozen=True, slots=True)
class CheckPolicy:
    """Seconds. ``interval`` 0.0: nobody is asked while all is well, and ``unwell_interval`` 0.0: nor while something is not.

    ``most_failures`` checks that fail in a row are as good as a proof that nothing works there.
    """

    interval: float = 0.0
    unwell_interval: float = 30.0
    timeout: float = 5.0
    most_failures: int = 5

    @property
    def turn_seconds(self) -> float:
        """The time between two looks, 0.0 for none at all."""
        return min((seconds for seconds in (self.interval, self.unwell_interval) if seconds > 0.0), default=0.0)


class Check(NamedTuple):
    """What is known of a provider. ``source`` is what it is known from: a check, or the requests of callers.

    ``response_ms`` is how long the answer took, -1.0 when there was none; ``checked_at`` is wall-clock epoch seconds, 0.0
    for never. ``uptime_percent`` is the share of the known time of the last 24 hours in which it worked, -1.0 when there
    is none. ``failures`` failed in a row. ``is_recovery``: a provider that was out has just answered.
    """

    status: Status = "unknown"
    response_ms: float = -1.0
    checked_at: float = 0.0
    message: str = "Nothing was asked of it yet."
    uptime_percent: float = -1.0
    failures: int = 0
    source: Source = ""
    is_recovery: bool = False

    def to_wire(self) -> dict[str, object]:
        """The JSON form that travels in a worker's offer."""
        return self._asdict()

    @classmethod
    def from_wire(cls, wire: Mapping[str, object]) -> "Check":
        """Read the JSON form; what is of a foreign shape tells nothing."""
        known = {name: value for name, value in wire.items() if type(value) is type(UNKNOWN._asdict().get(name))}
        return UNKNOWN._replace(**known)  # type: ignore[arg-type]


UNKNOWN = Check()


class NoListError(Exception):
    """A provider answered a check, and has no list of models that can be read."""


class Calls(NamedTuple):
    """What callers' requests at a provider came to, since the start; ``seconds`` is the mean time of recent ones."""

    total: int
    failed: int
    seconds: float


NO_CALLS = Calls(0, 0, 0.0)


@dataclass(slots=True)
class Uptime:
    """The share of time in which something worked, in buckets of an hour; what is not known counts for nothing."""

    since: float = 0.0
    is_up: bool | None = None
    buckets: deque[tuple[int, float, float]] = field(default_factory=lambda: deque(maxlen=MOST_BUCKETS))
    """(hour, seconds it worked, seconds that are known), oldest first."""

    def note(self, now: float, *, is_up: bool) -> None:
        """From ``now`` on it works, or it does not."""
        self._advance(now)
        self.since, self.is_up = now, is_up

    def percent(self, now: float) -> float:
        """0 to 100; -1.0 when nothing is known."""
        self._advance(now)
        known = sum(seconds for _, _, seconds in self.buckets)
        if known > 0.0:
            return 100.0 * sum(up for _, up, _ in self.buckets) / known
        return -1.0 if self.is_up is None else 100.0 * self.is_up

    def _advance(self, now: float) -> None:
        """Put the time since the last note into its buckets."""
        if self.is_up is None:
            return
        start = max(self.since, now - MOST_BUCKETS * BUCKET_SECONDS)
        while start < now:
            hour = int(start // BUCKET_SECONDS)
            end = min(now, (hour + 1) * BUCKET_SECONDS)
            self._add(hour, end - start, is_up=self.is_up)
            start = end
        self.since = now

    def _add(self, hour: int, seconds: float, *, is_up: bool) -> None:
        up, known = (seconds if is_up else 0.0), seconds
        if self.buckets and self.buckets[-1][0] == hour:
            _, up_before, known_before = self.buckets.pop()
            up, known = up + up_before, known + known_before
        self.buckets.append((hour, up, known))


@dataclass(slots=True)
class _Record:
    """One provider. ``was_let_in``: a good answer has put it back already, and nothing has failed here since."""

    probe: Probe | None
    check: Check = UNKNOWN
    uptime: Uptime = field(default_factory=Uptime)
    calls: Calls = NO_CALLS
    due: float = 0.0
    was_let_in: bool = False
    served: int = 0
    is_contradicted: bool = False
    """Requests were served while its list could not be read: that tells nothing until the list is read again."""


class HealthChecks:
    """The checks of one process. ``run`` does them, ``status`` gives the last result.

    ``is_unwell`` tells whether the routing keeps away from a provider or a part of it; ``calls`` what callers' requests came
    to there, so that a provider in use is known without being asked; ``served`` counts what its link answered, for whomever. ``now`` is monotonic, ``wall`` epoch seconds.
    """

    def __init__(
        self,
        policy: CheckPolicy,
        *,
        is_unwell: Callable[[str], bool],
        calls: Callable[[str], Calls],
        tell: Callable[[str, Check], None],
        now: Callable[[], float],
        wall: Callable[[], float],
        rng: Callable[[], float],
        served: Callable[[str], int] = lambda _provider: 0,
    ) -> None:
        self._served = served
        self._policy = policy
        self._is_unwell = is_unwell
        self._calls = calls
        self._tell = tell
        self._now = now
        self._wall = wall
        self._rng = rng
        self._records: dict[str, _Record] = {}
        self._room = asyncio.Semaphore(MOST_AT_ONCE)

    def watch(self, provider: str, probe: Probe | None) -> None:
        """Look after a provider from now on, in this way; None for one that cannot be asked, which its requests tell of."""
        record = self._records.get(provider)
        if record is None:
            self._records[provider] = _Record(probe)
        else:
            record.probe = probe

    def forget(self, provider: str) -> None:
        """It was removed."""
        self._records.pop(provider, None)

    def status(self, provider: str) -> Check:
        """What is known of it; calls nobody."""
        record = self._records.get(provider)
        if record is None:
            return UNKNOWN
        return record.check._replace(uptime_percent=record.uptime.percent(self._now()))

    def all(self) -> Mapping[str, Check]:
        """The status of every provider."""
        return {provider: self.status(provider) for provider in self._records}

    async def run(self, stop: asyncio.Event) -> None:
        """Check until ``stop`` is set; cancelling it cuts the checks that are under way."""
        pause = self._policy.turn_seconds
        while pause > 0.0 and not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause * (1.0 - JITTER + 2.0 * JITTER * self._rng()))
            if not stop.is_set():
                await self.turn()

    async def turn(self) -> None:
        """One look at every provider, with one check at a time at each."""
        async with asyncio.TaskGroup() as group:
            for provider, record in list(self._records.items()):
                group.create_task(self._look(provider, record))

    async def _look(self, provider: str, record: _Record) -> None:
        before, record.calls = record.calls, self._calls(provider)
        served, record.served = self._served(provider) - record.served, self._served(provider)
        if served and record.check.failures:
            # A request that was served since is worth more than a list that could not be read.
            record.check = record.check._replace(failures=0)
            record.is_contradicted = True
        if record.probe is not None and self._is_due(provider, record):
            async with self._room:
                await self._ask(provider, record, record.probe)
        elif record.calls.total > before.total:
            self._read_calls(provider, record, before)

    def _is_due(self, provider: str, record: _Record) -> bool:
        policy, now = self._policy, self._now()
        is_unwell = policy.unwell_interval > 0.0 and (record.check.failures > 0 or self._is_unwell(provider))
        if not is_unwell and (policy.interval <= 0.0 or now < record.due):
            return False
        # A turn may come a little early: a provider must not miss every second one for that.
        record.due = now + policy.interval * (1.0 - 2.0 * JITTER)
        return True

    async def _ask(self, provider: str, record: _Record, probe: Probe) -> None:
        started = self._now()
        try:
            async with asyncio.timeout(self._policy.timeout):
                await probe(self._policy.timeout)
        except NoListError:
            self._note_no_list(provider, record)
        except QuotaUsedUp:
            # Nobody was asked: nothing is known that was not known before.
            return
        except TimeoutError:
            self._note_failure(provider, record, f"No answer within {self._policy.timeout:g} s.")
        except OrcestatorError as error:
            is_list_only = isinstance(error, UpstreamError) and error.cause == LISTING
            if record.is_contradicted and is_list_only:
                self._note_no_list(provider, record)
            else:
                self._note_failure(provider, record, _reason(error), is_proof=not is_list_only)
        else:
            record.is_contradicted = False
            self._note_answer(provider, record, (self._now() - started) * 1000.0)

    def _note_answer(self, provider: str, record: _Record, response_ms: float) -> None:
        is_unwell = self._is_unwell(provider)
        is_recovery = is_unwell and not record.was_let_in
        record.was_let_in = is_unwell
        message = "It answers, but some of it is kept out of use after failures." if is_unwell else "It answers."
        status: Status = "degraded" if is_unwell else "operational"
        self._keep(
            provider, record, Check(status, response_ms, message=message, source="check", is_recovery=is_recovery)
        )

    def _note_no_list(self, provider: str, record: _Record) -> None:
        """It answered, and has no list that can be read: callers' requests tell how it is, and no check counts against it."""
        record.was_let_in = False
        known = record.check if record.check.source == "requests" else UNKNOWN
        message = "It answers, and has no list of models that can be read: the requests of callers tell how it is."
        self._keep(provider, record, known._replace(message=message, failures=0))

    def _note_failure(self, provider: str, record: _Record, reason: str, *, is_proof: bool = True) -> None:
        """``is_proof``: nothing works there if it goes on like this. A list that fails is none: chats may work, and where
        they do not, the first request of a caller finds it out and goes elsewhere."""
        record.was_let_in = False
        most = self._policy.most_failures
        failures = record.check.failures + 1 if is_proof else min(record.check.failures + 1, max(1, most - 1))
        is_down = (is_proof and failures >= most) or self._is_unwell(provider)
        status: Status = "down" if is_down else "degraded"
        self._keep(provider, record, Check(status, message=reason, failures=failures, source="check"))

    def _read_calls(self, provider: str, record: _Record, before: Calls) -> None:
        """What the requests since the last look say."""
        calls = record.calls.total - before.total
        failed = record.calls.failed - before.failed
        message = f"{calls - failed} of the last {calls} attempts went well."
        status: Status = "operational" if 2 * failed < calls else "degraded" if failed < calls else "down"
        response_ms = record.calls.seconds * 1000.0 if failed < calls else -1.0
        self._keep(provider, record, Check(status, response_ms, message=message, source="requests"))

    def _keep(self, provider: str, record: _Record, check: Check) -> None:
        now = self._now()
        record.uptime.note(now, is_up=check.status != "down")
        record.check = check._replace(checked_at=self._wall(), uptime_percent=record.uptime.percent(now))
        self._tell(provider, record.check)


def probe_of(link: ProviderClient, *, by_chat: bool) -> Probe | None:
    """How this provider is asked: by a chat of one token, which is billed, or by reading its list of models.

    None where it has no list, or no model to chat with.
    """
    if by_chat:
        return (lambda seconds: _chat(link, seconds)) if "chat" in link.offer.endpoints else None
    return (lambda seconds: _list_models(link, seconds)) if link.lists_models else None


async def _list_models(link: ProviderClient, seconds: float) -> None:
    try:
        # A little less than the whole check may take, which tells nothing of whether there was a connection.
        async with asyncio.timeout(0.9 * seconds):
            has_list = await link.read_list()
    except UpstreamUnavailable as error:
        if error.upstream_status is None:
            raise
        raise UpstreamUnavailable(
            "Its list of models cannot be read.", cause=LISTING, upstream_status=error.upstream_status
        ) from None
    except UpstreamBroken:
        has_list = False
    except (TimeoutError, UpstreamTimeout) as error:
        if isinstance(error, UpstreamTimeout) and error.cause in ("connect_timeout", "tls_timeout"):
            raise
        # It took the connection: a list may be slow, and chats quick.
        raise UpstreamTimeout(f"Its list of models did not come within {0.9 * seconds:g} s.", cause=LISTING) from None
    if not has_list:
        raise NoListError


async def _chat(link: ProviderClient, seconds: float) -> None:
    call = {"model": link.offer.default_model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
    order = UpstreamCall(
        endpoint="chat",
        path="/chat/completions",
        body=dumps(call),
        call=call,
        content_type="application/json",
        shown_model=link.offer.default_model,
        streamed=False,
        include_usage=False,
        request_id=new_id("check-"),
        deadline=asyncio.get_running_loop().time() + seconds,
        text_cap=0,
        created=0,
        new_id=new_id,
    )
    answer = await link.attempt_beside(link.offer.default_model, order)
    if not isinstance(answer, WholeAnswer):
        answer.close()


def _reason(error: OrcestatorError) -> str:
    """In our own words, but for the upstream's status: what it says may repeat a key or a prompt."""
    if isinstance(error, UpstreamError) and error.cause == LISTING:
        return error.message
    if isinstance(error, UpstreamTimeout):
        return "No answer in time."
    if isinstance(error, UpstreamError):
        return f"{type(error).__name__}: {error.cause}"
    return error.message
