"""Gives leases back: each exactly once, the last first, whatever the others do."""

import logging

from orcestator.gateway.seams import Lease
from orcestator.routing.events import RequestEnded

logger = logging.getLogger(__name__)


def release(leases: list[Lease], ended: RequestEnded | None, request_id: str) -> None:
    """Empty the list. Raises nothing."""
    while leases:
        lease = leases.pop()  # before it is released, so that nothing releases it again
        try:
            lease.release(ended)
        except Exception:
            logger.exception("a lease could not be released", extra={"request_id": request_id})
