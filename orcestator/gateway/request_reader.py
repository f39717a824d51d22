"""What a caller asked for: its body checked, freed of what is the routing's, and put into an order for the attempts."""

import math
from collections.abc import Mapping
from typing import Any

from orcestator.dialects.canonical import CallerDialect
from orcestator.dialects.multipart import model_field
from orcestator.dialects.openai.request import includes_usage
from orcestator.errors import InvalidRequest
from orcestator.gateway.call_rules import check_call, user_text
from orcestator.gateway.gateway import Gateway, Route
from orcestator.json_text import dumps
from orcestator.routing.planning.plan import Plan
from orcestator.routing.reading.conversation import conversation_key
from orcestator.routing.reading.needs import needs_of
from orcestator.routing.reading.preferences import NO_PREFERENCES, flag_in, preferences_in, take_names, take_preferences
from orcestator.routing.reading.request import NO_NEEDS, RoutingRequest
from orcestator.upstream.call import UpstreamCall
from orcestator.upstream.ids import new_id

Json = dict[str, Any]
STRICT_HEADER = b"x-orcestator-strict"
TIMEOUT_HEADER = b"x-orcestator-timeout"
WISH_ENDPOINTS = frozenset({"chat", "completions", "embeddings"})
"""Where the fields of wishes have no meaning of their own; elsewhere they are taken from headers alone."""
PRIORITIES = {None: 0, "low": -1, "medium": 0, "high": 1}
"""Who goes first in a waiting line, by the urgency they ask for."""


class RequestReader:
    """One request as it is understood so far: what is not yet read is empty.

    ``model`` is the name that the answer shows, the first of ``names``. ``started`` is monotonic seconds, ``arrived_at`` wall-clock
    epoch seconds.
    """

    __slots__ = (
        "_from_path", "_gateway", "_route", "arrived_at", "caller", "model", "names", "preferences", "request_id", "started", "streamed", "user_text",
    )  # fmt: skip

    def __init__(self, gateway: Gateway, route: Route, from_path: Json | None) -> None:
        """``from_path`` has the fields of the body that this dialect puts into the path (``model``, ``stream``)."""
        self._gateway = gateway
        self._route = route
        self._from_path = from_path
        self.started = gateway.attempts.now()
        self.arrived_at = gateway.wall()
        self.request_id = self.caller = self.model = self.user_text = ""
        self.names: tuple[str, ...] = ()
        self.preferences = NO_PREFERENCES
        self.streamed = False

    def is_form(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the body is an upload, and not JSON, which names its files. Raises InvalidRequest for anything else."""
        if not self._route.multipart:
            return False
        media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if media_type not in (b"multipart/form-data", b"application/json"):
            raise InvalidRequest(
                "This route takes multipart/form-data, or application/json that names its files.", param="content-type"
            )
        return media_type != b"application/json"

    def uploaded(self, body: bytes, headers: Mapping[bytes, bytes]) -> UpstreamCall:
        """The order of a form with a file. Raises InvalidRequest."""
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        self.model = model_field(body, content_type)
        self.names = (self.model,)
        self.preferences = take_preferences({}, headers) if preferences_in({}, headers) else NO_PREFERENCES
        return self._order(body, headers, content_type, None)

    def take_preferences(self, own: Json, headers: Mapping[bytes, bytes]) -> bool:
        """Take what is the routing's out of the caller's body; whether that changed it. Raises InvalidRequest."""
        model = own.get("model")
        names_are_plain = "models" not in own and (model is None or type(model) is str)
        has_preferences = preferences_in(own, headers)
        if names_are_plain and not has_preferences:
            return False
        fields = len(own)
        if not names_are_plain:
            self.names = take_names({**own, **(self._from_path or {})}, self._gateway.catalog().unnamed)
            own.pop("models", None)
            if self._from_path:
                own.pop("model", None)
            else:
                own["model"] = self.names[0]
        if has_preferences:
            takes_fields = self._route.endpoint in WISH_ENDPOINTS
            self.preferences = take_preferences(own if takes_fields else {}, headers)
        return len(own) != fields or own.get("model") is not model

    def ordered(self, own: Json, body: bytes, headers: Mapping[bytes, bytes], asked: Json) -> UpstreamCall:
        """The order of a JSON body, which parses to ``own``; ``asked`` is what the caller itself sent. Raises InvalidRequest."""
        route, policy = self._route, self._gateway.policy
        caller = route.caller
        call = own
        unread: tuple[str, ...] = ()
        if caller is not None:
            call, unread = caller.read({**own, **self._from_path} if self._from_path else own)
        elif self._from_path:
            own = call = {**own, **self._from_path}
            body = dumps(call)
        check_call(route.endpoint, call, policy.limits, is_foreign=caller is not None)
        self.names = self.names or (str(call.get("model") or self._gateway.catalog().unnamed),)
        self.model = self.names[0]
        self.streamed = call.get("stream") is True
        self.user_text = user_text(route.endpoint, call, policy.text_chars)
        order = self._order(body, headers, "application/json", call)
        order.own, order.asked = own, asked
        if caller is not None:
            order.caller, order.dialect, order.is_foreign = caller, caller.name, True
            order.headers, order.unread = forwarded(caller, headers), unread
        return order

    def _order(self, body: bytes, headers: Mapping[bytes, bytes], content_type: str, call: Json | None) -> UpstreamCall:
        """As an OpenAI caller's, with what needs no other dialect to be known."""
        route, policy = self._route, self._gateway.policy
        return UpstreamCall(
            route.endpoint,
            route.path,
            body,
            call,
            content_type,
            self.model,
            self.streamed,
            call is not None and includes_usage(call),
            self.request_id,
            self.started + _patience(headers, policy.total_timeout),
            policy.text_chars,
            int(self.arrived_at),
            new_id,
            owner=self.caller,
            is_strict=policy.is_strict or (STRICT_HEADER in headers and flag_in(headers, STRICT_HEADER)),
        )

    def planned(self, call: Json | None, size: int, headers: Mapping[bytes, bytes], now: float) -> Plan:
        """The plan for what is asked; ``size`` is that of the caller's body. Raises what ``Planner.plan`` raises.

        What a request needs is only worked out where it makes a difference.
        """
        planner, preferences, endpoint = self._gateway.planner, self.preferences, self._route.endpoint
        user = _user_of(call) if call is not None and planner.policy.rules else ""
        priority = PRIORITIES[preferences.urgency]
        ask = RoutingRequest(
            self.names, endpoint, preferences, NO_NEEDS, 0, self.streamed, self.caller, "", priority, user
        )
        if call is None or endpoint != "chat":
            return planner.plan(ask, now)
        foregone = planner.foregone(ask)
        if foregone is not None:
            return foregone
        ask = ask._replace(
            needs=needs_of(call, size),
            output_tokens=_output_limit(call),
            conversation=conversation_key(call, headers) if planner.keeps_conversations else "",
        )
        return planner.plan(ask, now)


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


def _user_of(call: Json) -> str:
    """Who the caller says it asks for; "" where it says nothing."""
    user = call.get("user")
    return user if type(user) is str else ""


def forwarded(caller: CallerDialect, headers: Mapping[bytes, bytes]) -> tuple[tuple[str, str], ...]:
    """The caller's headers that an upstream of the same dialect has to see."""
    found = ((name, headers.get(name.encode())) for name in caller.forwards)
    return tuple((name, text.decode("latin-1")) for name, text in found if text is not None)
