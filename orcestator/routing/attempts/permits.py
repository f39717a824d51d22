"""How many requests each deployment has in hand, where it may have only so many."""

from dataclasses import dataclass, field

from orcestator.routing.offer import Deployment
from orcestator.routing.planning.catalog import Candidate


@dataclass(slots=True)
class Permits:
    """Counts only the deployments that have a limit: the others cost nothing."""

    taken: dict[Deployment, int] = field(default_factory=dict)

    def is_full(self, deployment: Deployment, limit: int) -> bool:
        """Whether it has ``limit`` requests in hand; 0 is no limit."""
        return limit > 0 and self.taken.get(deployment, 0) >= limit

    def take(self, candidate: Candidate) -> bool:
        """Take a permit; False when all are taken."""
        limit = candidate.traits.max_concurrent
        if limit > 0:
            taken = self.taken.get(candidate.deployment, 0)
            if taken >= limit:
                return False
            self.taken[candidate.deployment] = taken + 1
        return True

    def give_back(self, candidate: Candidate) -> None:
        """A permit that was taken for this candidate is free again."""
        if candidate.traits.max_concurrent > 0:
            taken = self.taken[candidate.deployment] - 1
            if taken:
                self.taken[candidate.deployment] = taken
            else:
                del self.taken[candidate.deployment]
