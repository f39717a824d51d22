"""How many requests each deployment has in hand, where it may have only so many."""

from dataclasses import dataclass, field

from orcestator.routing.catalog import Option
from orcestator.routing.offer import Candidate


@dataclass(slots=True)
class Permits:
    """Counts only the deployments that have a limit: the others cost nothing."""

    taken: dict[Candidate, int] = field(default_factory=dict)

    def is_full(self, candidate: Candidate, limit: int) -> bool:
        """Whether it has ``limit`` requests in hand; 0 is no limit."""
        return limit > 0 and self.taken.get(candidate, 0) >= limit

    def take(self, option: Option) -> bool:
        """Take a permit; False when all are taken."""
        limit = option.traits.max_concurrent
        if limit > 0:
            taken = self.taken.get(option.candidate, 0)
            if taken >= limit:
                return False
            self.taken[option.candidate] = taken + 1
        return True

    def give_back(self, option: Option) -> None:
        """A permit that was taken for this option is free again."""
        if option.traits.max_concurrent > 0:
            taken = self.taken[option.candidate] - 1
            if taken:
                self.taken[option.candidate] = taken
            else:
                del self.taken[option.candidate]
