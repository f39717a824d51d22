"""Attempts carried to one of our own workers over HTTP. The worker holds the key; we hold the caller."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from orcestator.bridge.protocol import ATTEMPT_PATH, DROPPED_HEADER, ORDER_HEADER, goes_native, order_to_wire
from orcestator.bridge.registration_policy import SECRET_HEADER
from orcestator.bridge.worker_pulse import HUNG, RESTART_SECONDS, WorkerPulse, hung_worker
from orcestator.dialects.failures import FACTS, error_detail, error_from_reply, failure_from_wire
from orcestator.errors import OrcestatorError, Overloaded, UpstreamError, UpstreamUnavailable, WorkerLost
from orcestator.providers.secret import Secret
from orcestator.routing.offer import Candidate
from orcestator.upstream.answers import StreamAnswer
from orcestator.upstream.client import Response, UpstreamClient
from orcestator.upstream.dialect_table import UPSTREAM_DIALECTS
from orcestator.upstream.opening import open_answer
from orcestator.upstream.order import Answer, Order
from orcestator.upstream.provider_link import Waiting, asks_for_reasoning
from orcestator.upstream.speech import Speech
from orcestator.upstream.timeouts import Timeouts

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
        waiting: Waiting,
        pulse: WorkerPulse | None = None,
        slack_seconds: float = SLACK_SECONDS,
    ) -> None:
        self._client = client
        self._pulse = pulse or WorkerPulse(client)
        self._secret_line = f"{SECRET_HEADER}: {secret.reveal()}\r\n" if secret else ""
        self._slack = slack_seconds
        self._whole = _timeouts(waiting, waiting.total, slack_seconds)
        self._streamed = _timeouts(waiting, waiting.first_token, slack_seconds)
        self._reasoning = _timeouts(waiting, waiting.first_token_reasoning, slack_seconds)

    async def attempt(self, candidate: Candidate, order: Order) -> Answer:
        """One attempt at the worker's deployment. Raises UpstreamError and Overloaded."""
        response = await self._send(candidate, order)
        try:
            if response.status != 200:
                raise await self._failure(response, candidate)
            # The worker sends nothing while its upstream is silent, so its bytes count.
            speech = _speech(candidate, order, response)
            answer = await open_answer(response, order, candidate.provider, comments_count=True, speech=speech)
            if isinstance(answer, StreamAnswer):
                answer.cut_as = partial(_cut, candidate)
            return answer
        except UpstreamError as failure:
            response.close()
            if response.failure is not None and failure.cause in _CUTS:
                raise _lost(candidate, failure) from failure
            raise
        except BaseException:
            response.close()
            raise

    async def _send(self, candidate: Candidate, order: Order) -> Response:
        if candidate.worker in self._pulse.hung:
            raise hung_worker(candidate.provider, sent=False)
        left = order.deadline - asyncio.get_running_loop().time()
        head = f"Content-Type: {order.content_type}\r\n{ORDER_HEADER}: {order_to_wire(candidate, order, left)}\r\n"
        try:
            return await self._client.send(
                self._pulse.origin(candidate.worker),
                b"POST",
                ATTEMPT_PATH.encode(),
                (head + self._secret_line).encode("latin-1"),
                order.body if goes_native(candidate, order) else order.canonical_body(),
                self._timeouts(order),
                deadline=order.deadline + self._slack,
            )
        except WorkerLost as failure:
            raise hung_worker(candidate.provider) from failure
        except UpstreamUnavailable as failure:
            raise _lost(candidate, failure) from failure

    def _timeouts(self, order: Order) -> Timeouts:
        if not order.streamed:
            return self._whole
        return self._reasoning if asks_for_reasoning(order) else self._streamed

    async def _failure(self, response: Response, candidate: Candidate) -> OrcestatorError:
        body = await response.read_all()
        detail = error_detail(body)
        if isinstance(detail.get(FACTS), dict):
            return failure_from_wire(detail)
        if detail.get("type") == Overloaded.type:
            # The worker's own bulkhead is full: no failure of the upstream's health, as it is none in one process.
            return _overloaded(detail, response)
        return error_from_reply(f"the worker of {candidate.provider}", response.status, lambda _name: None, body, 0.0)


def _speech(candidate: Candidate, order: Order, response: Response) -> Speech:
    """How the worker's answer is read: in the caller's own dialect as it is, or else in OpenAI's."""
    told = response.headers.get(DROPPED_HEADER.encode()) or b""
    dropped = tuple(name for name in told.decode("latin-1").split(",") if name)
    if goes_native(candidate, order):
        return Speech(dialect=UPSTREAM_DIALECTS[order.dialect], relays=True, dropped=dropped)
    return Speech(dropped=dropped)


def _timeouts(waiting: Waiting, first_content: float, slack: float) -> Timeouts:
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


def _cut(candidate: Candidate, failure: UpstreamError) -> UpstreamError:
    """A stream that ends with the connection to its worker: a worker that runs tells what broke it."""
    return _lost(candidate, failure) if failure.cause in _CUTS else failure


def _lost(candidate: Candidate, failure: UpstreamError) -> WorkerLost:
    if failure.cause == HUNG:
        return hung_worker(candidate.provider)
    return WorkerLost(
        f"The worker of {candidate.provider} is gone.",
        cause=failure.cause,
        retry_after=RESTART_SECONDS,
        sent=failure.sent,
    )


def _overloaded(detail: Mapping[str, Any], response: Response) -> Overloaded:
    headers = {name: value.decode("latin-1") for name in _ADVICE if (value := response.headers.get(name.encode()))}
    return Overloaded(str(detail.get("message")), code=str(detail.get("code")), headers=headers)
