"""OpenAI's own chat stream written from canonical chunks, for answers that cannot keep the bytes they came in."""

from typing import Any

from orcestator.dialects.canonical import CallerDialect, ReadCall, WriteTerms
from orcestator.dialects.openai.finish import FAILED
from orcestator.dialects.sse import DONE
from orcestator.errors import OrcestatorError
from orcestator.json_text import Json, dumps


class ChatWriter:
    """One answer. Every frame has the head of the first chunk."""

    def __init__(self, terms: WriteTerms) -> None:
        self._terms = terms
        self._head: Json = {}
        self._open: set[int] = set()

    def text(self, content: str) -> bytes:
        """More text of choice 0."""
        return self._frame([{"index": 0, "delta": {"content": content}, "finish_reason": None}])

    def chunk(self, chunk: Json) -> bytes:
        """One chunk."""
        self._head = self._head or {name: chunk[name] for name in ("id", "object", "created", "model") if name in chunk}
        for choice in chunk["choices"]:
            if choice.get("finish_reason") is None:
                self._open.add(choice["index"])
            else:
                self._open.discard(choice["index"])
        return b"data: " + dumps(chunk) + b"\n\n"

    def end(self, usage: Json) -> bytes:
        """The usage where it was asked for, and the end."""
        return (self._frame([], usage=usage) if self._terms.include_usage else b"") + DONE

    def failure(self, error: OrcestatorError) -> bytes:
        """The end of a broken one: a finish reason for every open choice, the error, the end."""
        failed = [self._frame([{"index": index, "delta": {}, "finish_reason": FAILED}]) for index in sorted(self._open)]
        if not self._head:
            failed = [self._frame([{"index": 0, "delta": {}, "finish_reason": FAILED}])]
        detail = {**error.body()["error"], "partial": True}
        return b"".join(failed) + b"data: " + dumps({"error": detail}) + b"\n\n" + DONE

    def _frame(self, choices: list[Json], **more: Any) -> bytes:
        terms = self._terms
        if not self._head:
            self._head = {
                "id": terms.new_id("chatcmpl-"),
                "object": "chat.completion.chunk",
                "created": terms.created,
                "model": terms.model,
            }
        return b"data: " + dumps({**self._head, "choices": choices, **more}) + b"\n\n"


def _reply(reply: Json, terms: WriteTerms) -> Json:
    return {**reply, "model": terms.model}


CALLER = CallerDialect(
    name="openai",
    read=ReadCall,
    reply=_reply,
    writer=ChatWriter,
    error=lambda error, _request_id: error.body(),
)
