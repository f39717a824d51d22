"""An upstream's legacy text-completion stream, held to the same rules as a chat stream."""

from dataclasses import dataclass
from typing import Any

from orcestator.dialects.failures import error_in_answer
from orcestator.dialects.openai.content import joined_parts, usable_created, usable_id
from orcestator.dialects.openai.finish import FAILED, finish_reason, has_finished
from orcestator.dialects.openai.stream import ChatStream, ChoiceState

Json = dict[str, Any]


@dataclass(slots=True)
class TextStream(ChatStream):
    """``choices[].text`` in place of deltas; no roles, no tool calls."""

    def _read_head(self, chunk: Json) -> None:
        # No field of a head is ever "whole" here: the hot path knows chat deltas only.
        self._head = {
            "id": usable_id(chunk) or self.terms.new_id("cmpl-"),
            "object": "text_completion",
            "created": usable_created(chunk) or self.terms.created,
            "model": self.terms.shown_model,
        }

    def _no_content(self) -> Json:
        return {"text": ""}

    def _choice(self, wire: Json, extras: Json) -> None:
        index, choice = self._state(wire.get("index"))
        if choice.finished:
            return
        text = wire.get("text")
        text = text if isinstance(text, str) else joined_parts(text)
        if text:
            self._keep(text)
            self.committed = True
            self.moves += 1
        reason = wire.get("finish_reason")
        if reason == FAILED:
            raise error_in_answer(self.terms.provider, wire.get("error") or "the model broke while answering")
        if has_finished(reason):
            choice.finished = self.committed = True
            reason = finish_reason(reason)
        else:
            reason = None
        self._send({**wire, "index": index, "text": text, "finish_reason": reason}, extras)

    def _finish(self, index: int, choice: ChoiceState, wire: Json, extras: Json) -> None:
        choice.finished = True
        self._send({"index": index, **self._no_content(), "finish_reason": "stop"}, extras)

    def feed_reply(self, reply: Json) -> None:
        """Take a whole reply of an upstream that ignored ``stream``."""
        self._careful(reply)
        self._complete()
