"""How many tokens a request would be: asked of an upstream that speaks the caller's dialect, estimated otherwise."""

import asyncio
import re
import time
from collections.abc import Awaitable, Mapping

from orcestator.dialects.anthropic.caller import CALLER as ANTHROPIC
from orcestator.dialects.anthropic.tokens import count_estimate as anthropic_estimate
from orcestator.dialects.canonical import CallerDialect
from orcestator.dialects.gemini.caller import CALLER as GEMINI
from orcestator.dialects.gemini.tokens import count_estimate as gemini_estimate
from orcestator.errors import CannotExpress, InvalidRequest, OrcestatorError
from orcestator.gateway.error_reply import outcome_of
from orcestator.gateway.gateway import Gateway
from orcestator.gateway.request_reader import forwarded
from orcestator.json_text import Json
from orcestator.routing.events import RequestEnded
from orcestator.routing.offer import Deployment
from orcestator.routing.planning.catalog import DEFAULT_ALIAS
from orcestator.server.json_body import parse_object
from orcestator.server.request_id import request_id_of
from orcestator.upstream.call import COUNT, COUNT_PATH, Answer, UpstreamCall, WholeAnswer
from orcestator.upstream.ids import new_id

PATIENCE_SECONDS = 10.0
"""Callers count often and at once (Claude Code two dozen at a time): an estimate in time beats a number too late."""


ROUTE = "count"
ANSWER_FIELDS = {
    ANTHROPIC.name: ("input_tokens", "context_management"),
    GEMINI.name: (
        "totalTokens", "cachedContentTokenCount", "promptTokensDetails", "cacheTokensDetails", "totalBillableCharacters",
    ),
}  # fmt: skip
"""What a count says in each dialect, the number itself first: nothing else of an upstream's answer is passed on.
https://platform.claude.com/docs/en/api/messages-count-tokens, https://ai.google.dev/api/tokens, and Vertex for the last
(checked 2026-11)."""
_NAME = re.compile(r"[A-Za-z0-9._:@/+~\-\[\]()=,]{1,256}")
"""A name that some model could have: what is asked here goes into an upstream's URL in one of the dialects."""


class Counting:
    """The counting routes of the dialects that have one. Each count is told as an event, as every other request is."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def messages(self, body: bytes, headers: Mapping[bytes, bytes], caller: str) -> Json:
        """The answer of ``/v1/messages/count_tokens``. Raises InvalidRequest and ModelNotFound."""
        count = _Count(self._gateway, caller, request_id_of(headers))
        return await count.told(self._messages(count, body, headers))

    async def contents(self, model: str, body: bytes, headers: Mapping[bytes, bytes], caller: str) -> Json:
        """The answer of Gemini's ``:countTokens``. Raises InvalidRequest and ModelNotFound."""
        count = _Count(self._gateway, caller, request_id_of(headers))
        return await count.told(self._contents(count, model, body, headers))

    async def _messages(self, count: "_Count", body: bytes, headers: Mapping[bytes, bytes]) -> Json:
        own = self._parsed(body)
        # Nothing is generated, so that the one field that the dialect insists on has no meaning here.
        call = ANTHROPIC.read({"max_tokens": 1, **own}).call
        counted = await count.asked(ANTHROPIC, own, body, call, headers)
        return counted or {"input_tokens": anthropic_estimate(call)}

    async def _contents(self, count: "_Count", model: str, body: bytes, headers: Mapping[bytes, bytes]) -> Json:
        own = self._parsed(body)
        inner = own.get("generateContentRequest")
        asked = inner if isinstance(inner, dict) else own
        call = GEMINI.read({**asked, "model": model, "stream": False}).call
        # The longer form names the model once more, as we call it: only the short one can be passed on.
        counted = await count.asked(GEMINI, own, body, call, headers, may_ask=not isinstance(inner, dict))
        return counted or {"totalTokens": gemini_estimate(call)}

    def _parsed(self, body: bytes) -> Json:
        return parse_object(body, max_depth=self._gateway.policy.max_json_depth)


class _Count:
    """One request to count."""

    def __init__(self, gateway: Gateway, caller: str, request_id: str) -> None:
        self._gateway = gateway
        self._caller = caller
        self._request_id = request_id
        self._model = ""
        self._counted_by: Deployment | None = None
        self._attempts = 0

    async def told(self, work: Awaitable[Json]) -> Json:
        """What ``work`` gives; however it ends, one event tells of it."""
        started, arrived_at = self._gateway.attempts.now(), self._gateway.wall()
        error: OrcestatorError | None = None
        try:
            return await work
        except OrcestatorError as failure:
            error = failure
            raise
        finally:
            self._tell(error, started, arrived_at)

    async def asked(
        self,
        caller: CallerDialect,
        own: Json,
        body: bytes,
        call: Json,
        headers: Mapping[bytes, bytes],
        *,
        may_ask: bool = True,
    ) -> Json | None:
        """The count of the upstream that would answer, None when it counts not in this dialect, or not now.

        Raises InvalidRequest for a name that no model has, and ModelNotFound.
        """
        gateway = self._gateway
        name = self._model = str(call.get("model") or DEFAULT_ALIAS)
        if not gateway.catalog().knows(name) and not _NAME.fullmatch(name):
            raise InvalidRequest("'model' must be the name of a model; GET /v1/models lists them.", param="model")
        deployment = gateway.catalog().tiers((name,), "chat")[0].candidates[0].deployment
        if not may_ask or caller.name not in deployment.dialects:
            return None
        self._attempts = 1
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                order, now = _order(caller, own, body, call, headers), gateway.attempts.now()
                gateway.attempts.quota.admit(deployment, order.tokens, now)
                answer = await gateway.carry(deployment, order, now)
        except CannotExpress as refusal:
            raise InvalidRequest(refusal.message, param=refusal.param) from refusal
        except (OrcestatorError, TimeoutError):
            return None
        counted = _counted(caller, answer)
        self._counted_by = deployment if counted else None
        return counted

    def _tell(self, error: OrcestatorError | None, started: float, arrived_at: float) -> None:
        by = self._counted_by
        self._gateway.emit(
            RequestEnded(
                request_id=self._request_id,
                started_at=arrived_at,
                route=ROUTE,
                streamed=False,
                outcome=outcome_of(error) if error else "ok",
                status=error.http_status if error else 200,
                error=type(error).__name__ if error else "",
                message=error.message if error else "",
                caller=self._caller,
                requested_model=self._model,
                served_by="attempt" if by else "",
                provider=by.provider if by else "",
                model=by.model if by else "",
                latency_s=self._gateway.attempts.now() - started,
                attempts=self._attempts,
            )
        )


def _counted(caller: CallerDialect, answer: Answer) -> Json | None:
    """The known fields of a count; None for what is none."""
    wire = answer.wire if isinstance(answer, WholeAnswer) else None
    fields = ANSWER_FIELDS[caller.name]
    if not isinstance(wire, dict) or type(wire.get(fields[0])) is not int:
        return None
    return {name: wire[name] for name in fields if name in wire}


def _order(caller: CallerDialect, own: Json, body: bytes, call: Json, headers: Mapping[bytes, bytes]) -> UpstreamCall:
    return UpstreamCall(
        endpoint=COUNT,
        path=COUNT_PATH,
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
        headers=forwarded(caller, headers),
        is_foreign=True,
    )
