"""What guardrails do to a request: they see its canonical call, and every text of its answer before the caller does.

A watched stream is written anew from canonical chunks, in the caller's dialect; its bytes are never relayed, and no other model goes on
with it when it breaks. What repeats a text in another shape (log probabilities, details of reasoning) is left out of a watched answer.
Arguments of tool calls are not text, and are not watched; nor is what is no chat or completion.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from orcestator.dialects.canonical import CallerDialect, Writer, WriteTerms, text_of
from orcestator.dialects.openai.writer import CALLER as OPENAI_CALLER
from orcestator.errors import InvalidRequest, OrcestatorError
from orcestator.gateway.call_rules import user_text
from orcestator.gateway.request_state import RequestState
from orcestator.gateway.seams import Guardrail, TextGuard
from orcestator.json_text import Json, dumps
from orcestator.upstream.call import OPENAI, UpstreamCall, WholeAnswer

MakeGuard = Callable[[], TextGuard]
TEXTS = ("reasoning_content", "reasoning", "reasoning_text", "thinking", "content", "refusal")
"""Fields of a message, and of a delta, that are text."""
UNWATCHED = frozenset({"reasoning_details", "logprobs"})


async def guarded(guardrails: Sequence[Guardrail], state: RequestState, order: UpstreamCall) -> UpstreamCall:
    """Ask every guardrail about a request: the order as it may go on. Raises ClientError.

    The state learns what watches the answer.
    """
    call = order.call
    if call is None:
        return order
    guards: list[MakeGuard] = []
    for guardrail in guardrails:
        call, guard = await guardrail.check(state.caller, order.endpoint, call)
        if guard is not None:
            guards.append(guard)
    # What was put into the request last is taken out of the answer first.
    state.guards = tuple(reversed(guards))
    is_watched_stream = bool(guards) and order.streamed
    if is_watched_stream and order.endpoint == "completions":
        raise InvalidRequest(
            "Answers are watched here, which a stream of this route cannot be: leave 'stream' out, or use /v1/chat/completions.",
            param="stream",
        )
    if call is not order.call:
        state.user_text = user_text(order.endpoint, call, state.gateway.policy.text_chars)
    if call is not order.call or (is_watched_stream and order.dialect != OPENAI):
        own = call if order.own is order.call else order.own
        order = replace(
            order, call=call, own=own, body=dumps(call), dialect=OPENAI, model_span=None, _canonical_body=b""
        )
    if is_watched_stream and order.endpoint == "chat":
        order = replace(order, caller=watched(order.caller or OPENAI_CALLER, state.guards))
    return order


def watched(dialect: CallerDialect, guards: Sequence[MakeGuard]) -> CallerDialect:
    """The caller's dialect, in which every stream is written as far as the guards let it."""

    def writer(terms: WriteTerms) -> Writer:
        return GuardedWriter(dialect.writer(terms), guards)

    return replace(dialect, writer=writer)


def guarded_answer(state: RequestState, answer: WholeAnswer) -> WholeAnswer:
    """A whole answer as the guards let it be. Raises ClientError."""
    wire, order = answer.wire, state.order
    if wire is None or order is None or not isinstance(wire.get("choices"), list):
        return answer
    choices = [_guarded_choice(choice, state.guards) for choice in wire["choices"]]
    if choices == wire["choices"]:
        return answer
    wire = {**wire, "choices": choices}
    caller = state.route.caller
    native = None if caller is None else caller.reply(wire, order.write_terms())
    shown = native if native is not None else {**wire, "model": state.shown_model}
    watched_answer = WholeAnswer(dumps(shown), answer.content_type, answer.text, answer.usage, wire=wire, native=native)
    watched_answer.dropped = answer.dropped
    return watched_answer


class GuardedWriter:
    """Writes what the guards let through, with the writer of the caller's dialect."""

    def __init__(self, inner: Writer, guards: Sequence[MakeGuard]) -> None:
        self._inner = inner
        self._guards = guards
        self._texts: dict[tuple[int, str], _Text] = {}
        self._head: Json = {}
        self._open: dict[int, str] = {}
        """The text of each choice that is being written."""

    @property
    def response(self) -> Json | None:
        """The whole answer, where the caller's dialect ends a stream with it."""
        whole = getattr(self._inner, "response", None)
        return whole if isinstance(whole, dict) else None

    def text(self, content: str) -> bytes:
        """More text of choice 0. Raises ClientError."""
        before = self._closed(0, but="content")
        shown = self._text(0, "content").text(content)
        self._open[0] = "content"
        return before + (self._inner.text(shown) if shown else b"")

    def chunk(self, chunk: Json) -> bytes:
        """One chunk, after what was held back of other texts. Raises ClientError."""
        choice = chunk["choices"][0]
        index, delta = choice["index"], choice["delta"]
        self._head = {name: value for name, value in chunk.items() if name != "choices"}
        frames = b""
        shown: Json = {}
        for name, value in delta.items():
            if name in UNWATCHED:
                continue
            if name in TEXTS and value:
                frames += self._closed(index, but=name)
                self._open[index] = name
                text = self._text(index, name).text(value if isinstance(value, str) else text_of(value))
                if text:
                    shown[name] = text
                continue
            if name != "role" and value:
                frames += self._closed(index)
            shown[name] = value
        if choice.get("finish_reason") is not None:
            frames += self._closed(index)
        elif not shown:
            return frames
        rest = {name: value for name, value in choice.items() if name not in UNWATCHED}
        return frames + self._inner.chunk({**chunk, "choices": [{**rest, "delta": shown}]})

    def end(self, usage: Json) -> bytes:
        """The end of a whole answer."""
        return self._inner.end(usage)

    def failure(self, error: OrcestatorError) -> bytes:
        """The end of a broken one: what is held back was never judged, and is not shown."""
        return self._inner.failure(error)

    def _text(self, index: int, name: str) -> "_Text":
        text = self._texts.get((index, name))
        if text is None:
            text = self._texts[index, name] = _Text(self._guards)
        return text

    def _closed(self, index: int, but: str = "") -> bytes:
        """What was held back of the text that was being written, which is not ``but``."""
        name = self._open.get(index, but)
        if name == but:
            return b""
        del self._open[index]
        rest = self._text(index, name).rest()
        if not rest:
            return b""
        return self._inner.chunk(
            {**self._head, "choices": [{"index": index, "delta": {name: rest}, "finish_reason": None}]}
        )


class _Text:
    """One text on its way through all guards."""

    def __init__(self, guards: Sequence[MakeGuard]) -> None:
        self._guards = [make() for make in guards]

    def text(self, piece: str) -> str:
        for guard in self._guards:
            piece = guard.text(piece) if piece else ""
        return piece

    def rest(self) -> str:
        rest = ""
        for guard in self._guards:
            rest = (guard.text(rest) if rest else "") + guard.rest()
        return rest


def _guarded_choice(choice: Any, guards: Sequence[MakeGuard]) -> Any:
    if not isinstance(choice, dict):
        return choice
    shown = {name: value for name, value in choice.items() if name not in UNWATCHED}
    if isinstance(choice.get("text"), str):
        shown["text"] = _whole(choice["text"], guards)
    message = choice.get("message")
    if isinstance(message, dict):
        shown["message"] = {
            name: _whole(value if isinstance(value, str) else text_of(value), guards)
            if name in TEXTS and value
            else value
            for name, value in message.items()
            if name not in UNWATCHED
        }
    return shown


def _whole(text: str, guards: Sequence[MakeGuard]) -> str:
    watching = _Text(guards)
    return watching.text(text) + watching.rest()
