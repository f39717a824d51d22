"""Attempts carried to an unmodified FastChat worker: a prompt instead of messages, frames instead of events.

Contract C2. What a stock worker cannot carry (tools, structured output) is refused with its name, never dropped.
"""

from functools import partial

from orcestator.bridge.carrier import worker_origin
from orcestator.bridge.control import ControlClient
from orcestator.bridge.stock.frames import StockStream, stock_error, stock_reply
from orcestator.bridge.stock.prompt import fit_to_context, prompt_params, text_params
from orcestator.dialects.openai.stream import ChatStream
from orcestator.errors import InvalidRequest, UpstreamBroken, UpstreamRejected, UpstreamUnavailable
from orcestator.json_text import Json, dumps, loads
from orcestator.routing.offer import Deployment
from orcestator.upstream.answer_reader import EVENT_STREAMS, EVENTS, stream_terms, whole_answer_of
from orcestator.upstream.answers import StreamAnswer
from orcestator.upstream.call import Answer, UpstreamCall
from orcestator.upstream.http.client import Response, UpstreamClient
from orcestator.upstream.http.timeouts import Timeouts
from orcestator.upstream.upstream_request import PLAIN, UpstreamRequest

_HEADERS = b"Content-Type: application/json\r\n"


class StockCarrier:
    """Speaks the stock worker protocol of fschat 0.2.36; keeps each worker's conversation template."""

    def __init__(self, client: UpstreamClient, control: ControlClient, waiting: Timeouts) -> None:
        self._client = client
        self._control = control
        self._waiting = waiting
        self._templates: dict[tuple[str, str], Json] = {}

    async def attempt(self, deployment: Deployment, order: UpstreamCall, _taken_at: float) -> Answer:
        """One attempt. Raises UpstreamRejected for what the protocol cannot carry, and UpstreamError."""
        if order.endpoint == "embeddings":
            return await self._embeddings(deployment, order)
        params = await self._params(deployment, order)
        path = b"/worker_generate_stream" if order.streamed else b"/worker_generate"
        response = await self._post(deployment, path, params, order)
        try:
            if order.streamed:
                return await self._stream(response, deployment, order)
            created, answer_id = order.created, order.new_id("chatcmpl-")
            answer = _parsed(await response.read_all())
            reply = stock_reply(answer, deployment.model, answer_id, created, chat=order.endpoint == "chat")
            return whole_answer_of(dumps(reply), order, deployment.provider, _speech(order))
        except BaseException:
            response.close()
            raise

    async def _params(self, deployment: Deployment, order: UpstreamCall) -> Json:
        call = order.call or {}
        template = await self._template(deployment)
        build = prompt_params if order.endpoint == "chat" else text_params
        try:
            params = build(call, template, deployment.model)
            details = await self._ask(deployment, "/model_details", {"model": deployment.model})
            counted = await self._ask(
                deployment, "/count_token", {"model": deployment.model, "prompt": params["prompt"]}
            )
            return fit_to_context(params, int(details["context_length"]), int(counted["count"]))
        except InvalidRequest as error:
            raise UpstreamRejected(
                error.message, cause="not_carried", upstream_code=error.code, param=error.param, sent=False
            ) from error
        except (KeyError, TypeError, ValueError):
            raise UpstreamBroken(
                f"{deployment.worker} does not count tokens as FastChat does.", cause="not_json"
            ) from None

    async def _template(self, deployment: Deployment) -> Json:
        key = (deployment.worker, deployment.model)
        known = self._templates.get(key)
        if known is None:
            answer = await self._ask(deployment, "/worker_get_conv_template", {"model": deployment.model})
            conv = answer.get("conv")
            if not isinstance(conv, dict):
                raise UpstreamBroken(f"{deployment.worker} gave no conversation template.", cause="template")
            known = self._templates[key] = conv
        return known

    async def _ask(self, deployment: Deployment, route: str, body: Json) -> Json:
        status, answer = await self._control.post(deployment.worker + route, body)
        if status != 200:
            raise UpstreamUnavailable(
                f"The FastChat worker at {deployment.worker} does not answer.", cause="refused", sent=False
            )
        return answer

    async def _post(self, deployment: Deployment, path: bytes, params: Json, order: UpstreamCall) -> Response:
        origin = worker_origin(deployment.worker)
        response = await self._client.send(
            origin, b"POST", path, _HEADERS, dumps(params), self._waiting, deadline=order.deadline
        )
        if response.status != 200:
            status = response.status
            response.close()
            raise UpstreamUnavailable(
                f"The FastChat worker at {deployment.worker} answered {status}.",
                cause=f"http_{status}",
                upstream_status=status,
            )
        return response

    async def _stream(self, response: Response, deployment: Deployment, order: UpstreamCall) -> Answer:
        decoder = EVENT_STREAMS[order.endpoint](stream_terms(order, deployment.provider), writer=order.writer())
        frames = StockStream(order.shown_model, order.new_id("chatcmpl-"), order.created, chat=order.endpoint == "chat")
        answer = StockStreamAnswer(response, decoder, frames, order)
        await answer.commit()
        return answer

    async def _embeddings(self, deployment: Deployment, order: UpstreamCall) -> Answer:
        call = order.call or {}
        texts = call.get("input")
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise UpstreamRejected(
                "A FastChat worker embeds texts only.", cause="not_carried", param="input", sent=False
            )
        params = {"model": deployment.model, "input": texts, "encoding_format": call.get("encoding_format")}
        response = await self._post(deployment, b"/worker_get_embeddings", params, order)
        try:
            answer = _parsed(await response.read_all())
        finally:
            response.close()
        if answer.get("error_code"):
            raise stock_error(answer["error_code"], str(answer.get("text")))
        vectors, tokens = answer.get("embedding"), answer.get("token_num")
        if not isinstance(vectors, list) or not isinstance(tokens, int):
            raise UpstreamBroken("The FastChat worker sent no embeddings.", cause="empty")
        data = [{"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(vectors)]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        body = {"object": "list", "data": data, "model": order.shown_model, "usage": usage}
        return whole_answer_of(dumps(body), order, deployment.provider, PLAIN)


def _speech(order: UpstreamCall) -> UpstreamRequest:
    return UpstreamRequest(dropped=order.unread)


class StockStreamAnswer(StreamAnswer):
    """A stream of stock frames, made into events and held to the same rules as any other stream."""

    __slots__ = ("_frames",)

    def __init__(self, response: Response, decoder: ChatStream, frames: StockStream, order: UpstreamCall) -> None:
        kind = EVENTS if order.caller is None else order.caller.stream_type
        super().__init__(response, decoder, comments_count=True, content_type=kind, dropped=order.unread)
        self._frames = frames
        self._decode = partial(_decode, frames, decoder)

    def _end(self) -> None:
        for chunk in self._frames.end():
            self._decoder.feed(b"data: " + dumps(chunk) + b"\n\n")
        self._decoder.end()


def _decode(frames: StockStream, decoder: ChatStream, piece: bytes) -> None:
    for chunk in frames.feed(piece):
        decoder.feed(b"data: " + dumps(chunk) + b"\n\n")


def _parsed(body: bytes) -> Json:
    try:
        answer = loads(body)
    except ValueError:
        raise UpstreamBroken("The FastChat worker sent something that is not JSON.", cause="not_json") from None
    if not isinstance(answer, dict):
        raise UpstreamBroken("The FastChat worker sent JSON that is not an object.", cause="not_json")
    return answer
