"""The controller's worker table: synchronous state changes over facts that are handed in.

Must never do I/O, read a clock or await: whoever calls a method sees the table before or after it, never between.
``now`` is monotonic seconds everywhere; only ``snapshot`` leaves the process, and it carries no times.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, NamedTuple

import orjson

from orcestator.bridge.registration_policy import (
    OFFER_KEY,
    OPEN,
    Decision,
    HeartBeat,
    Registration,
    Speaker,
    WorkerStatus,
    is_loopback,
    read_registration,
    same_speaker,
)
from orcestator.bridge.worker_entry import WorkerEntry
from orcestator.errors import InvalidRequest
from orcestator.json_text import Json
from orcestator.routing.planning.dispatch import DispatchMethod, chosen

Outcome = Literal["registered", "updated", "quarantined", "ignored"]

HEART_BEAT_SECONDS = 45.0
"""FastChat's ``WORKER_HEART_BEAT_INTERVAL`` (fschat 0.2.36, checked 2026-11)."""
MOST_WORKERS = 1000
MOST_PENDING = 100
MOST_PENDING_BYTES = 8 << 20
PENDING_PAUSE_SECONDS = 1.0
"""One peer may add one pending worker a second."""
MOST_REMEMBERED = 1000
SNAPSHOT_FORMAT = 1
_UNVERSIONED = frozenset({"queue_length", "out"})
"""What is shown of a worker and changes too often to be news to API servers, which judge for themselves."""


@dataclass(slots=True)
class PendingWorker:
    """A registration in quarantine: no traffic, no outbound call, kept while its heart-beats come."""

    registration: Registration
    speaker: Speaker
    reason: str
    last_heart_beat: float
    size: int

    def row(self) -> Json:
        """What a person needs to approve or deny it."""
        status = self.registration.status
        return {
            "worker_name": self.registration.worker_name,
            "model_names": list(status.model_names) if status else [],
            "peer": self.speaker.peer,
            "credential": self.speaker.credential,
            "reason": self.reason,
        }


class Entered(NamedTuple):
    """What became of a registration, and why."""

    outcome: Outcome
    reason: str


class Approval(NamedTuple):
    """A person's standing yes to one worker of one speaker."""

    worker_name: str
    speaker: Speaker


class WorkerRegistry:
    """The table. ``version`` grows with each change of what ``workers()`` shows, queue lengths and reported trouble excepted.

    ``first_version`` must exceed every version an earlier process showed (milliseconds since the epoch do), so
    that a poller never takes another incarnation's table for its own.
    """

    def __init__(
        self,
        *,
        draw: Callable[[], float],
        dispatch: DispatchMethod = "shortest_queue",
        heart_beat_seconds: float = HEART_BEAT_SECONDS,
        first_version: int = 1,
    ) -> None:
        self.version = first_version
        self.expire_seconds = 2 * heart_beat_seconds
        self._draw = draw
        self._dispatch = dispatch
        self._workers: dict[str, WorkerEntry] = {}
        self._pending: dict[str, PendingWorker] = {}
        self._approvals: dict[Approval, None] = {}
        self._denials: dict[Approval, None] = {}
        self._pending_since: dict[str, float] = {}

    def register(self, registration: Registration, speaker: Speaker, decision: Decision, now: float) -> Entered:
        """Enter a worker, or put it in quarantine. ``registration.status`` must be known unless it is quarantined."""
        reason = self._objection(registration, speaker, decision)
        if reason:
            return Entered(self._quarantine(registration, speaker, reason, now), reason)
        if registration.status is None or not self._has_room_for(registration.worker_name):
            return Entered("ignored", "no status, or the table is full")
        return Entered(self._enter(registration, registration.status, speaker, now), decision.reason)

    def is_welcome(self, registration: Registration, speaker: Speaker, decision: Decision) -> bool:
        """Whether ``register`` would let it in: only then may the worker be called back."""
        return not self._objection(registration, speaker, decision)

    def receive_heart_beat(self, beat: HeartBeat, speaker: Speaker, now: float) -> bool:
        """Whether this speaker registered this worker; False makes a stock worker register again."""
        entry = self._workers.get(beat.worker_name)
        if entry is not None and same_speaker(entry.speaker, speaker):
            entry.queue_length = beat.queue_length
            entry.learn(beat.reports, now)
            self._confirm(entry, now)
            return True
        pending = self._pending.get(beat.worker_name)
        if pending is not None and same_speaker(pending.speaker, speaker):
            pending.last_heart_beat = now
            return True
        return Approval(beat.worker_name, speaker) in self._denials

    def leave(self, worker_name: str, speaker: Speaker) -> bool:
        """A worker that is about to end takes itself out. False when this speaker has no such worker."""
        entry = self._workers.get(worker_name)
        if entry is None or not same_speaker(entry.speaker, speaker):
            return False
        del self._workers[worker_name]
        self.version += 1
        return True

    def expire(self, now: float) -> list[str]:
        """Forget workers that were silent for two intervals; their names."""
        gone = [entry.name for entry in self._workers.values() if self._is_over(entry, now)]
        for name in gone:
            del self._workers[name]
        self.version += bool(gone)
        quiet = [name for name, held in self._pending.items() if now - held.last_heart_beat > self.expire_seconds]
        for name in quiet:
            del self._pending[name]
        return gone

    def pending(self) -> list[Json]:
        """The workers in quarantine, oldest first."""
        return [held.row() for held in self._pending.values()]

    def approve(self, worker_name: str, now: float) -> bool:
        """Let a pending worker in, now and whenever it returns with the same credential and peer.

        One that gave no status is let in when it registers next. False when it is not pending.
        """
        held = self._pending.pop(worker_name, None)
        if held is None:
            return False
        approval = Approval(worker_name, held.speaker)
        self._denials.pop(approval, None)
        _remember(self._approvals, approval)
        if held.registration.status is not None and self._has_room_for(worker_name):
            self._enter(held.registration, held.registration.status, held.speaker, now)
        return True

    def deny(self, worker_name: str) -> bool:
        """Drop a pending worker and ignore it until this process ends. False when it is not pending."""
        held = self._pending.pop(worker_name, None)
        if held is None:
            return False
        _remember(self._denials, Approval(worker_name, held.speaker))
        return True

    def names(self, *, only_stale: bool = False) -> list[str]:
        """The approved workers, or those of them that nobody has heard of since the restart."""
        return [entry.name for entry in self._workers.values() if entry.stale or not only_stale]

    def apply_checks(self, checks: Mapping[str, WorkerStatus | None], now: float) -> list[str]:
        """Take the results of status checks at once; None is a failed one. The names of workers dropped for it.

        A worker that sends heart-beats is only marked stale: it may be starting or busy, and its silence will
        expire it. One that does not has no other sign of life.
        """
        dropped = []
        for name, status in checks.items():
            entry = self._workers.get(name)
            if entry is None:
                continue
            if status is not None:
                self._refresh(entry, status, now)
            elif entry.check_heart_beat:
                self.version += not entry.stale
                entry.stale = True
            else:
                del self._workers[name]
                dropped.append(name)
                self.version += 1
        return dropped

    def workers(self) -> list[Json]:
        """Every approved worker with its offer, in order of registration."""
        return [entry.row() for entry in self._workers.values()]

    def list_models(self, multimodal: bool | None = None) -> list[str]:
        """Model names, sorted; only of (not) multimodal workers when asked so."""
        chosen = (entry for entry in self._workers.values() if multimodal in (None, entry.multimodal))
        return sorted({name for entry in chosen for name in entry.model_names})

    def get_worker_address(self, model: str, now: float) -> str:
        """A worker for one request to ``model``; empty when there is none. Counts the request as on its way."""
        places = [entry.place(model, now) for entry in self._workers.values() if model in entry.model_names]
        if not places:
            return ""
        name = chosen(places, self._dispatch, now, self._draw).worker
        self._workers[name].assign(now)
        return name

    def status(self) -> Json:
        """The whole table as one stock worker status, for a controller above this one."""
        entries = self._workers.values()
        return {
            "model_names": self.list_models(),
            "speed": sum(entry.speed for entry in entries),
            "queue_length": sum(entry.queue_length for entry in entries),
        }

    def counts(self) -> Json:
        """How many workers there are in each state."""
        return {
            "workers": len(self._workers),
            "stale": sum(entry.stale for entry in self._workers.values()),
            "pending": len(self._pending),
        }

    def snapshot(self) -> Json:
        """The table as JSON values: approved workers and standing approvals. No secret is in it."""
        return {
            "format": SNAPSHOT_FORMAT,
            "version": self.version,
            "workers": [_saved(entry) for entry in self._workers.values()],
            "approvals": [[name, *speaker] for name, speaker in self._approvals],
        }

    def restore(self, snapshot: Any, now: float, *, secured: bool) -> None:
        """Take over a saved table; its workers are stale until they are heard of, and served meanwhile.

        ``secured``: a worker secret is set now, so what was let in without one stays out. Raises ValueError on a
        foreign shape, and then changes nothing.
        """
        try:
            if snapshot["format"] != SNAPSHOT_FORMAT:
                raise ValueError("unknown format")
            entries = [_restored(row, now) for row in snapshot["workers"]]
            approvals = [Approval(str(name), Speaker(str(who), str(peer))) for name, who, peer in snapshot["approvals"]]
            version = int(snapshot["version"])
        except (KeyError, TypeError, AttributeError, InvalidRequest) as error:
            raise ValueError(f"not a worker table: {error}") from error
        for entry in islice(entries, MOST_WORKERS):
            if not (secured and entry.speaker.credential == OPEN):
                self._workers[entry.name] = entry
        for approval in approvals:
            _remember(self._approvals, approval)
        self.version = max(self.version, version + 1)

    def _objection(self, registration: Registration, speaker: Speaker, decision: Decision) -> str:
        """Why the worker may not come in, empty when it may. A person's approval stands above everything."""
        if Approval(registration.worker_name, speaker) in self._approvals:
            return ""
        if decision.action == "quarantine":
            return decision.reason
        return self._conflict(registration, speaker)

    def _conflict(self, registration: Registration, speaker: Speaker) -> str:
        """Model ownership: with secrets in use, what one credential serves another cannot claim."""
        if speaker.credential == OPEN:
            return ""
        others = [entry for entry in self._workers.values() if entry.speaker.credential != speaker.credential]
        if any(entry.name == registration.worker_name for entry in others):
            return "this worker_name belongs to another credential"
        status = registration.status
        if status is None:
            return ""
        if status.offer is not None and any(entry.kind == "proxy" for entry in others):
            return "proxy workers belong to another credential"
        taken = {name for entry in others for name in entry.model_names}.intersection(status.model_names)
        return f"model {min(taken)} belongs to another credential" if taken else ""

    def _quarantine(self, registration: Registration, speaker: Speaker, reason: str, now: float) -> Outcome:
        name = registration.worker_name
        held = self._pending.get(name)
        if held is not None:
            if same_speaker(held.speaker, speaker):
                held.last_heart_beat = now
            return "ignored"
        size = _size(registration)
        if Approval(name, speaker) in self._denials or not self._may_wait(speaker.peer, size, now):
            return "ignored"
        self._pending[name] = PendingWorker(registration, speaker, reason, now, size)
        return "quarantined"

    def _may_wait(self, peer: str, size: int, now: float) -> bool:
        recent = {who: since for who, since in self._pending_since.items() if now - since < PENDING_PAUSE_SECONDS}
        waiting_bytes = sum(held.size for held in self._pending.values())
        full = len(self._pending) >= MOST_PENDING or waiting_bytes + size > MOST_PENDING_BYTES
        if peer in recent or full:
            return False
        self._pending_since = {**recent, peer: now}
        return True

    def _enter(self, registration: Registration, status: WorkerStatus, speaker: Speaker, now: float) -> Outcome:
        name = registration.worker_name
        before = self._workers.get(name)
        entry = WorkerEntry(
            name=name,
            model_names=status.model_names,
            speed=status.speed,
            queue_length=status.queue_length,
            # Without heart-beats nothing ends a dead entry, so only this machine's operator may ask for that.
            check_heart_beat=registration.check_heart_beat or not is_loopback(speaker.peer),
            multimodal=registration.multimodal,
            speaker=speaker,
            last_heart_beat=now,
            offer=status.offer,
        )
        entry.learn(status.reports, now)
        if before is not None:
            entry.assigned, entry.assigned_at = before.assigned, before.assigned_at
        self._workers[name] = entry
        self._pending.pop(name, None)
        self.version += before is None or _shown(before) != _shown(entry)
        return "registered" if before is None else "updated"

    def _refresh(self, entry: WorkerEntry, status: WorkerStatus, now: float) -> None:
        claim = Registration(entry.name, entry.check_heart_beat, entry.multimodal, status)
        approved = Approval(entry.name, entry.speaker) in self._approvals
        entry.queue_length = status.queue_length
        if approved or not self._conflict(claim, entry.speaker):
            before = _shown(entry)
            entry.model_names, entry.speed, entry.offer = status.model_names, status.speed, status.offer
            entry.learn_anew(status.reports, now)
            self.version += before != _shown(entry)
        self._confirm(entry, now)

    def _confirm(self, entry: WorkerEntry, now: float) -> None:
        entry.last_heart_beat = now
        self.version += entry.stale
        entry.stale = False

    def _is_over(self, entry: WorkerEntry, now: float) -> bool:
        return (entry.check_heart_beat or entry.stale) and now - entry.last_heart_beat > self.expire_seconds

    def _has_room_for(self, worker_name: str) -> bool:
        return worker_name in self._workers or len(self._workers) < MOST_WORKERS


def _shown(entry: WorkerEntry) -> Json:
    return {key: value for key, value in entry.row().items() if key not in _UNVERSIONED}


def _saved(entry: WorkerEntry) -> Json:
    """The entry in the shape of its own registration, so that it is read back through the same checks."""
    status: Json = {"model_names": list(entry.model_names), "speed": entry.speed, "queue_length": entry.queue_length}
    if entry.offer is not None:
        status[OFFER_KEY] = entry.offer
    return {
        "registration": {
            "worker_name": entry.name,
            "check_heart_beat": entry.check_heart_beat,
            "multimodal": entry.multimodal,
            "worker_status": status,
        },
        "speaker": list(entry.speaker),
    }


def _restored(row: Json, now: float) -> WorkerEntry:
    registration = read_registration(row["registration"])
    credential, peer = map(str, row["speaker"])
    status = registration.status
    if status is None:
        raise ValueError("a saved worker has no status")
    return WorkerEntry(
        name=registration.worker_name,
        model_names=status.model_names,
        speed=status.speed,
        queue_length=status.queue_length,
        check_heart_beat=registration.check_heart_beat,
        multimodal=registration.multimodal,
        speaker=Speaker(credential, peer),
        last_heart_beat=now,
        offer=status.offer,
        stale=True,
    )


def _remember(known: dict[Approval, None], approval: Approval) -> None:
    """Keep the newest thousand."""
    known.pop(approval, None)
    known[approval] = None
    if len(known) > MOST_REMEMBERED:
        del known[next(iter(known))]


def _size(registration: Registration) -> int:
    """Bytes, near enough, that a registration holds while it waits."""
    status = registration.status
    return len(orjson.dumps([status.model_names, status.offer])) if status else 0
