"""What a caller asked for: its body checked, freed of what is the routing's, and put into an order for the attempts."""

import math
from collections.abc import Mapping

from orcestator.dialects.canonical import CallerDialect
from orcestator.dialects.multipart import model_field
from orcestator.dialects.openai.request import includes_usage
from orcestator.errors import InvalidRequest
from orcestator.gateway.call_rules import check_call, user_text
from orcestator.gateway.request_state import RequestState
from orcestator.json_text import Json, dumps
from orcestator.routing.planning.plan import Plan
from orcestator.routing.reading.conversation import conversation_key
from orcestator.routing.reading.needs import needs_of
from orcestator.routing.reading.preferences import NO_PREFERENCES, flag_in, preferences_in, take_names, take_preferences
from orcestator.routing.reading.request import NO_NEEDS, RoutingRequest
from orcestator.upstream.call import UpstreamCall
from orcestator.upstream.ids import new_id

STRICT_HEADER = b"x-orcestator-strict"
TIMEOUT_HEADER = b"x-orcestator-timeout"
WISH_ENDPOINTS = frozenset({"chat", "completions", "embeddings"})
"""Where the fields of wishes have no meaning of their own; elsewhere they are taken from headers alone."""
PRIORITIES = {None: 0, "low": -1, "medium": 0, "high": 1}
"""Who goes first in a waiting line, by the urgency they ask for."""


def is_form(state: RequestState) -> bool:
    """Whether the body is an upload, and not JSON, which names its files. Raises InvalidRequest for anything else."""
    if not state.route.multipart:
        return False
    media_type = state.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media_type not in (b"multipart/form-data", b"application/json"):
        raise InvalidRequest(
            "This route takes multipart/form-data, or application/json that names its files.", param="content-type"
        )
    return media_type != b"application/json"


def uploaded(state: RequestState, body: bytes) -> UpstreamCall:
    """The order of a form with a file. Raises InvalidRequest."""
    headers = state.headers
    content_type = headers.get(b"content-type", b"").decode("latin-1")
    state.model = model_field(body, content_type)
    state.names = (state.model,)
    state.preferences = take_preferences({}, headers) if preferences_in({}, headers) else NO_PREFERENCES
    return _order(state, body, content_type, None)


def take_routing(state: RequestState, own: Json) -> bool:
    """Take what is the routing's out of the caller's body; whether that changed it. Raises InvalidRequest."""
    model, headers = own.get("model"), state.headers
    names_are_plain = "models" not in own and (model is None or type(model) is str)
    has_preferences = preferences_in(own, headers)
    if names_are_plain and not has_preferences:
        return False
    fields = len(own)
    if not names_are_plain:
        state.names = take_names({**own, **(state.from_path or {})}, state.gateway.catalog().unnamed)
        own.pop("models", None)
        if state.from_path:
            own.pop("model", None)
        else:
            own["model"] = state.names[0]
    if has_preferences:
        takes_fields = state.route.endpoint in WISH_ENDPOINTS
        state.preferences = take_preferences(own if takes_fields else {}, headers)
    return len(own) != fields or own.get("model") is not model


def ordered(state: RequestState, own: Json, body: bytes, asked: Json) -> UpstreamCall:
    """The order of a JSON body, which parses to ``own``; ``asked`` is what the caller itself sent. Raises InvalidRequest."""
    route, policy, from_path = state.route, state.gateway.policy, state.from_path
    caller = route.caller
    call = own
    unread: tuple[str, ...] = ()
    if caller is not None:
        call, unread = caller.read({**own, **from_path} if from_path else own)
    elif from_path:
        own = call = {**own, **from_path}
        body = dumps(call)
    check_call(route.endpoint, call, policy.limits, is_foreign=caller is not None)
    state.names = state.names or (str(call.get("model") or state.gateway.catalog().unnamed),)
    state.model = state.names[0]
    state.streamed = call.get("stream") is True
    state.user_text = user_text(route.endpoint, call, policy.text_chars)
    order = _order(state, body, "application/json", call)
    order.own, order.asked = own, asked
    if caller is not None:
        order.caller, order.dialect, order.is_foreign = caller, caller.name, True
        order.headers, order.unread = forwarded(caller, state.headers), unread
    return order


def _order(state: RequestState, body: bytes, content_type: str, call: Json | None) -> UpstreamCall:
    """As an OpenAI caller's, with what needs no other dialect to be known."""
    route, policy, headers = state.route, state.gateway.policy, state.headers
    return UpstreamCall(
        route.endpoint,
        route.path,
        body,
        call,
        content_type,
        state.model,
        state.streamed,
        call is not None and includes_usage(call),
        state.request_id,
        state.started + _patience(headers, policy.total_timeout),
        policy.text_chars,
        int(state.arrived_at),
        new_id,
        owner=state.caller.id,
        is_strict=policy.is_strict or (STRICT_HEADER in headers and flag_in(headers, STRICT_HEADER)),
    )


def planned(state: RequestState, call: Json | None, size: int, now: float) -> Plan:
    """The plan for what is asked; ``size`` is that of the caller's body. Raises what ``Planner.plan`` raises.

    What a request needs is only worked out where it makes a difference.
    """
    planner, preferences, endpoint = state.gateway.planner, state.preferences, state.route.endpoint
    user = _user_of(call) if call is not None and planner.policy.rules else ""
    priority = PRIORITIES[preferences.urgency]
    ask = RoutingRequest(
        state.names, endpoint, preferences, NO_NEEDS, 0, state.streamed, state.caller.id, "", priority, user
    )
    if call is None or endpoint != "chat":
        return planner.plan(ask, now)
    precomputed = planner.precomputed_plan(ask)
    if precomputed is not None:
        return precomputed
    ask = ask._replace(
        needs=needs_of(call, size),
        output_tokens=_output_limit(call),
        conversation=conversation_key(call, state.headers) if planner.keeps_conversations else "",
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
