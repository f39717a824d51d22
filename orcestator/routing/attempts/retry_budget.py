"""How many extra attempts the whole process may make, so that a failing upstream is not multiplied.

Finagle's and Envoy's rule: a share of recent requests, plus a floor so that a quiet installation still retries.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class RetryBudget:
    """``percent`` of the requests of the last ``window_seconds``, plus ``floor`` extra attempts in it.

    The window slides: what is left of the previous one counts for the share of it that the window still covers.
    """

    percent: float = 20.0
    floor: int = 10
    window_seconds: float = 10.0
    _window_started: float = 0.0
    _requests: int = 0
    _previous_requests: int = 0
    _spent: int = 0
    _previous_spent: int = 0
    _carried: float = 0.0

    def request(self, now: float) -> None:
        """Count a request: the budget grows with honest traffic."""
        elapsed = now - self._window_started
        if elapsed >= self.window_seconds:
            is_gap = elapsed >= 2 * self.window_seconds
            self._previous_requests, self._previous_spent = (0, 0) if is_gap else (self._requests, self._spent)
            self._requests = self._spent = 0
            self._window_started += elapsed if is_gap else self.window_seconds
        self._carried = 1.0 - (now - self._window_started) / self.window_seconds
        self._requests += 1

    def spend(self) -> bool:
        """Take one extra attempt; False when the budget is used up."""
        allowed = self.floor + self.percent / 100.0 * (self._requests + self._carried * self._previous_requests)
        if self._spent + self._carried * self._previous_spent + 1 > allowed:
            return False
        self._spent += 1
        return True

    def charge(self) -> None:
        """Count an extra attempt that is made whatever the budget says: there is less left for others."""
        self._spent += 1
