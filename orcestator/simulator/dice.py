"""Chance that depends on nothing but its seeds: two routers that call the same upstream for the same request get the same throw."""

from statistics import NormalDist

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15
_NORMAL = NormalDist()
_SMALLEST = 2.0**-53


class Dice:
    """Draws from [0, 1). SplitMix64 (Steele, Lea and Flood 2014), which is quick to seed."""

    __slots__ = ("_state",)

    def __init__(self, *seeds: int) -> None:
        state = 0
        for seed in seeds:
            state = _mixed((state + _STEP + seed) & _MASK)
        self._state = state

    def __call__(self) -> float:
        """The next draw."""
        self._state = (self._state + _STEP) & _MASK
        return (_mixed(self._state) >> 11) * _SMALLEST

    def normal(self) -> float:
        """A draw from the standard normal distribution."""
        return _NORMAL.inv_cdf(self() or _SMALLEST)


def _mixed(state: int) -> int:
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
    return state ^ (state >> 31)
