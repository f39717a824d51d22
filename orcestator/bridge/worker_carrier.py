"""Attempts carried to one of our own workers over HTTP. The worker holds the key; we hold the caller."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from orcestator.bridge.protocol import (
    ATTEMPT_PATH,
    DROPPED_HEADER,
    ORDER_HEADER,
    goes_native,
    order_to_wire,
    quota_refusal_from_wire,
)
from orcestator.bridge.registration_policy import SECRET_HEADER
from orcestator.bridge.worker_ping import HUNG, RESTART_SECONDS, WorkerPing, hung_worker
from orcestator.dialects.failures import FACTS, error_detail, error_from_reply, failure_from_wire
from orcestator.errors import OrcestatorError, Overloaded, UpstreamError, UpstreamUnavailable, WorkerLost
from orcestator.providers.secret import Secret
from orcestator.routing.offer import Deployment
from orcestator.upstream.answer_reader import open_answer
from orcestator.upstream.call import Answer, UpstreamCall
from orcestator.upstream.dialect_table import UPSTREAM_DIALECTS
from orcestator.upstream.http.client import Response, UpstreamClient
from orcestator.upstream.http.timeouts import Timeouts
from orcestator.upstream.provider_client import ProviderTimeouts, asks_for_reasoning
from orcestator.upstream.upstream_request import UpstreamRequest

SLACK_SECONDS = 5.0
"""Our timers run this much longer than the worker's, so that its better explained failure arrives first."""

_CUTS = frozenset({"closed", "reset", HUNG})
_ADVICE = ("retry-after", "retry-after-ms")


class WorkerCarrier:
    """Speaks the order protocol of ``bridge/protocol.py``. ``waiting`` is how long the worker itself waits; ``pulse`` knows which workers
    hang: without one that runs, nobody does."""

    def __init__(
        self,
        client: UpstreamClient,
        secret: Secret | None,
        waiting: ProviderTimeouts,
        pulse: WorkerPing | None = None,
        slack_seconds: float = SLACK_SECONDS,
    ) -> None:
        self._client = client
        self._pulse = pulse or WorkerPing(client)
        self._secret_line = f"{SECRET_HEADER}: {secret.reveal()}\r\n" if secret else ""
        self._slack = slack_seconds
        self._whole = _timeouts(waiting, waiting.total, slack_seconds)
        self._streamed = _timeouts(waiting, waiting.first_token, slack_seconds)
        self._reasoning = _timeouts(waiting, waiting.first_token_reasoning, slack_seconds)

    async def attempt(self, deployment: Deployment, order: UpstreamCall, _taken_at: float) -> Answer:
        """One attempt at the worker's deployment, whose ledger counts it. Raises UpstreamError, Overloaded and QuotaUsedUp."""
        response = await self._send(deployment, order)
        response.blame = partial(_blamed, deployment)
        try:
            if response.status != 200:
                raise await self._failure(response, deployment)
            # The worker sends nothing while its upstream is silent, so its bytes count.
            speech = _speech(deployment, order, response)
            return await open_answer(response, order, deployment.provider, comments_count=True, speech=speech)
        except BaseException:
            response.close()
            raise

    async def _send(self, deployment: Deployment, order: UpstreamCall) -> Response:
        if deployment.worker in self._pulse.hung:
            raise hung_worker(deployment.provider, sent=False)
        left = order.deadline - asyncio.get_running_loop().time()
        head = f"Content-Type: {order.content_type}\r\n{ORDER_HEADER}: {order_to_wire(deployment, order, left)}\r\n"
        try:
            return await self._client.send(
                self._pulse.origin(deployment.worker),
                b"POST",
                ATTEMPT_PATH.encode(),
                (head + self._secret_line).encode("latin-1"),
                order.body if goes_native(deployment, order) else order.canonical_body(),
                self._timeouts(order),
                deadline=order.deadline + self._slack,
            )
        except WorkerLost as failure:
            raise hung_worker(deployment.provider) from failure
        except UpstreamUnavailable as failure:
            raise _lost(deployment, failure) from failure

    def _timeouts(self, order: UpstreamCall) -> Timeouts:
        if not order.streamed:
            return self._whole
        return self._reasoning if asks_for_reasoning(order) else self._streamed

    async def _failure(self, response: Response, deployment: Deployment) -> OrcestatorError:
        body = await response.read_all()
        detail = error_detail(body)
        if isinstance(detail.get(FACTS), dict):
            return quota_refusal_from_wire(detail[FACTS]) or failure_from_wire(detail)
        if detail.get("type") == Overloaded.type:
            # The worker's own bulkhead is full: no failure of the upstream's health, as it is none in one process.
            return _overloaded(detail, response)
        return error_from_reply(f"the worker of {deployment.provider}", response.status, lambda _name: None, body, 0.0)


def _speech(deployment: Deployment, order: UpstreamCall, response: Response) -> UpstreamRequest:
    """How the worker's answer is read: in the caller's own dialect as it is, or else in OpenAI's."""
    told = response.headers.get(DROPPED_HEADER.encode()) or b""
    dropped = tuple(name for name in told.decode("latin-1").split(",") if name)
    if goes_native(deployment, order):
        return UpstreamRequest(dialect=UPSTREAM_DIALECTS[order.dialect], relays=True, dropped=dropped)
    return UpstreamRequest(dropped=dropped)


def _timeouts(waiting: ProviderTimeouts, first_content: float, slack: float) -> Timeouts:
    """The worker answers a stream at its upstream's first content, after it has connected, and shows life whenever more came.

    A whole reply it sends when it has all of it, and where an upstream's comments count as life, it is silent while only these come:
    either may take the whole time. Whether it runs at all is not judged by these.
    """
    idle = waiting.total if waiting.comments_count else waiting.idle
    first_content = waiting.total if waiting.comments_count else first_content + max(waiting.connect, waiting.tls)
    return Timeouts(
        connect=waiting.connect,
        tls=waiting.tls,
        first_byte=min(waiting.total, first_content) + slack,
        idle=idle + slack,
        total=waiting.total + slack,
    )


def _blamed(deployment: Deployment, failure: UpstreamError) -> UpstreamError:
    """An answer that is cut, also after its first content, is the worker's fault: what its upstream does it tells in words."""
    return _lost(deployment, failure) if failure.cause in _CUTS else failure


def _lost(deployment: Deployment, failure: UpstreamError) -> WorkerLost:
    if failure.cause == HUNG:
        return hung_worker(deployment.provider)
    return WorkerLost(
        f"The worker of {deployment.provider} is gone.",
        cause=failure.cause,
        retry_after=RESTART_SECONDS,
        sent=failure.sent,
    )


def _overloaded(detail: Mapping[str, Any], response: Response) -> Overloaded:
    headers = {name: value.decode("latin-1") for name in _ADVICE if (value := response.headers.get(name.encode()))}
    return Overloaded(str(detail.get("message")), code=str(detail.get("code")), headers=headers)
