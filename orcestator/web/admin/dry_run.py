"""A question about routing, read into what routing is asked for a real request. Nobody is called.

It comes as the provider orchestrator has it (``prompt``, ``expectedTokens``, ``userId``, ``options``) or as a chat body.
"""

from collections.abc import Mapping
from typing import NamedTuple

from orcestator.errors import InvalidRequest
from orcestator.gateway.call_rules import CallLimits, check_call
from orcestator.json_text import Json, dumps
from orcestator.routing.planning.plan import Planner
from orcestator.routing.reading.conversation import conversation_key
from orcestator.routing.reading.needs import needs_of
from orcestator.routing.reading.preferences import take_names, take_preferences
from orcestator.routing.reading.request import RoutingRequest

MOST_EXPECTED_TOKENS = 1 << 30
EXPECTED = ("expectedTokens", "expected_tokens")
USER = ("userId", "user_id")


class DryRun(NamedTuple):
    """``ask`` is what the planner gets; ``given`` is the body as it came; ``tokens`` is what the exchange would take."""

    ask: RoutingRequest
    given: Json
    tokens: int


def dry_run(body: Json, headers: Mapping[bytes, bytes], planner: Planner, limits: CallLimits) -> DryRun:
    """Read a question. Raises InvalidRequest, which names the field."""
    expected = _expected_tokens(body)
    call = _call_of(body)
    names = take_names(call, planner.catalog().unnamed)
    preferences = take_preferences(call, headers)
    call["model"] = names[0]
    check_call("chat", call, limits)
    needs, user = needs_of(call, len(dumps(call))), _text(body, USER)
    ask = RoutingRequest(
        names,
        "chat",
        preferences,
        needs,
        expected or _output_limit(call),
        call.get("stream") is True,
        user,
        conversation_key(call, headers) if planner.keeps_conversations else "",
        user=user or _text(call, ("user",)),
        is_question=True,
    )
    return DryRun(ask, body, expected or needs.tokens + ask.expected_output())


def _call_of(body: Json) -> Json:
    """The chat call that the question is about: a prompt is a user's message, ``options`` are fields of the call."""
    options = body.get("options")
    if options is not None and type(options) is not dict:
        raise InvalidRequest("'options' must be an object with fields of the request.", param="options")
    prompt = body.get("prompt")
    if prompt is not None and type(prompt) is not str:
        raise InvalidRequest("'prompt' must be a text.", param="prompt")
    ours = {"options", "prompt", *EXPECTED, *USER}
    call = {**(options or {}), **{field: value for field, value in body.items() if field not in ours}}
    if "messages" not in call:
        call["messages"] = [{"role": "user", "content": prompt or ""}]
    return call


def _expected_tokens(body: Json) -> int:
    """The tokens that the question says; 0 where it says nothing."""
    field = next((name for name in EXPECTED if body.get(name) is not None), "")
    if not field:
        return 0
    tokens = body[field]
    if type(tokens) is not int or not 1 <= tokens <= MOST_EXPECTED_TOKENS:
        raise InvalidRequest(f"'{field}' must be a whole number of tokens, at least 1.", param=field)
    return tokens


def _output_limit(call: Json) -> int:
    limit = call.get("max_completion_tokens") or call.get("max_tokens")
    return limit if type(limit) is int and limit > 0 else 0


def _text(body: Json, fields: tuple[str, ...]) -> str:
    field = next((name for name in fields if body.get(name) is not None), "")
    if field and type(body[field]) is not str:
        raise InvalidRequest(f"'{field}' must be a text.", param=field)
    return body[field] if field else ""
