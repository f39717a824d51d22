"""One caller's model request from its headers to its one terminal outcome.

It reads, plans, runs the attempt loop, sends, and tells what happened; each step is a part handed in. Nothing that
was accepted ends without an event: not on a caller that leaves, not on a shutdown, not on a bug.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orcestator.dialects.canonical import CallerDialect, WriteTerms
from orcestator.dialects.json_text import dumps
from orcestator.dialects.multipart import model_field
from orcestator.dialects.openai.request import includes_usage
from orcestator.dialects.sse import KEEP_ALIVE
from orcestator.errors import (
    AttemptsExhausted,
    ClientError,
    InvalidRequest,
    NothingLeft,
    OrcestatorError,
    Overloaded,
    ShuttingDown,
    StreamInterrupted,
    UpstreamError,
    UpstreamRejected,
)
from orcestator.providers.prices import cost
from orcestator.routing.ask import NO_NEEDS, Ask
from orcestator.routing.catalog import Catalog
from orcestator.routing.conversation import conversation_key
from orcestator.routing.decision import DecisionBook
from orcestator.routing.events import EventSink, Outcome, RequestEnded
from orcestator.routing.loop import AttemptLoop, Tally
from orcestator.routing.needs import needs_of
from orcestator.routing.offer import Candidate
from orcestator.routing.plan import Plan, Planner
from orcestator.routing.wishes import NO_WISHES, take_names, take_wishes, wishes_in
from orcestator.upstream.ids import new_id
from orcestator.upstream.order import OPENAI, Answer, FlowingAnswer, Order, WholeAnswer
from orcestator.web.admission import Admission, header_map
from orcestator.web.asgi import Headers, Receive, Scope, Send, send_bytes, send_error
from orcestator.web.call_rules import CallLimits, check_call, user_text
from orcestator.web.continuing import CONTINUE_HEADER, MOST_TEXT, Continuing
from orcestator.web.conversations import Conversations
from orcestator.web.drain import Drain
from orcestator.web.json_body import CallerLeft, parse_object, read_body
from orcestator.web.pulse import Pulse
from orcestator.web.request_id import request_id_of

Json = dict[str, Any]
logger = logging.getLogger(__name__)
CALLER_LEFT_STATUS = 499
EVENT_ENDPOINTS = frozenset({"chat", "completions"})
"""Endpoints whose streams are chat events, so that a comment may be sent before the upstream has answered."""
STRICT_HEADER = b"x-orcestator-strict"
DROPPED_HEADER = b"x-orcestator-dropped"
ROUTER_HEADER = b"x-orcestator-router"
TIMEOUT_HEADER = b"x-orcestator-timeout"
WISH_ENDPOINTS = frozenset({"chat", "completions", "embeddings"})
"""Where the fields of wishes have no meaning of their own; elsewhere they are taken from headers alone."""
PRIORITIES = {None: 0, "low": -1, "medium": 0, "high": 1}
"""Who goes first in a waiting line, by the urgency they ask for."""
_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
_NO_CACHE = (b"cache-control", b"no-cache")


@dataclass(frozen=True, slots=True)
class ExchangePolicy:
    """Settings of an exchange; seconds, bytes, characters."""

    max_body_bytes: int = 32 << 20
    max_json_depth: int = 64
    total_timeout: float = 600.0
    keepalive_interval: float = 15.0
    text_chars: int = 2000
    expose_router: bool = False
    is_strict: bool = False
    continues: bool = False
    limits: CallLimits = field(default_factory=CallLimits)


@dataclass(slots=True)
class Gateway:
    """The parts that every exchange uses."""

    policy: ExchangePolicy
    admission: Admission
    catalog: Callable[[], Catalog]
    planner: Planner
    attempts: AttemptLoop[Answer]
    decisions: DecisionBook
    carry: Callable[[Candidate, Order], Awaitable[Answer]]
    emit: EventSink
    drain: Drain
    conversations: Conversations
    wall: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class Route:
    """A model route: what it is called in metrics, its endpoint, and its path at an OpenAI upstream.

    ``caller`` is the dialect spoken there, None for OpenAI's. ``keeps``: answers are kept for the next turn.
    ``tells_cost``: whole answers say what they cost, who gave them and how long that took. ``at_once`` gives the answer to
    a request that asks nothing of a model, else None.
    """

    name: str
    endpoint: str
    path: str
    multipart: bool = False
    caller: CallerDialect | None = None
    keeps: bool = False
    tells_cost: bool = False
    at_once: Callable[[Json, WriteTerms], Json | None] | None = None


class Exchange:
    """The state of one request. Use ``serve``."""

    __slots__ = (
        "_answer", "_caller", "_continuing", "_error", "_first_content", "_from_path", "_gateway", "_interrupted", "_left", "_model",
        "_names", "_now", "_order", "_outcome", "_parsed", "_plan", "_planned", "_pulse", "_relay", "_request_id", "_route", "_send",
        "_started", "_status", "_streamed", "_tally", "_task", "_user_text", "_wall_started", "_wants_router", "_wishes",
    )  # fmt: skip

    def __init__(self, gateway: Gateway, route: Route, send: Send, from_path: Json | None = None) -> None:
        """``from_path`` has the fields of the body that this dialect puts into the path (``model``, ``stream``)."""
        self._gateway = gateway
        self._route = route
        self._send = send
        self._from_path = from_path
        self._order: Order | None = None
        self._plan: Plan | None = None
        self._continuing: Continuing | None = None
        self._now = gateway.attempts.now
        self._started = self._now()
        self._wall_started = gateway.wall()
        self._parsed = self._planned = self._started
        self._request_id = ""
        self._caller = ""
        self._model = ""
        self._names: tuple[str, ...] = ()
        self._wishes = NO_WISHES
        self._wants_router = gateway.policy.expose_router
        self._user_text = ""
        self._streamed = False
        self._status = 0
        self._outcome: Outcome = "ok"
        self._error: OrcestatorError | None = None
        self._answer: Answer | None = None
        self._tally = Tally()
        self._first_content = -1.0
        self._relay = 0.0
        self._left = False
        self._interrupted = False
        self._pulse: Pulse | None = None
        self._task: asyncio.Task[Any] | None = None

    async def serve(self, scope: Scope, receive: Receive) -> None:
        """Serve the request to its end. Raises nothing: the outcome is in the event."""
        headers = header_map(scope["headers"])
        self._request_id = request_id_of(headers)
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
            logger.exception("a bug ended a request", extra={"request_id": self._request_id})
            await self._fail(OrcestatorError(f"orcestator failed inside ({type(error).__name__}); the log has more."))
        finally:
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
        gateway = self._gateway
        if gateway.drain.is_draining:
            raise ShuttingDown("The server is shutting down. Try again in a few seconds.", headers={"retry-after": "5"})
        self._caller = gateway.admission.admit(scope, headers)
        self._wants_router = self._wants_router or headers.get(ROUTER_HEADER) == b"true"
        if gateway.policy.continues or headers.get(CONTINUE_HEADER) == b"true":
            self._continuing = Continuing()
        body = await read_body(receive, gateway.policy.max_body_bytes)
        own = None if self._route.multipart else parse_object(body, max_depth=gateway.policy.max_json_depth)
        if own is not None and await self._sent_at_once(own):
            return
        order = self._order = self._uploaded(body, headers) if own is None else await self._ordered(own, body, headers)
        self._parsed = self._planned = self._now()
        plan = self._plan = gateway.planner.plan(self._ask(order, body, headers), self._parsed)
        self._planned = self._now()
        if not self._streamed or self._route.caller is not None or self._route.endpoint != "chat":
            self._continuing = None
        if self._streamed and self._keep_alive and gateway.policy.keepalive_interval > 0:
            self._pulse = Pulse(gateway.policy.keepalive_interval, self._beat)
        carry = gateway.carry
        answer = self._answer = await gateway.attempts.run(
            self._request_id,
            plan,
            # Of several names, the answer shows the one that led to its model.
            (lambda option: carry(option.candidate, order))
            if len(self._names) == 1
            else lambda option: carry(option.candidate, replace(order, shown_model=option.name)),
            self._tally,
            order.deadline,
        )
        if plan.ask.conversation and self._tally.served is not None:
            gateway.planner.served(plan, self._tally.served, self._now())
        if isinstance(answer, WholeAnswer):
            self._kept(answer)
            await self._send_whole(answer)
        else:
            await self._send_flowing(answer)

    def _ask(self, order: Order, body: bytes, headers: Mapping[bytes, bytes]) -> Ask:
        """What the request asks of the routing."""
        planner, call, wishes = self._gateway.planner, order.call, self._wishes
        endpoint = self._route.endpoint
        is_chat = call is not None and endpoint == "chat"
        if not is_chat or (wishes is NO_WISHES and not planner.needs_matter(self._names, endpoint)):
            priority = PRIORITIES[wishes.urgency]
            return Ask(self._names, endpoint, wishes, NO_NEEDS, 0, self._streamed, self._caller, "", priority)
        return Ask(
            self._names,
            endpoint,
            wishes,
            needs_of(call or {}, len(body)),
            _output_limit(call or {}),
            self._streamed,
            self._caller,
            conversation_key(call or {}, headers) if planner.keeps_conversations else "",
            PRIORITIES[wishes.urgency],
        )

    @property
    def _keep_alive(self) -> bytes:
        """What may be sent while nothing comes; b"" where the format has no such thing."""
        if self._route.caller is not None:
            return self._route.caller.keep_alive
        return KEEP_ALIVE if self._route.endpoint in EVENT_ENDPOINTS else b""

    async def _sent_at_once(self, own: Json) -> bool:
        """Whether the request asked nothing of a model, and has its answer."""
        if self._route.at_once is None:
            return False
        model = own.get("model")
        made = self._route.at_once(own, WriteTerms(str(model), int(self._wall_started), new_id))
        if made is None:
            return False
        check_call("", {"model": model}, self._gateway.policy.limits)
        self._model = str(model or self._gateway.catalog().unnamed)
        self._gateway.catalog().tiers((self._model,), self._route.endpoint)
        await self._send_whole(WholeAnswer(dumps(made), "application/json"))
        return True

    def _uploaded(self, body: bytes, headers: Mapping[bytes, bytes]) -> Order:
        """The order of a form with a file. Raises InvalidRequest."""
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        if not content_type.startswith("multipart/form-data"):
            raise InvalidRequest("This route takes multipart/form-data.", param="content-type")
        self._model = model_field(body, content_type)
        self._names = (self._model,)
        self._wishes = take_wishes({}, headers) if wishes_in({}, headers) else NO_WISHES
        return self._order_of(body, headers, content_type)

    async def _ordered(self, own: Json, body: bytes, headers: Mapping[bytes, bytes]) -> Order:
        """Check the request and turn it into what the attempts need. Raises InvalidRequest."""
        route, policy = self._route, self._gateway.policy
        if self._takes_wishes(own, headers):
            body = dumps(own)
        asked, call = own, own
        unread: tuple[str, ...] = ()
        if route.caller is not None:
            own, body = await self._continued(own, body)
            call, unread = route.caller.read({**own, **self._from_path} if self._from_path else own)
        elif self._from_path:
            own = call = {**own, **self._from_path}
            body = dumps(call)
        check_call(route.endpoint, call, policy.limits, is_foreign=route.caller is not None)
        self._names = self._names or (str(call.get("model") or self._gateway.catalog().unnamed),)
        self._model = self._names[0]
        self._streamed = call.get("stream") is True
        self._user_text = user_text(route.endpoint, call, policy.text_chars)
        order = self._order_of(body, headers, "application/json", call, own, unread)
        order.asked = asked
        return order

    def _takes_wishes(self, own: Json, headers: Mapping[bytes, bytes]) -> bool:
        """Take what is the routing's out of the caller's body; whether that changed it. Raises InvalidRequest."""
        model = own.get("model")
        names_are_plain = "models" not in own and (model is None or type(model) is str)
        has_wishes = wishes_in(own, headers)
        if names_are_plain and not has_wishes:
            return False
        fields = len(own)
        if not names_are_plain:
            self._names = take_names(own, self._gateway.catalog().unnamed)
            own["model"] = self._names[0]
        if has_wishes:
            takes_fields = self._route.endpoint in WISH_ENDPOINTS
            self._wishes = take_wishes(own if takes_fields else {}, headers)
        return len(own) != fields or own.get("model") is not model

    def _order_of(
        self,
        body: bytes,
        headers: Mapping[bytes, bytes],
        content_type: str,
        call: Json | None = None,
        own: Json | None = None,
        unread: tuple[str, ...] = (),
    ) -> Order:
        route, policy, caller = self._route, self._gateway.policy, self._route.caller
        return Order(
            endpoint=route.endpoint,
            path=route.path,
            body=body,
            call=call,
            content_type=content_type,
            shown_model=self._model,
            streamed=self._streamed,
            include_usage=call is not None and includes_usage(call),
            request_id=self._request_id,
            deadline=self._started + _patience(headers, policy.total_timeout),
            text_cap=policy.text_chars if self._continuing is None else MOST_TEXT,
            created=int(self._wall_started),
            new_id=new_id,
            dialect=OPENAI if caller is None else caller.name,
            own=own,
            caller=caller,
            headers=() if caller is None else forwarded(caller, headers),
            unread=unread,
            owner=self._caller,
            is_strict=policy.is_strict or headers.get(STRICT_HEADER) == b"true",
            is_foreign=caller is not None,
        )

    async def _continued(self, own: Json, body: bytes) -> tuple[Json, bytes]:
        """The caller's body with the turns it refers to, and its bytes."""
        if not self._route.keeps:
            return own, body
        continued = await self._gateway.conversations.continued(self._caller, own)
        return continued, body if continued is own else dumps(continued)

    def _kept(self, answer: Answer) -> bool:
        """Whether nothing is left to keep of the answer. Called before its end is sent: the next turn may come at once."""
        order = self._order
        if not self._route.keeps or order is None:
            return True
        native = answer.native
        if native is not None:
            self._gateway.conversations.keep(self._caller, order.asked or {}, order.own or {}, native)
        return native is not None

    async def _send_whole(self, answer: WholeAnswer) -> None:
        finished = self._now()
        self._first_content = finished - self._started
        self._status = 200
        body = answer.body
        if answer.wire is not None and self._route.caller is None:
            body = self._with_facts(body, answer.wire, answer)
        await self._stop_pulse()
        headers = [(b"content-type", answer.content_type.encode("latin-1")), self._id_header(), *self._facts()]
        await send_bytes(self._send, 200, headers, body)
        self._relay = self._now() - finished

    def _with_facts(self, body: bytes, wire: Json, answer: WholeAnswer) -> bytes:
        more: Json = {}
        if self._route.tells_cost:
            served = self._served
            more["cost"] = self._cost(answer)
            more["provider"] = served.provider if served else None
            more["response_time_ms"] = round(self._first_content * 1000)
        if self._wants_router:
            more["_router"] = self._router_facts()
        return dumps({**wire, "model": self._model, **more}) if more else body

    @property
    def _served(self) -> Candidate | None:
        return self._tally.served.candidate if self._tally.served else None

    def _cost(self, answer: WholeAnswer) -> float | None:
        """US dollars by the price list; None where the model's price is not known."""
        served = self._served
        pricing = self._gateway.catalog().facts(served).get("pricing") if served else None
        usage = (answer.wire or {}).get("usage")
        return cost(pricing, usage) if isinstance(pricing, dict) and isinstance(usage, dict) else None

    async def _send_flowing(self, answer: FlowingAnswer) -> None:
        """Relay to the end. After the first content a failure is told inside the stream."""
        send, pulse = self._send, self._pulse
        self._first_content = self._now() - self._started
        if pulse is not None:
            await pulse.settle()
        await self._start_stream(answer.content_type)
        if self._wants_router and self._route.caller is None:
            await self._send({"type": "http.response.body", "body": self._router_frame(), "more_body": True})
        while True:
            try:
                await self._relay_frames(answer)
                break
            except StreamInterrupted as failure:
                answer = await self._gone_on(answer, failure)
        await self._stop_pulse()
        await send({"type": "http.response.body", "body": b""})

    async def _relay_frames(self, answer: FlowingAnswer) -> None:
        """Everything up to the answer's end. Raises StreamInterrupted."""
        send, pulse, is_kept = self._send, self._pulse, False
        while frames := await answer.next():
            is_kept = is_kept or self._kept(answer)
            await send({"type": "http.response.body", "body": frames, "more_body": True})
            if self._continuing is not None and not self._continuing.head:
                self._continuing.see(frames)
            if pulse is not None:
                pulse.touched()

    async def _gone_on(self, answer: FlowingAnswer, failure: StreamInterrupted) -> FlowingAnswer:
        """Another candidate's continuation of an answer that broke. Raises the failure where there is none."""
        continuing, plan, order, broken = self._continuing, self._plan, self._order, self._tally
        if continuing is None or plan is None or order is None:
            raise failure
        rest, order = continuing.rest(plan, order, answer)
        if rest is None:
            raise failure
        self._end(answer, failure)
        self._answer, self._order = None, order
        self._tally = Tally()
        try:
            found = await self._gateway.attempts.run(
                self._request_id,
                rest,
                lambda option: self._gateway.carry(option.candidate, order),
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
        kind = _EVENTS if content_type == "text/event-stream" else (b"content-type", content_type.encode("latin-1"))
        headers = [kind, _NO_CACHE, self._id_header(), *self._facts()]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def _beat(self) -> None:
        """A comment while nothing comes, so that neither the caller nor a proxy between us gives up."""
        caller = self._route.caller
        await self._start_stream("text/event-stream" if caller is None else caller.stream_type)
        await self._send({"type": "http.response.body", "body": self._keep_alive, "more_body": True})

    async def _stop_pulse(self) -> None:
        if self._pulse is not None:
            await self._pulse.stop()
            self._pulse = None

    async def _fail(self, error: OrcestatorError) -> None:
        """Tell the caller: by status while none was sent, inside the stream afterwards."""
        self._error = error
        self._outcome = outcome_of(error)
        try:
            await self._stop_pulse()
            if not self._status:
                self._status = error.http_status
                await send_error(self._send, error, self._request_id, self._facts() + advice(error), self._route.caller)
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
            frames = failure_frames(error, self._model, int(self._wall_started))
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
        if self._pulse is not None:
            self._pulse.cancel()
        answer = self._answer
        if answer is None:
            return
        self._end(answer, self._error)

    def _end(self, answer: Answer, failure: OrcestatorError | None) -> None:
        """The loop's answer came to its end, or broke."""
        attempts = self._gateway.attempts
        if isinstance(answer, WholeAnswer):
            attempts.ended(self._tally, tokens=answer.completion_tokens, seconds=0.0, failure=None)
            return
        answer.close()
        seconds = self._now() - self._started - self._first_content
        attempts.ended(self._tally, tokens=answer.tokens[1], seconds=seconds, failure=failure)

    def _id_header(self) -> tuple[bytes, bytes]:
        caller = self._route.caller
        return b"x-request-id" if caller is None else caller.id_header.encode(), self._request_id.encode()

    def _facts(self) -> Headers:
        """What really served the request."""
        facts: Headers = []
        served = self._served
        if served is not None:
            facts.append((b"x-orcestator-provider", served.provider.encode()))
            # A caller may have invented the name: no line end of it may end a header.
            facts.append((b"x-orcestator-model", served.model.encode("unicode_escape")))
        if self._tally.attempts:
            facts.append((b"x-orcestator-attempts", b"%d" % self._tally.attempts))
        if self._tally.served is not None and self._tally.served.is_paid_fallback:
            facts.append((b"x-orcestator-fallback-used", b"true"))
        if self._tally.failures:
            facts.append((b"x-orcestator-errors", _causes(self._tally)))
        if self._answer is not None and self._answer.dropped:
            facts.append((DROPPED_HEADER, ",".join(self._answer.dropped).encode("unicode_escape")))
        return facts

    def _router_facts(self) -> Json:
        tally, served = self._tally, self._tally.served
        return {
            "provider": served.candidate.provider if served else None,
            "model_name": (served.traits.name or served.candidate.model) if served else None,
            "attempts": tally.attempts,
            "fallback_used": served is not None and served.is_paid_fallback,
            "errors": [{"type": type(error).__name__, "message": error.message} for error in tally.failures],
        }

    def _router_frame(self) -> bytes:
        """A chunk without choices, as the one with the usage is: what a stream has in place of a field of the answer."""
        head = {"id": new_id("chatcmpl-"), "object": "chat.completion.chunk", "created": int(self._wall_started)}
        return (
            b"data: " + dumps({**head, "model": self._model, "choices": [], "_router": self._router_facts()}) + b"\n\n"
        )

    def _tell(self) -> None:
        """The one event of this request."""
        answer, error, tally = self._answer, self._error, self._tally
        served = self._served
        prompt, completion, estimated, text = 0, 0, False, ""
        if isinstance(answer, WholeAnswer):
            prompt, completion, estimated = answer.prompt_tokens, answer.completion_tokens, answer.estimated
            text = answer.text
        elif answer is not None:
            prompt, completion, estimated = answer.tokens
            text = answer.text
        if self._continuing is not None and self._continuing.text:
            text = self._continuing.text + text
            prompt, completion = self._continuing.counted(prompt, completion)
        ended = self._now()
        name = type(error).__name__ if error else ""
        parse, planned = self._parsed - self._started, self._planned - self._parsed
        self._gateway.decisions.note(
            self._request_id, self._plan, tally, self._outcome, self._status, name, self._model, self._caller,
            self._route.name, self._streamed, self._wall_started, self._parsed, parse, planned, self._first_content,
            ended - self._started,
        )  # fmt: skip
        self._gateway.emit(
            RequestEnded(
                self._request_id,
                self._wall_started,
                self._route.name,
                self._streamed,
                self._outcome,
                self._status,
                name,
                error.message if error else "",
                self._caller,
                self._model,
                served.provider if served else "",
                served.model if served else "",
                self._user_text,
                text[: self._gateway.policy.text_chars],
                prompt,
                completion,
                estimated,
                ended - self._started,
                self._first_content,
                tally.attempts,
                tally.fallbacks,
                parse,
                planned,
                self._relay,
            )
        )


def _causes(tally: Tally) -> bytes:
    """What went wrong before, in short words."""
    return ",".join(f"{type(error).__name__}:{error.cause}" for error in tally.failures).encode("unicode_escape")[:512]


def _patience(headers: Mapping[bytes, bytes], most: float) -> float:
    """Seconds that the caller waits at most. Raises InvalidRequest."""
    text = headers.get(TIMEOUT_HEADER)
    if text is None:
        return most
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < math.inf:
        raise InvalidRequest(
            "'x-orcestator-timeout' must be a number of seconds above 0.", param="x-orcestator-timeout"
        )
    return min(seconds, most)


def _output_limit(call: Json) -> int:
    """Tokens that the caller lets the answer have; 0 where it sets no limit."""
    limit = call.get("max_completion_tokens") or call.get("max_tokens")
    return limit if type(limit) is int else 0


def forwarded(caller: CallerDialect, headers: Mapping[bytes, bytes]) -> tuple[tuple[str, str], ...]:
    """The caller's headers that an upstream of the same dialect has to see."""
    found = ((name, headers.get(name.encode())) for name in caller.forwards)
    return tuple((name, text.decode("latin-1")) for name, text in found if text is not None)


def outcome_of(error: OrcestatorError) -> Outcome:
    """The terminal outcome an error means."""
    if isinstance(error, ClientError | UpstreamRejected):
        return "client_error"
    if isinstance(error, Overloaded | NothingLeft):
        return "shed"
    return "upstream_error"


def advice(error: OrcestatorError) -> Headers:
    """Whether an SDK should try again, and when.

    We have spent our own attempts, so the SDK's would only multiply them, unless waiting is what helps.
    """
    last = error.most_useful if isinstance(error, AttemptsExhausted) else error
    wait = last.retry_after if isinstance(last, UpstreamError | NothingLeft) else None
    if wait is not None and last.http_status in (429, 503):
        return [(b"retry-after", b"%d" % max(1, math.ceil(wait)))]
    if isinstance(error, Overloaded):
        return []
    return [(b"x-should-retry", b"false")]


def failure_frames(error: OrcestatorError, model: str, created: int) -> bytes:
    """The end of a stream that had sent nothing but comments."""
    head = {"id": new_id("chatcmpl-"), "object": "chat.completion.chunk", "created": created, "model": model}
    choice = {"index": 0, "delta": {}, "finish_reason": "error"}
    detail = error.body()["error"]
    frames = (dumps({**head, "choices": [choice]}), dumps({"error": detail}), b"[DONE]")
    return b"".join(b"data: " + frame + b"\n\n" for frame in frames)
