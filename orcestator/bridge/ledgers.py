"""The quota ledgers of a cluster, for whoever manages it: they are where the keys are, in this process or in its workers."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from orcestator.bridge.control import ControlClient
from orcestator.bridge.protocol import LIMITS_PATH, RESET_PATH
from orcestator.json_text import Json
from orcestator.routing.planning.catalog import Catalog
from orcestator.routing.state.quota import QuotaBook, QuotaState


class Ledgers(Protocol):
    """Empty names mean all."""

    async def limits(self) -> list[Json]:
        """Every limit and every pause that is known."""

    async def reset(self, provider: str, model: str) -> bool:
        """Forget what was told and learned of a model at a provider, and every pause; whether every ledger has heard it."""


class LocalLedgers:
    """That of this process. ``now`` is monotonic seconds."""

    def __init__(self, quota: QuotaBook, now: Callable[[], float]) -> None:
        self._quota = quota
        self._now = now

    async def limits(self) -> list[Json]:
        """See ``Ledgers``."""
        return limits_in(self._quota, self._now())

    async def reset(self, provider: str, model: str) -> bool:
        """See ``Ledgers``."""
        self._quota.reset(provider, model)
        return True


class WorkerLedgers:
    """Those of our workers. One that does not answer is left out."""

    def __init__(self, control: ControlClient, catalog: Callable[[], Catalog]) -> None:
        self._control = control
        self._catalog = catalog

    async def limits(self) -> list[Json]:
        """See ``Ledgers``."""
        answers = await asyncio.gather(*(self._control.get(worker + LIMITS_PATH) for worker in self._workers()))
        return [limit for _, answer in answers for limit in _rows(answer) if isinstance(limit, dict)]

    async def reset(self, provider: str, model: str) -> bool:
        """See ``Ledgers``."""
        wanted = {"provider": provider, "model": model}
        answers = await asyncio.gather(
            *(self._control.post(worker + RESET_PATH, wanted) for worker in self._workers(provider))
        )
        return all(status == 200 for status, _ in answers)

    def _workers(self, provider: str = "") -> list[str]:
        offers = self._catalog().offers
        found = (one.worker for one in offers if one.worker and one.kind == "proxy" and provider in ("", one.provider))
        return list(dict.fromkeys(worker.rstrip("/") for worker in found))


def limits_in(quota: QuotaBook, now: float) -> list[Json]:
    """What a ledger knows, as JSON: ``secondsLeft`` until more is free."""
    return [_shown(state) for state in (*quota.states(now), *quota.pauses(now))]


def _shown(state: QuotaState) -> Json:
    return {
        "provider": state.provider,
        "credential": state.credential,
        "model": state.model,
        "unit": state.unit,
        "windowSeconds": state.window_seconds,
        "limit": state.limit,
        "remaining": state.remaining,
        "secondsLeft": round(state.seconds, 3),
        "source": state.source,
    }


def _rows(answer: Mapping[str, Any]) -> list[Any]:
    limits = answer.get("limits")
    return limits if isinstance(limits, list) else []
