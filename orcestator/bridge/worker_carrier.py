"""Attempts carried to one of our own workers over HTTP. The worker holds the key; we hold the caller."""

import asyncio

from orcestator.bridge.protocol import ATTEMPT_PATH, ORDER_HEADER, order_to_wire
from orcestator.bridge.registration_policy import SECRET_HEADER
from orcestator.dialects.openai.errors import FACTS, error_detail, error_from_reply, failure_from_wire
from orcestator.errors import UpstreamError
from orcestator.providers.secret import Secret
from orcestator.routing.offer import Candidate
from orcestator.upstream.client import Response, UpstreamClient
from orcestator.upstream.opening import open_answer
from orcestator.upstream.order import Answer, Order
from orcestator.upstream.origin import Origin
from orcestator.upstream.timeouts import Timeouts

SLACK_SECONDS = 5.0
"""Our timers run this much longer than the worker's, so that its better explained failure arrives first."""


class WorkerCarrier:
    """Speaks the order protocol of ``bridge/protocol.py``. ``waiting`` is the worker's own idle and first-token time."""

    def __init__(self, client: UpstreamClient, secret: Secret | None, waiting: Timeouts) -> None:
        self._client = client
        self._secret_line = f"{SECRET_HEADER}: {secret.reveal()}\r\n" if secret else ""
        self._origins: dict[str, Origin] = {}
        self._timeouts = Timeouts(
            connect=waiting.connect,
            tls=waiting.tls,
            first_byte=waiting.total + SLACK_SECONDS,
            idle=waiting.idle + SLACK_SECONDS,
            total=waiting.total + SLACK_SECONDS,
            pool=waiting.pool,
        )

    async def attempt(self, candidate: Candidate, order: Order) -> Answer:
        """One attempt at the worker's deployment. Raises UpstreamError."""
        left = order.deadline - asyncio.get_running_loop().time()
        head = f"Content-Type: {order.content_type}\r\n{ORDER_HEADER}: {order_to_wire(candidate, order, left)}\r\n"
        response = await self._client.send(
            self._origin(candidate.worker),
            b"POST",
            ATTEMPT_PATH.encode(),
            (head + self._secret_line).encode("latin-1"),
            order.body,
            self._timeouts,
            deadline=order.deadline + SLACK_SECONDS,
        )
        try:
            if response.status != 200:
                raise await self._failure(response, candidate)
            # The worker sends a keep-alive of its own only while the upstream is alive, so its bytes count.
            return await open_answer(response, order, candidate.provider, comments_count=True)
        except BaseException:
            response.close()
            raise

    async def _failure(self, response: Response, candidate: Candidate) -> UpstreamError:
        body = await response.read_all()
        response.close()
        detail = error_detail(body)
        if isinstance(detail.get(FACTS), dict):
            return failure_from_wire(detail)
        return error_from_reply(f"the worker of {candidate.provider}", response.status, lambda _name: None, body, 0.0)

    def _origin(self, worker: str) -> Origin:
        known = self._origins.get(worker)
        if known is None:
            known = self._origins[worker] = Origin.from_url(worker)[0]
        return known
