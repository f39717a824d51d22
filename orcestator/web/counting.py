"""How many tokens a request would be: asked of an upstream that speaks the caller's dialect, estimated otherwise."""

import asyncio
import time
from typing import Any

from orcestator.dialects.anthropic.caller import CALLER as ANTHROPIC
from orcestator.dialects.anthropic.tokens import count_estimate as anthropic_estimate
from orcestator.dialects.canonical import CallerDialect
from orcestator.dialects.gemini.caller import CALLER as GEMINI
from orcestator.dialects.gemini.tokens import count_estimate as gemini_estimate
from orcestator.errors import OrcestatorError
from orcestator.routing.catalog import DEFAULT_ALIAS
from orcestator.upstream.ids import new_id
from orcestator.upstream.order import Order, WholeAnswer
from orcestator.upstream.speaker import COUNT
from orcestator.web.admission import header_map
from orcestator.web.asgi import Scope
from orcestator.web.gateway import Gateway
from orcestator.web.intake import forwarded
from orcestator.web.json_body import parse_object

Json = dict[str, Any]
PATIENCE_SECONDS = 10.0
"""Callers count often and at once (Claude Code two dozen at a time): an estimate in time beats a number too late."""


class Counting:
    """The counting routes of the dialects that have one."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def messages(self, body: bytes, scope: Scope) -> Json:
        """The answer of ``/v1/messages/count_tokens``. Raises InvalidRequest and ModelNotFound."""
        own = self._parsed(body)
        # Nothing is generated, so that the one field that the dialect insists on has no meaning here.
        call = ANTHROPIC.read({"max_tokens": 1, **own}).call
        counted = await self._asked(ANTHROPIC, own, body, call, scope)
        return counted or {"input_tokens": anthropic_estimate(call)}

    async def contents(self, model: str, body: bytes, scope: Scope) -> Json:
        """The answer of Gemini's ``:countTokens``. Raises InvalidRequest and ModelNotFound."""
        own = self._parsed(body)
        inner = own.get("generateContentRequest")
        asked = inner if isinstance(inner, dict) else own
        call = GEMINI.read({**asked, "model": model, "stream": False}).call
        # The longer form names the model once more, as we call it: only the short one can be passed on.
        counted = None if isinstance(inner, dict) else await self._asked(GEMINI, own, body, call, scope)
        return counted or {"totalTokens": gemini_estimate(call)}

    def _parsed(self, body: bytes) -> Json:
        return parse_object(body, max_depth=self._gateway.policy.max_json_depth)

    async def _asked(self, caller: CallerDialect, own: Json, body: bytes, call: Json, scope: Scope) -> Json | None:
        """The count of the upstream that would answer, None when it counts not in this dialect, or not now."""
        tiers = self._gateway.catalog().tiers((str(call.get("model") or DEFAULT_ALIAS),), "chat")
        candidate = tiers[0].options[0].candidate
        if caller.name not in candidate.dialects:
            return None
        order = _order(caller, own, body, call, scope)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answer = await self._gateway.carry(candidate, order)
        except (OrcestatorError, TimeoutError):
            return None
        return answer.wire if isinstance(answer, WholeAnswer) else None


def _order(caller: CallerDialect, own: Json, body: bytes, call: Json, scope: Scope) -> Order:
    return Order(
        endpoint=COUNT,
        path="/count",
        body=body,
        call=call,
        content_type="application/json",
        shown_model=str(call.get("model") or DEFAULT_ALIAS),
        streamed=False,
        include_usage=False,
        request_id=new_id("count-"),
        deadline=asyncio.get_running_loop().time() + PATIENCE_SECONDS,
        text_cap=0,
        created=int(time.time()),
        new_id=new_id,
        dialect=caller.name,
        own=own,
        headers=forwarded(caller, header_map(scope["headers"])),
        is_foreign=True,
    )
