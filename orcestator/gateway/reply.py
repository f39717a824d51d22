"""The stage that answers the caller: whole, as it comes, or with a failure told by status or inside the stream."""

from collections.abc import Awaitable, Callable

from orcestator.errors import OrcestatorError, StreamInterrupted
from orcestator.gateway.answer_headers import fact_headers, router_facts, router_frame
from orcestator.gateway.error_reply import advice, failure_frames, send_failure, suit
from orcestator.gateway.keepalive import KeepAlive
from orcestator.gateway.record import cost_of
from orcestator.gateway.request_state import RequestState
from orcestator.json_text import Json, dumps
from orcestator.server.request_cycle import RequestCycle
from orcestator.upstream.call import Answer, FlowingAnswer, WholeAnswer

GoOn = Callable[[FlowingAnswer, StreamInterrupted], Awaitable[FlowingAnswer]]
"""Gives what follows on an answer that broke, and raises the failure where nothing does."""
_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
_NO_CACHE = (b"cache-control", b"no-cache")
_NO_BUFFER = (b"x-accel-buffering", b"no")
"""A reverse proxy has to hand events on as they come (https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering,
checked 2026-11)."""
_NO_SNIFF = (b"x-content-type-options", b"nosniff")
"""What models say, callers may have put into their mouths: no browser may take it for a page."""


class ReplyWriter:
    """Writes one request's reply. It tells the state what was sent: the status, and when the first content was there."""

    __slots__ = ("_cycle", "_keepalive", "_state", "wants_router")

    def __init__(self, state: RequestState, cycle: RequestCycle) -> None:
        self._state = state
        self._cycle = cycle
        self._keepalive: KeepAlive | None = None
        self.wants_router = state.gateway.policy.expose_router
        """Whether the answer says in ``_router`` who gave it."""

    def expect_stream(self) -> None:
        """A stream is on its way: send a comment whenever nothing comes for a while."""
        interval = self._state.gateway.policy.keepalive_interval
        if interval > 0 and self._state.route.keep_alive:
            self._keepalive = KeepAlive(interval, self._beat, self._cycle)

    async def whole(self, answer: WholeAnswer) -> None:
        """Send a complete reply."""
        state = self._state
        route, now = state.route, state.gateway.attempts.now
        if route.keeps:
            _keep(state, answer)
        finished = now()
        state.first_content = finished - state.started
        state.status = 200
        body = answer.body
        if (self.wants_router or route.tells_cost) and answer.wire is not None and route.caller is None:
            body = self._with_facts(answer.wire, answer)
        if self._keepalive is not None:
            await self._stop_keepalive()
        headers = [
            (b"content-type", answer.content_type.encode("latin-1")),
            (route.id_header, state.request_id.encode()),
        ]
        headers += fact_headers(state.tally, answer)
        if not self._cycle.is_writable:
            await self._cycle.drain()
        self._cycle.send_whole(200, headers, body)
        state.relay = now() - finished

    async def flowing(self, answer: FlowingAnswer, go_on: GoOn) -> None:
        """Relay an answer to its end, and what ``go_on`` gives where it breaks. Raises StreamInterrupted."""
        state, cycle, keepalive = self._state, self._cycle, self._keepalive
        state.first_content = state.gateway.attempts.now() - state.started
        if keepalive is not None:
            await keepalive.settle()
        if not state.status:
            self._start_stream(answer.content_type)
        if self.wants_router and state.route.caller is None:
            frame = router_frame(state.tally, state.shown_model, int(state.arrived_at))
            cycle.write(frame)
        while True:
            try:
                last = await self._relay_frames(answer)
                break
            except StreamInterrupted as failure:
                answer = await go_on(answer, failure)
        if keepalive is not None:
            await self._stop_keepalive()
        cycle.finish(last)

    async def fail(self, error: OrcestatorError) -> None:
        """Tell the caller: by status while none was sent, inside the stream afterwards."""
        state = self._state
        suit(error, state.gateway.policy.key_refused_status, state.headers)
        await self._stop_keepalive()
        if state.status:
            await self._fail_in_stream(error)
            return
        state.status = error.http_status
        told = fact_headers(state.tally, state.answer) + advice(error)
        await send_failure(self._cycle.send, error, state.request_id, told, state.route.caller)

    def close(self) -> None:
        """Send nothing more."""
        if self._keepalive is not None:
            self._keepalive.cancel()
            self._keepalive = None

    async def _relay_frames(self, answer: FlowingAnswer) -> bytes:
        """Everything up to the answer's end: after the first piece it is pushed, without this coroutine.

        The last piece where that is known to be it: it goes out with the body's end. Raises StreamInterrupted.
        """
        state, keepalive, cycle = self._state, self._keepalive, self._cycle
        continuing, is_kept = state.continuing, not state.route.keeps
        while frames := await answer.next():
            if not is_kept:
                is_kept = _keep(state, answer)
            if answer.is_over:
                return frames
            is_writable = cycle.write(frames)
            if continuing is not None and not continuing.head:
                continuing.see(frames)
            if keepalive is not None:
                keepalive.touched()
            if is_writable and is_kept and (continuing is None or continuing.head):
                pushed = answer.push(cycle.write)
                if pushed is not None:
                    await pushed
            if not cycle.is_writable:
                await cycle.drain()
        return b""

    def _start_stream(self, content_type: str) -> None:
        """Send the head: at the first content, or earlier when a keep-alive comment needs it."""
        state = self._state
        state.status = 200
        id_header = (state.route.id_header, state.request_id.encode())
        headers = [_NO_CACHE, _NO_BUFFER, id_header, *fact_headers(state.tally, state.answer)]
        if content_type == "text/event-stream":
            headers.append(_EVENTS)
        else:
            headers += (b"content-type", content_type.encode("latin-1")), _NO_SNIFF
        self._cycle.start(200, headers)

    async def _beat(self) -> None:
        """A comment while nothing comes, so that neither the caller nor a proxy between us gives up."""
        if not self._state.status:
            caller = self._state.route.caller
            self._start_stream("text/event-stream" if caller is None else caller.stream_type)
        if self._cycle.is_writable:
            self._cycle.write(self._state.route.keep_alive)

    async def _stop_keepalive(self) -> None:
        if self._keepalive is not None:
            await self._keepalive.stop()
            self._keepalive = None

    async def _fail_in_stream(self, error: OrcestatorError) -> None:
        state = self._state
        answer, order = state.answer, state.order
        if answer is not None and not isinstance(answer, WholeAnswer):
            frames = answer.failure_frames(error)
        elif order is not None and (writer := order.writer()) is not None:
            frames = writer.failure(error)
        else:
            frames = failure_frames(error, state.model, int(state.arrived_at))
        if not frames:
            # Leaving the body open makes the server cut the connection: nobody takes that for an end.
            return
        self._cycle.finish(frames)

    def _with_facts(self, wire: Json, answer: WholeAnswer) -> bytes:
        """The reply with what it cost and who gave it."""
        state = self._state
        more: Json = {}
        if state.route.tells_cost:
            served = state.tally.served
            more["cost"] = cost_of(state, answer)
            more["provider"] = served.deployment.provider if served else None
            more["response_time_ms"] = round(state.first_content * 1000)
        if self.wants_router:
            more["_router"] = router_facts(state.tally)
        return dumps({**wire, "model": state.shown_model, **more})


def _keep(state: RequestState, answer: Answer) -> bool:
    """Whether nothing is left to keep of the answer. Called before its end is sent: the next turn may come at once."""
    order, native = state.order, answer.native
    if order is None:
        return True
    if native is not None:
        state.gateway.conversations.keep(state.caller.id, order.asked or {}, order.own or {}, native)
    return native is not None
