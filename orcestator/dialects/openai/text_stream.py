"""An upstream's legacy text-completion stream, held to the same rules as a chat stream."""

from dataclasses import dataclass

from orcestator.dialects.openai.content import spoken, usable_created, usable_id
from orcestator.dialects.openai.finish import has_finished
from orcestator.dialects.openai.stream import ChatStream
from orcestator.json_text import Json


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
        choice.spoke = True
        text = wire.get("text")
        text = text if isinstance(text, str) else spoken(text)["content"]
        has_reason = has_finished(wire.get("finish_reason"))
        if text:
            self._keep(text)
            self.committed = True
            self.moves += 1
            choice.go_on()
        if has_reason:
            self._take_reason(choice, wire, extras, speaks=bool(text))
        if text or not has_reason:
            self._send({**wire, "index": index, "text": text, "finish_reason": None}, extras)

    def feed_reply(self, reply: Json) -> None:
        """Take a whole reply of an upstream that ignored ``stream``."""
        self._careful(reply)
        self._complete()
