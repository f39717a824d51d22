"""One caller's model request from its headers to its one terminal outcome.

It reads, plans, runs the attempt loop, sends, and tells what happened; each step is a part handed in. Nothing that
was accepted ends without an event: not on a caller that leaves, not on a shutdown, not on a bug.
"""

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from typing import Any

from orcestator.dialects.canonical import WriteTerms
from orcestator.dialects.sse import KEEP_ALIVE
from orcestator.errors import OrcestatorError, ShuttingDown, StreamInterrupted
from orcestator.gateway.answer_headers import fact_headers, router_facts, router_frame
from orcestator.gateway.call_rules import check_call
from orcestator.gateway.continuing import CONTINUE_HEADER, MOST_TEXT, Continuing
from orcestator.gateway.cors import readable_by
from orcestator.gateway.error_reply import advice, failure_frames, outcome_of, send_failure, suit
from orcestator.gateway.gateway import Gateway, Route
from orcestator.gateway.keepalive import KeepAlive
from orcestator.gateway.request_reader import RequestReader
from orcestator.json_text import dumps
from orcestator.prices import cost, dollars
from orcestator.routing.attempts.attempt import records_of
from orcestator.routing.attempts.loop import Tally
from orcestator.routing.events import Outcome, RequestEnded, cost_of_serving
from orcestator.routing.offer import Deployment
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.plan import Plan
from orcestator.routing.reading.preferences import flag_in
from orcestator.server.asgi import Receive, Scope, Send, header_map, send_bytes
from orcestator.server.json_body import LARGE_BYTES, CallerLeft, parse_object, read_body
from orcestator.server.large_json import Span, parse_large_object
from orcestator.server.request_id import request_id_of
from orcestator.upstream.call import BYTES_PER_TOKEN, Answer, FlowingAnswer, UpstreamCall, WholeAnswer
from orcestator.upstream.ids import new_id
from orcestator.usage import NOTHING, Usage

Json = dict[str, Any]
logger = logging.getLogger(__name__)
CALLER_LEFT_STATUS = 499
_new = tuple.__new__
EVENT_ENDPOINTS = frozenset({"chat", "completions"})
"""Endpoints whose streams are chat events, so that a comment may be sent before the upstream has answered."""
ROUTER_HEADER = b"x-orcestator-router"
_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
_NO_CACHE = (b"cache-control", b"no-cache")
_NO_BUFFER = (b"x-accel-buffering", b"no")
"""A reverse proxy has to hand events on as they come (https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering,
checked 2026-11)."""
_NO_SNIFF = (b"x-content-type-options", b"nosniff")
"""What models say, callers may have put into their mouths: no browser may take it for a page."""


class Exchange:
    """The state of one request. Use ``serve``."""

    __slots__ = (
        "_answer",
        "_continuing",
        "_error",
        "_first_content",
        "_gateway",
        "_headers",
        "_held",
        "_intake",
        "_interrupted",
        "_keepalive",
        "_left",
        "_may_continue",
        "_now",
        "_order",
        "_outcome",
        "_parsed",
        "_plan",
        "_planned",
        "_relay",
        "_route",
        "_send",
        "_status",
        "_tally",
        "_task",
        "_wants_router",
    )  # fmt: skip

    def __init__(self, gateway: Gateway, route: Route, send: Send, from_path: Json | None = None) -> None:
        """``from_path`` has the fields of the body that this dialect puts into the path (``model``, ``stream``)."""
        self._gateway = gateway
        self._route = route
        self._send = send
        self._now = gateway.attempts.now
        self._intake = RequestReader(gateway, route, from_path)
        self._wants_router = gateway.policy.expose_router
        self._may_continue = gateway.policy.continues
        self._parsed = self._planned = self._intake.started
        self._first_content = -1.0
        self._relay = 0.0
        self._status = self._held = 0
        self._outcome: Outcome = "ok"
        self._left = self._interrupted = False
        self._tally = Tally()
        self._order: UpstreamCall | None = None
        self._plan: Plan | None = None
        self._answer: Answer | None = None
        self._error: OrcestatorError | None = None
        self._keepalive: KeepAlive | None = None
        self._continuing: Continuing | None = None
        self._task: asyncio.Task[Any] | None = None
        self._headers: Mapping[bytes, bytes] = {}

    async def serve(self, scope: Scope, receive: Receive) -> None:
        """Serve the request to its end. Raises nothing: the outcome is in the event."""
        headers = self._headers = header_map(scope["headers"])
        if b"origin" in headers:
            self._send = readable_by(headers[b"origin"], self._gateway.admission, self._send)
        self._intake.request_id = request_id_of(headers)
        self._task = asyncio.current_task()
        scope["orcestator.on_disconnect"] = self._caller_left
        drain = self._gateway.drain
        drain.active.add(self)
        try:
            await self._run(scope, receive, headers)
        except asyncio.CancelledError:
            await self._cancelled()
        except CallerLeft:
            self._left = True
            self._note_left()
        except OrcestatorError as error:
            await self._fail(error)
        except Exception as error:
            logger.exception("a bug ended a request", extra={"request_id": self._intake.request_id})
            await self._fail(OrcestatorError(f"orcestator failed inside ({type(error).__name__}); the log has more."))
        finally:
            scope.pop(
                "orcestator.on_disconnect", None
            )  # the connection keeps its scope, and this exchange the connection
            self._close()
            drain.active.discard(self)
            if drain.is_draining:
                drain.note_end()
            self._tell()

    def interrupt(self) -> None:
        """The server is going away: end now, and say so to the caller."""
        self._interrupted = True
        if self._task is not None:
            self._task.cancel()

    def _caller_left(self) -> None:
        self._left = True
        if self._task is not None:
            self._task.cancel()

    async def _run(self, scope: Scope, receive: Receive, headers: Mapping[bytes, bytes]) -> None:
        gateway, intake = self._gateway, self._intake
        self._admit(scope, headers)
        body = await read_body(receive, gateway.policy.max_body_bytes, self._hold)
        order = self._order = (
            intake.uploaded(body, headers) if intake.is_form(headers) else await self._read(body, headers)
        )
        if order is None:
            return
        self._parsed = self._planned = self._now()
        plan = self._plan = intake.planned(order.call, len(body), headers, self._parsed)
        self._planned = self._now()
        order.is_last_resort = len(plan.scored) == 1 and not plan.reserve
        if intake.streamed:
            self._expect_stream(order)
        tally = self._tally
        answer = self._answer = await gateway.attempts.run(
            intake.request_id, plan, self._carried, tally, order.deadline
        )
        if plan.ask.conversation and tally.served is not None:
            gateway.planner.served(plan, tally.served, self._now())
        if isinstance(answer, WholeAnswer):
            await self._send_whole(answer)
        else:
            await self._send_flowing(answer)

    async def _read(self, body: bytes, headers: Mapping[bytes, bytes]) -> UpstreamCall | None:
        """What a JSON body asks for; None when it asked nothing of a model and has its answer. Raises ClientError."""
        intake, depth = self._intake, self._gateway.policy.max_json_depth
        span: Span | None = None
        if len(body) > LARGE_BYTES:
            own, span = await parse_large_object(body, max_depth=depth)
        else:
            own = parse_object(body, max_depth=depth)
        asked = own
        if self._route.at_once is not None and await self._sent_at_once(own):
            return None
        if intake.take_preferences(own, headers):
            body, span = dumps(own), None
        if self._route.keeps:
            own, body, span = await self._continued(own, body, span)
        order = intake.ordered(own, body, headers, asked)
        if order.body is body:
            order.model_span = span
        return order

    def _admit(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        """Let the caller in, and read what its headers ask of the exchange itself. Raises ClientError and ShuttingDown."""
        gateway = self._gateway
        if gateway.drain.is_draining:
            raise ShuttingDown("The server is shutting down. Try again in a few seconds.", headers={"retry-after": "5"})
        self._intake.caller = gateway.admission.admit(scope, headers)
        if ROUTER_HEADER in headers:
            self._wants_router = flag_in(headers, ROUTER_HEADER)
        if CONTINUE_HEADER in headers:
            self._may_continue = flag_in(headers, CONTINUE_HEADER)

    def _hold(self, size: int) -> None:
        """A large body has so many bytes by now. Raises QuotaExceeded and Overloaded."""
        self._gateway.bodies.take(self._intake.caller, size - self._held)
        self._held = size

    def _expect_stream(self, order: UpstreamCall) -> None:
        """Be ready for a stream that breaks, and for one on which nothing comes."""
        route, interval = self._route, self._gateway.policy.keepalive_interval
        if self._may_continue and route.caller is None and route.endpoint == "chat":
            self._continuing = Continuing()
            order.text_cap = MOST_TEXT
        if interval > 0 and self._keep_alive:
            self._keepalive = KeepAlive(interval, self._beat)

    def _carried(self, candidate: Candidate) -> Awaitable[Answer]:
        """One attempt. Of several names, the answer shows the one that led to its model."""
        order = self._order
        assert order is not None, "there is an order before there is a plan"
        if len(self._intake.names) > 1:
            order = replace(order, shown_model=candidate.name)
        if self._plan is not None and self._plan.reserve:
            order = replace(order, is_last_resort=self._plan.is_last_resort(candidate))
        return self._gateway.carry(candidate.deployment, order)

    @property
    def _keep_alive(self) -> bytes:
        """What may be sent while nothing comes; b"" where the format has no such thing."""
        if self._route.caller is not None:
            return self._route.caller.keep_alive
        return KEEP_ALIVE if self._route.endpoint in EVENT_ENDPOINTS else b""

    async def _sent_at_once(self, own: Json) -> bool:
        """Whether the request asked nothing of a model, and has its answer."""
        model, intake, at_once = own.get("model"), self._intake, self._route.at_once
        made = None if at_once is None else at_once(own, WriteTerms(str(model), int(intake.arrived_at), new_id))
        if made is None:
            return False
        check_call("", {"model": model}, self._gateway.policy.limits)
        intake.model = str(model or self._gateway.catalog().unnamed)
        self._gateway.catalog().tiers((intake.model,), self._route.endpoint)
        await self._send_whole(WholeAnswer(dumps(made), "application/json"))
        return True

    async def _continued(self, own: Json, body: bytes, span: Span | None) -> tuple[Json, bytes, Span | None]:
        """The caller's body with the turns it refers to, its bytes, and where its model's name stands in them."""
        continued = await self._gateway.conversations.continued(self._intake.caller, own)
        return (own, body, span) if continued is own else (continued, dumps(continued), None)

    def _kept(self, answer: Answer) -> bool:
        """Whether nothing is left to keep of the answer. Called before its end is sent: the next turn may come at once."""
        order = self._order
        if not self._route.keeps or order is None:
            return True
        native = answer.native
        if native is not None:
            self._gateway.conversations.keep(self._intake.caller, order.asked or {}, order.own or {}, native)
        return native is not None

    async def _send_whole(self, answer: WholeAnswer) -> None:
        self._kept(answer)
        finished = self._now()
        self._first_content = finished - self._intake.started
        self._status = 200
        body, route = answer.body, self._route
        if (self._wants_router or route.tells_cost) and answer.wire is not None and route.caller is None:
            body = self._with_facts(answer.wire, answer)
        if self._keepalive is not None:
            await self._stop_keepalive()
        headers = [(b"content-type", answer.content_type.encode("latin-1")), self._id_header()]
        headers += fact_headers(self._tally, answer)
        await send_bytes(self._send, 200, headers, body)
        self._relay = self._now() - finished

    def _with_facts(self, wire: Json, answer: WholeAnswer) -> bytes:
        more: Json = {}
        if self._route.tells_cost:
            served = self._served
            more["cost"] = self._cost(answer)
            more["provider"] = served.provider if served else None
            more["response_time_ms"] = round(self._first_content * 1000)
        if self._wants_router:
            more["_router"] = router_facts(self._tally)
        return dumps({**wire, "model": self._shown_model, **more})

    @property
    def _shown_model(self) -> str:
        """The model's name in the answer: as the caller gave it, and of several names the one that led to the answer."""
        served, intake = self._tally.served, self._intake
        return intake.model if served is None or len(intake.names) == 1 else served.name

    @property
    def _served(self) -> Deployment | None:
        return self._tally.served.deployment if self._tally.served else None

    def _cost(self, answer: WholeAnswer) -> float | None:
        """US dollars by the price list; None where the model's price is not known."""
        served = self._tally.served
        return dollars(cost(served.traits.prices, answer.usage)) if served else None

    async def _send_flowing(self, answer: FlowingAnswer) -> None:
        """Relay to the end. After the first content a failure is told inside the stream."""
        send, keepalive = self._send, self._keepalive
        self._first_content = self._now() - self._intake.started
        if keepalive is not None:
            await keepalive.settle()
        await self._start_stream(answer.content_type)
        if self._wants_router and self._route.caller is None:
            frame = router_frame(self._tally, self._shown_model, int(self._intake.arrived_at))
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        while True:
            try:
                await self._relay_frames(answer)
                break
            except StreamInterrupted as failure:
                answer = await self._gone_on(answer, failure)
        if keepalive is not None:
            await self._stop_keepalive()
        await send({"type": "http.response.body", "body": b""})

    async def _relay_frames(self, answer: FlowingAnswer) -> None:
        """Everything up to the answer's end. Raises StreamInterrupted."""
        send, keepalive, continuing = self._send, self._keepalive, self._continuing
        is_kept = not self._route.keeps
        while frames := await answer.next():
            if not is_kept:
                is_kept = self._kept(answer)
            await send({"type": "http.response.body", "body": frames, "more_body": True})
            if continuing is not None and not continuing.head:
                continuing.see(frames)
            if keepalive is not None:
                keepalive.touched()

    async def _gone_on(self, answer: FlowingAnswer, failure: StreamInterrupted) -> FlowingAnswer:
        """Another candidate's continuation of an answer that broke. Raises the failure where there is none."""
        continuing, plan, order, broken = self._continuing, self._plan, self._order, self._tally
        if continuing is None or plan is None or order is None:
            raise failure
        rest, order = continuing.rest(plan, order, answer, broken.served)
        if rest is None:
            raise failure
        self._end(answer, failure)
        self._answer, self._order = None, order
        self._tally = Tally()
        try:
            found = await self._gateway.attempts.run(
                self._intake.request_id,
                rest,
                lambda candidate: self._gateway.carry(candidate.deployment, order),
                self._tally,
                order.deadline,
            )
        except OrcestatorError:
            raise failure from None
        finally:
            self._tally.add(broken)
        self._answer = found
        if isinstance(found, WholeAnswer):
            raise failure
        return found

    async def _start_stream(self, content_type: str) -> None:
        """Send the head, once: at the first content, or earlier when a keep-alive comment needs it."""
        if self._status:
            return
        self._status = 200
        headers = [_NO_CACHE, _NO_BUFFER, self._id_header(), *fact_headers(self._tally, self._answer)]
        if content_type == "text/event-stream":
            headers.append(_EVENTS)
        else:
            headers += (b"content-type", content_type.encode("latin-1")), _NO_SNIFF
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def _beat(self) -> None:
        """A comment while nothing comes, so that neither the caller nor a proxy between us gives up."""
        caller = self._route.caller
        await self._start_stream("text/event-stream" if caller is None else caller.stream_type)
        await self._send({"type": "http.response.body", "body": self._keep_alive, "more_body": True})

    async def _stop_keepalive(self) -> None:
        if self._keepalive is not None:
            await self._keepalive.stop()
            self._keepalive = None

    async def _fail(self, error: OrcestatorError) -> None:
        """Tell the caller: by status while none was sent, inside the stream afterwards."""
        self._error = error.kept()
        self._outcome = outcome_of(error)
        suit(error, self._gateway.policy.key_refused_status, self._headers)
        try:
            await self._stop_keepalive()
            if not self._status:
                self._status = error.http_status
                told = fact_headers(self._tally, self._answer) + advice(error)
                await send_failure(self._send, error, self._intake.request_id, told, self._route.caller)
            else:
                await self._fail_in_stream(error)
        except asyncio.CancelledError:
            self._note_left()

    async def _fail_in_stream(self, error: OrcestatorError) -> None:
        answer = self._answer
        if answer is not None and not isinstance(answer, WholeAnswer):
            frames = answer.failure_frames(error)
        elif self._order is not None and (writer := self._order.writer()) is not None:
            frames = writer.failure(error)
        else:
            frames = failure_frames(error, self._intake.model, int(self._intake.arrived_at))
        if not frames:
            # Leaving the body open makes the server cut the connection: nobody takes that for an end.
            return
        await self._send({"type": "http.response.body", "body": frames, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})

    async def _cancelled(self) -> None:
        if self._interrupted and not self._left:
            await self._fail(ShuttingDown("The server is shutting down.", headers={"retry-after": "5"}))
        else:
            self._note_left()

    def _note_left(self) -> None:
        self._outcome = "cancelled"
        self._status = self._status or CALLER_LEFT_STATUS

    def _close(self) -> None:
        if self._keepalive is not None:
            self._keepalive.cancel()
            self._keepalive = None
        if self._held:
            self._gateway.bodies.give_back(self._intake.caller, self._held)
            self._held = 0
        if self._error is not None:
            self._error.__traceback__ = (
                None  # its frames hold the body, and we hold the error: a cycle that nobody collects
            )
        answer = self._answer
        if answer is None:
            return
        self._end(answer, self._error)

    def _end(self, answer: Answer, failure: OrcestatorError | None) -> None:
        """The loop's answer came to its end, or broke."""
        attempts = self._gateway.attempts
        if isinstance(answer, WholeAnswer):
            attempts.ended(self._tally, usage=answer.usage, seconds=0.0, failure=None)
            return
        answer.close()
        seconds = self._now() - self._intake.started - self._first_content
        attempts.ended(self._tally, usage=answer.usage, seconds=seconds, failure=failure)

    def _id_header(self) -> tuple[bytes, bytes]:
        caller = self._route.caller
        return b"x-request-id" if caller is None else caller.id_header.encode(), self._intake.request_id.encode()

    def _tell(self) -> None:
        """The one event of this request."""
        gateway, route, intake, order = self._gateway, self._route, self._intake, self._order
        answer, error, tally, served = self._answer, self._error, self._tally, self._served
        text, winner = "" if answer is None else answer.text, tally.winner
        usage: Usage = NOTHING
        nano_usd: int | None = 0
        tried = records_of(tally.made, intake.started, 0 if order is None else len(order.body) // BYTES_PER_TOKEN)
        if winner is not None and winner.usage is not None:
            usage, nano_usd = winner.usage, tried[winner.number - 1].nano_usd
        if self._continuing is not None and self._continuing.text:
            text = self._continuing.text + text
            usage = self._continuing.counted(NOTHING if answer is None else usage)
            nano_usd = cost_of_serving(tried)
        # The fields in their order, without a call of the class.
        gateway.emit(_new(RequestEnded, (
            intake.request_id,
            intake.arrived_at,
            route.name,
            intake.streamed,
            self._outcome,
            self._status,
            type(error).__name__ if error else "",
            intake.caller,
            intake.model,
            "attempt" if served else "",
            served.provider if served else "",
            served.model if served else "",
            usage,
            nano_usd,
            self._now() - intake.started,
            self._first_content,
            tally.calls,
            tally.retries,
            tally.fallbacks,
            tally.hedges,
            served is not None and tally.fallback_used,
            self._parsed - intake.started,
            self._planned - self._parsed,
            self._relay,
            tried,
            self._parsed,
            self._plan,
            error.message if error else "",
            intake.user_text,
            text[: gateway.policy.text_chars],
        )))  # fmt: skip
