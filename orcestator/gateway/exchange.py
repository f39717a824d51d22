"""The life of one model request: ``Exchange.serve`` leads it through its stages, each of which is a file of this room.

Nothing that was accepted ends without its record: not on a caller that leaves, not on a shutdown, not on a bug.
"""

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import replace
from functools import partial
from typing import Any

from orcestator.dialects.canonical import WriteTerms
from orcestator.errors import OrcestatorError, ShuttingDown, StreamInterrupted
from orcestator.gateway.call_rules import check_call
from orcestator.gateway.caller import Caller
from orcestator.gateway.continuing import CONTINUE_HEADER, MOST_TEXT, Continuing
from orcestator.gateway.cors import mark_for_page
from orcestator.gateway.error_reply import outcome_of
from orcestator.gateway.gateway import Gateway, Route
from orcestator.gateway.guarding import guarded, guarded_answer
from orcestator.gateway.leases import release
from orcestator.gateway.record import record
from orcestator.gateway.reply import ReplyWriter
from orcestator.gateway.request_reader import is_form, ordered, planned, take_routing, uploaded
from orcestator.gateway.request_state import RequestState
from orcestator.gateway.seams import Answers, Lease, Middleware, PlannedCall
from orcestator.json_text import Json, dumps
from orcestator.routing.attempts.loop import Tally
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.plan import Plan
from orcestator.routing.reading.preferences import flag_in
from orcestator.server.asgi import Receive, Scope, Send, header_map
from orcestator.server.json_body import LARGE_BYTES, CallerLeft, parse_object, read_body
from orcestator.server.large_json import Span, parse_large_object
from orcestator.server.request_cycle import cycle_behind
from orcestator.server.request_id import request_id_of
from orcestator.upstream.call import BYTES_PER_TOKEN, Answer, FlowingAnswer, UpstreamCall, WholeAnswer
from orcestator.upstream.ids import new_id

logger = logging.getLogger(__name__)
CALLER_LEFT_STATUS = 499
ROUTER_HEADER = b"x-orcestator-router"


class Exchange:
    """One request from its headers to its record. Use ``serve``."""

    __slots__ = (
        "_cycle", "_gateway", "_has_left", "_held", "_is_interrupted", "_leases", "_may_continue", "_reply", "_scope", "_state", "_task", "_unused",
    )  # fmt: skip

    def __init__(self, gateway: Gateway, route: Route, scope: Scope, send: Send, from_path: Json | None = None) -> None:
        """``from_path`` has the fields of the body that this dialect puts into the path (``model``, ``stream``)."""
        headers = header_map(scope["headers"])
        if b"origin" in headers:
            mark_for_page(headers[b"origin"], gateway.admission, send)
        cycle = cycle_behind(send)
        self._gateway = gateway
        self._scope = scope
        self._cycle = cycle
        self._state = RequestState(gateway, route, headers, request_id_of(headers), from_path)
        self._reply = ReplyWriter(self._state, cycle)
        self._may_continue = gateway.policy.continues
        self._held = 0
        """Bytes of its body that the budget counts."""
        self._leases: list[Lease] | None = None
        """What limiters and reservers handed out for it."""
        self._unused: Answer | None = None
        """An answer of the attempts in whose place middleware gave another."""
        self._has_left = self._is_interrupted = False
        self._task: asyncio.Task[Any] | None = None

    async def serve(self, receive: Receive) -> None:
        """Authenticate, limit, read, plan, reserve, answer, reply, record. Raises nothing: the outcome is in the record."""
        gateway, state, reply = self._gateway, self._state, self._reply
        self._begin()
        try:
            state.caller = self._authenticated()
            if gateway.limiters:
                self._limit()
            body = await read_body(receive, gateway.policy.max_body_bytes, self._hold)
            order = state.order = uploaded(state, body) if is_form(state) else await self._read(body)
            if order is None:
                return
            if gateway.guardrails:
                order = state.order = await guarded(gateway.guardrails, state, order)
            state.parsed = state.planned = gateway.attempts.now()
            plan = state.plan = planned(state, order.call, len(body), state.parsed)
            state.planned = gateway.attempts.now()
            if gateway.reservers:
                self._reserve(PlannedCall(state.caller, order, plan))
            order.is_last_resort = len(plan.scored) == 1 and not plan.reserve
            if state.streamed:
                self._expect_stream(order)
            answer = state.answer = await (
                self._through_all(PlannedCall(state.caller, order, plan))
                if gateway.middleware
                else self._attempted(order, plan)
            )
            if plan.ask.conversation and state.tally.served is not None:
                gateway.planner.served(plan, state.tally.served, gateway.attempts.now())
            if isinstance(answer, WholeAnswer):
                await reply.whole(guarded_answer(state, answer) if state.guards else answer)
            else:
                await reply.flowing(answer, self._gone_on)
        except (asyncio.CancelledError, Exception) as failure:  # noqa: BLE001 (each has its outcome)
            await self._fail(failure)
        finally:
            try:
                self._close()
            finally:
                self._record()

    def interrupt(self) -> None:
        """The server is going away: end now, and say so to the caller."""
        self._is_interrupted = True
        if self._task is not None:
            self._task.cancel()

    def _caller_left(self) -> None:
        self._has_left = True
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        """From here on the request can be ended from outside, by its caller and by a shutdown."""
        self._task = self._cycle.task
        self._scope["orcestator.on_disconnect"] = self._caller_left
        self._gateway.drain.active.add(self)

    def _authenticated(self) -> Caller:
        """The caller; what its headers ask of the exchange itself is read. Raises ClientError and ShuttingDown."""
        gateway, headers = self._gateway, self._state.headers
        if gateway.drain.is_draining:
            raise ShuttingDown("The server is shutting down. Try again in a few seconds.", headers={"retry-after": "5"})
        caller = gateway.admission.admit(self._scope, headers)
        if ROUTER_HEADER in headers:
            self._reply.wants_router = flag_in(headers, ROUTER_HEADER)
        if CONTINUE_HEADER in headers:
            self._may_continue = flag_in(headers, CONTINUE_HEADER)
        return caller

    def _limit(self) -> None:
        """Ask the limiters. Raises QuotaExceeded."""
        client = self._scope.get("client")
        peer, now = str(client[0]) if client else "", self._gateway.attempts.now()
        for limiter in self._gateway.limiters:
            self._take(limiter.admit(self._state.caller, peer, now))

    def _reserve(self, call: PlannedCall) -> None:
        """Ask the reservers. Raises QuotaExceeded."""
        now = self._gateway.attempts.now()
        for reserver in self._gateway.reservers:
            self._take(reserver.reserve(call, now))

    def _take(self, lease: Lease | None) -> None:
        if lease is not None:
            self._leases = self._leases or []
            self._leases.append(lease)

    def _hold(self, size: int) -> None:
        """A large body has so many bytes by now. Raises QuotaExceeded and Overloaded."""
        self._gateway.bodies.take(self._state.caller.id, size - self._held)
        self._held = size

    async def _read(self, body: bytes) -> UpstreamCall | None:
        """What a JSON body asks for; None when it asked nothing of a model and has its answer. Raises ClientError."""
        state, depth = self._state, self._gateway.policy.max_json_depth
        span: Span | None = None
        if len(body) > LARGE_BYTES:
            own, span = await parse_large_object(body, max_depth=depth)
        else:
            own = parse_object(body, max_depth=depth)
        asked = own
        if state.route.at_once is not None and await self._sent_at_once(own):
            return None
        if take_routing(state, own):
            body, span = dumps(own), None
        if state.route.keeps:
            own, body, span = await self._continued(own, body, span)
        order = ordered(state, own, body, asked)
        if order.body is body:
            order.model_span = span
        return order

    async def _sent_at_once(self, own: Json) -> bool:
        """Whether the request asked nothing of a model, and has its answer."""
        model, state, gateway = own.get("model"), self._state, self._gateway
        at_once = state.route.at_once
        made = None if at_once is None else at_once(own, WriteTerms(str(model), int(state.arrived_at), new_id))
        if made is None:
            return False
        check_call("", {"model": model}, gateway.policy.limits)
        state.model = str(model or gateway.catalog().unnamed)
        gateway.catalog().tiers((state.model,), state.route.endpoint)
        await self._reply.whole(WholeAnswer(dumps(made), "application/json"))
        return True

    async def _continued(self, own: Json, body: bytes, span: Span | None) -> tuple[Json, bytes, Span | None]:
        """The caller's body with the turns it refers to, its bytes, and where its model's name stands in them."""
        continued = await self._gateway.conversations.continued(self._state.caller.id, own)
        return (own, body, span) if continued is own else (continued, dumps(continued), None)

    def _expect_stream(self, order: UpstreamCall) -> None:
        """Be ready for a stream that breaks, and for one on which nothing comes."""
        state = self._state
        if self._may_continue and not state.guards and state.route.caller is None and state.route.endpoint == "chat":
            state.continuing = Continuing()
            order.text_cap = MOST_TEXT
        self._reply.expect_stream()

    async def _through_all(self, call: PlannedCall) -> Answer:
        """What the outermost middleware answers."""
        state = self._state
        answers: Answers = self._tried
        for middleware in reversed(self._gateway.middleware):
            answers = partial(self._through, middleware, answers)
        answer = await answers(call)
        if answer is not state.answer:
            self._unused = state.answer
        return answer

    async def _through(self, middleware: Middleware, proceed: Answers, call: PlannedCall) -> Answer:
        state = self._state
        answer = await middleware.answer(call, proceed)
        if state.tally.served is None:
            state.served_by = state.served_by or middleware.name
        return answer

    async def _tried(self, call: PlannedCall) -> Answer:
        """What the attempts answer, behind all middleware."""
        state = self._state
        if state.answer is not None:
            raise RuntimeError("middleware asked for a second answer")
        state.order, state.plan = call.order, call.plan
        answer = state.answer = await self._attempted(call.order, call.plan)
        return answer

    def _attempted(self, order: UpstreamCall, plan: Plan) -> Awaitable[Answer]:
        """The answer of the attempt loop."""
        state = self._state
        return self._gateway.attempts.run(
            state.request_id, plan, self._attempt, state.tally, order.deadline, len(order.body) // BYTES_PER_TOKEN
        )

    def _attempt(self, candidate: Candidate, taken_at: float) -> Awaitable[Answer]:
        """One attempt. Of several names, the answer shows the one that led to its model."""
        state = self._state
        order = state.order
        assert order is not None, "there is an order before there is a plan"
        if len(state.names) > 1:
            order = replace(order, shown_model=candidate.name)
        if state.plan is not None and state.plan.reserve:
            order = replace(order, is_last_resort=state.plan.is_last_resort(candidate))
        return self._gateway.carry(candidate.deployment, order, taken_at)

    async def _gone_on(self, answer: FlowingAnswer, failure: StreamInterrupted) -> FlowingAnswer:
        """Another candidate's continuation of an answer that broke. Raises the failure where there is none."""
        state, gateway = self._state, self._gateway
        continuing, plan, order, broken = state.continuing, state.plan, state.order, state.tally
        if continuing is None or plan is None or order is None:
            raise failure
        rest, order = continuing.rest(plan, order, answer, broken.served)
        if rest is None:
            raise failure
        self._end(answer, failure)
        state.answer, state.order = None, order
        state.tally = Tally()
        try:
            found = await gateway.attempts.run(
                state.request_id,
                rest,
                lambda candidate, taken_at: gateway.carry(candidate.deployment, order, taken_at),
                state.tally,
                order.deadline,
                order.tokens,
            )
        except OrcestatorError:
            raise failure from None
        finally:
            state.tally.add(broken)
        state.answer = found
        if isinstance(found, WholeAnswer):
            raise failure
        return found

    async def _fail(self, failure: BaseException) -> None:
        """Give the request the outcome that its failure means, and tell its caller."""
        if isinstance(failure, CallerLeft) or (isinstance(failure, asyncio.CancelledError) and not self._is_cut_off):
            self._note_left()
            return
        if isinstance(failure, asyncio.CancelledError):
            error: OrcestatorError = ShuttingDown("The server is shutting down.", headers={"retry-after": "5"})
        elif isinstance(failure, OrcestatorError):
            error = failure
        else:
            logger.error("a bug ended a request", exc_info=failure, extra={"request_id": self._state.request_id})
            error = OrcestatorError(f"orcestator failed inside ({type(failure).__name__}); the log has more.")
        self._state.error = error.kept()
        self._state.outcome = outcome_of(error)
        try:
            await self._reply.fail(error)
        except asyncio.CancelledError:
            self._note_left()

    @property
    def _is_cut_off(self) -> bool:
        """Whether a shutdown ended the request while its caller was still there."""
        return self._is_interrupted and not self._has_left

    def _note_left(self) -> None:
        self._state.outcome = "cancelled"
        self._state.status = self._state.status or CALLER_LEFT_STATUS

    def _close(self) -> None:
        """Give everything back, whatever happened."""
        gateway, state = self._gateway, self._state
        # The connection keeps its scope, and this exchange the connection.
        self._scope.pop("orcestator.on_disconnect", None)
        self._reply.close()
        if self._held:
            gateway.bodies.give_back(state.caller.id, self._held)
            self._held = 0
        if state.error is not None:
            # Its frames hold the body, and we hold the error: a cycle that nobody collects.
            state.error.__traceback__ = None
        if state.answer is not None:
            self._end(state.answer, state.error)
        if self._unused is not None and not isinstance(self._unused, WholeAnswer):
            self._unused.close()
        gateway.drain.active.discard(self)
        if gateway.drain.is_draining:
            gateway.drain.note_end()

    def _record(self) -> None:
        """Tell the request's end, and release its leases with what it came to."""
        ended = None
        try:
            ended = record(self._state)
        finally:
            if self._leases is not None:
                release(self._leases, ended, self._state.request_id)

    def _end(self, answer: Answer, failure: OrcestatorError | None) -> None:
        """The answer came to its end, or broke. The loop hears of it where it is the loop's."""
        state, attempts = self._state, self._gateway.attempts
        if not isinstance(answer, WholeAnswer):
            answer.close()
        if state.tally.served is None:
            return
        if isinstance(answer, WholeAnswer):
            attempts.ended(state.tally, usage=answer.usage, seconds=0.0, failure=None)
            return
        seconds = attempts.now() - state.started - state.first_content
        attempts.ended(state.tally, usage=answer.usage, seconds=seconds, failure=failure)
