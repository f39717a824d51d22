"""A quota ledger at one moment, for tests: time passes when they say so, and it can be started anew."""

import json
from datetime import UTC, datetime

from orcestator.dialects.rate_limits import RateLimit
from orcestator.routing.offer import Deployment
from orcestator.routing.state.quota import QuotaBook, QuotaRow

START = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
P, C, M = "p", "", "m"
CANDIDATE = Deployment(P, M, "", "proxy")


class Ledger:
    """A book at one moment; monotonic time starts at 1,000 s."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.kept: dict[tuple[str, str, str], str] = {}
        self.book = self._new()

    def _new(self) -> QuotaBook:
        return QuotaBook(START - 1000.0, self._keep)

    def _keep(self, row: QuotaRow) -> None:
        self.kept[row[:3]] = json.dumps(row.account)

    def restart(self) -> None:
        self.book = self._new()
        self.book.restore([QuotaRow(*key, json.loads(text)) for key, text in self.kept.items()])

    def take(self, tokens: int = 0, model: str = M, credential: str = C) -> float:
        back = self.book.take(P, credential, model, tokens, self.now)
        assert back == 0.0 or back > self.now
        assert self.book.back_at(Deployment(P, model, "", "proxy", credential=credential), tokens, self.now) >= 0.0
        return back

    def takes(self, times: int, tokens: int = 0) -> int:
        return sum(self.take(tokens) == 0.0 for _ in range(times))

    def last_resort(self) -> float:
        """The same for a request that has no other choice."""
        return self.book.take(P, C, M, 0, self.now, is_last_resort=True)

    def settle(self, tokens: int = 0, usd: float = 0.0) -> None:
        self.book.settle(P, C, M, tokens, usd, self.now)

    def refused(self, wait: float | None = None, *readings: RateLimit, is_pacific: bool = False) -> None:
        self.book.refused(P, C, M, taken_at=self.now, wait=wait, readings=readings, now=self.now, is_pacific=is_pacific)

    def learn(self, *readings: RateLimit, model: str = M) -> None:
        self.book.learn(P, C, model, readings, self.now, taken_at=self.now)
