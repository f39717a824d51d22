"""A proxy worker's HTTP surface: attempts for our API server, and the stock routes for anybody else's.

The stock side runs the same attempt loop over this worker's own deployments, so that attempts never multiply.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from orcestator.bridge.carrier import LocalCarrier
from orcestator.bridge.protocol import (
    ATTEMPT_PATH,
    DROPPED_HEADER,
    LIMITS_PATH,
    ORDER_HEADER,
    RESET_PATH,
    order_from_wire,
    quota_refusal_to_wire,
)
from orcestator.bridge.registration_policy import SECRET_HEADER
from orcestator.dialects.failures import failure_to_wire
from orcestator.errors import (
    Forbidden,
    MethodNotAllowed,
    OrcestatorError,
    QuotaUsedUp,
    RouteNotFound,
    StreamInterrupted,
    Unauthorized,
    UpstreamError,
)
from orcestator.json_text import Json, dumps
from orcestator.providers.secret import Secret
from orcestator.routing.state.quota import QuotaBook
from orcestator.server.asgi import Receive, Scope, Send, header_map, send_bytes, send_error, send_json
from orcestator.server.failed_logins import FailedLogins
from orcestator.server.in_flight import InFlight
from orcestator.server.json_body import LARGE_BYTES, CallerLeft, parse_object, read_body
from orcestator.server.large_json import parse_large_object
from orcestator.server.local_names import LOCAL_NAMES, host_name, is_loopback, is_of_a_page
from orcestator.server.request_cycle import cycle_of
from orcestator.server.request_id import request_id_of
from orcestator.upstream.answer_reader import EVENTS, LINES
from orcestator.upstream.call import Answer, FlowingAnswer, WholeAnswer

logger = logging.getLogger(__name__)
StockRoute = Callable[[Json, Send], Awaitable[None]]


class WorkerApp:
    """``stock_routes`` maps the stock worker paths to their handlers; ``secret`` is asked of everybody when set. ``in_flight`` counts
    what runs. ``limits`` gives what the quota ledger knows; ``reset`` forgets what is held against a (provider, model), "" for all. ``quota`` is that ledger, which is asked
    before each attempt: an API server's loop cannot."""

    def __init__(
        self,
        carrier: LocalCarrier,
        stock_routes: Mapping[str, StockRoute],
        secret: Secret | None,
        max_body_bytes: int,
        in_flight: InFlight,
        *,
        limits: Callable[[], list[Json]],
        reset: Callable[[str, str], None],
        quota: QuotaBook,
        on_loopback: bool = False,
    ) -> None:
        """``on_loopback``: it listens on this machine alone, where without a secret only names of this machine are answered to."""
        self._limits = limits
        self._reset = reset
        self._quota = quota
        self._carrier = carrier
        self._stock_routes = dict(stock_routes)
        self._secret = secret.reveal().encode() if secret else b""
        self._max_body_bytes = max_body_bytes
        self._wants_local_name = on_loopback and not secret
        self._refusals = FailedLogins()
        self._in_flight = in_flight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; the caller leaving cancels what runs for it."""
        task = asyncio.current_task()
        if task is not None:
            scope["orcestator.on_disconnect"] = task.cancel
        headers = header_map(scope["headers"])
        self._in_flight.enter()
        try:
            await self._serve(scope, headers, receive, send)
        except (asyncio.CancelledError, CallerLeft):
            return
        except OrcestatorError as error:
            await send_error(send, error, request_id_of(headers))
        finally:
            self._in_flight.leave()

    async def _serve(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, send: Send) -> None:
        path = scope["path"]
        self._refuse_browsers(scope, headers)
        if path == "/health" and scope["method"] in ("GET", "HEAD"):
            await send_json(send, 200, {"status": "healthy", "in_flight": self._in_flight.count - 1})
            return
        if path == LIMITS_PATH and scope["method"] == "GET":
            self._admit(scope, headers)
            await send_json(send, 200, {"limits": self._limits()})
            return
        if path not in (ATTEMPT_PATH, RESET_PATH) and path not in self._stock_routes:
            raise RouteNotFound(f"There is nothing at {path[:200]} on a worker.")
        if scope["method"] != "POST":
            raise MethodNotAllowed(f"{path} takes POST.", headers={"allow": "POST"})
        self._admit(scope, headers)
        body = await read_body(receive, self._max_body_bytes)
        if path == ATTEMPT_PATH:
            await self._attempt(headers, body, send)
        elif path == RESET_PATH:
            wanted = parse_object(body)
            self._reset(str(wanted.get("provider", "")), str(wanted.get("model", "")))
            await send_json(send, 200, {"success": True})
        else:
            await self._stock_routes[path](parse_object(body) if body.strip() else {}, send)

    def _refuse_browsers(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        """A web page must not spend a key through the browser of somebody on this machine, nor by rebinding a name to it."""
        if is_of_a_page(headers):
            self._refusals.note("worker", "foreign", scope)
            raise Forbidden("A worker does not talk to web pages.")
        if self._wants_local_name:
            host = host_name("//" + headers.get(b"host", b"localhost").decode("latin-1"))
            if host not in LOCAL_NAMES and not is_loopback(host):
                self._refusals.note("worker", "foreign", scope)
                raise Forbidden("This worker is on loopback only; use http://localhost as its address.")

    def _admit(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        presented = headers.get(SECRET_HEADER.encode(), b"")
        if self._secret and not hmac.compare_digest(presented, self._secret):
            self._refusals.note("worker", "wrong_key" if presented else "no_key", scope)
            raise Unauthorized("This worker serves only its cluster: OR_WORKER_SECRET is set and was not presented.")

    async def _attempt(self, headers: Mapping[bytes, bytes], body: bytes, send: Send) -> None:
        content_type = headers.get(b"content-type", b"application/json").decode("latin-1")
        call, span = None, None
        is_form = content_type[:10].lower() == "multipart/"
        if len(body) > LARGE_BYTES and not is_form:
            call, span = await parse_large_object(body)
        elif not is_form:
            call = parse_object(body)
        text = headers.get(ORDER_HEADER.encode(), b"").decode("latin-1")
        now = asyncio.get_running_loop().time()
        deployment, order = order_from_wire(text, body, call, content_type, now)
        order.model_span = span
        try:
            taken_at = time.monotonic()
            self._quota.admit(deployment, order.tokens, taken_at, is_last_resort=order.is_last_resort)
            answer = await self._carrier.attempt(deployment, order, taken_at)
        except QuotaUsedUp as refused:
            await send_json(send, refused.http_status, {"error": quota_refusal_to_wire(refused)})
            return
        except UpstreamError as error:
            await send_json(send, error.http_status, {"error": failure_to_wire(error)})
            return
        await send_answer(answer, send)


async def send_answer(answer: Answer, send: Send) -> None:
    """Relay an answer; a failure after its first content is told with its facts."""
    headers = [(b"content-type", answer.content_type.encode("latin-1"))]
    if answer.dropped:
        headers.append((DROPPED_HEADER.encode(), ",".join(answer.dropped).encode("latin-1", "replace")))
    if isinstance(answer, WholeAnswer):
        await send_bytes(send, 200, headers, answer.body)
        return
    try:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if await _relay(answer, send):
            await send({"type": "http.response.body", "body": b""})
    finally:
        answer.close()


async def _relay(answer: FlowingAnswer, send: Send) -> bool:
    """Everything up to the answer's end; after the first piece it is pushed. False where its failure could not be told."""
    cycle = cycle_of(send)
    try:
        while frames := await answer.next():
            await send({"type": "http.response.body", "body": frames, "more_body": True})
            if cycle is not None and cycle.is_writable:
                pushed = answer.push(cycle.write)
                if pushed is not None:
                    await pushed
    except StreamInterrupted as error:
        told = dumps({"error": failure_to_wire_of(error)})
        if answer.content_type == LINES:
            frame = told + b"\n"
        elif answer.content_type == EVENTS:
            frame = b"data: " + told + b"\n\n"
        else:
            return False
        await send({"type": "http.response.body", "body": frame, "more_body": True})
    return True


def failure_to_wire_of(error: StreamInterrupted) -> Json:
    """The facts of what interrupted a stream."""
    failure = error.failure
    return failure_to_wire(failure) if isinstance(failure, UpstreamError) else error.body()["error"]
