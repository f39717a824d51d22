"""Canonical messages to Gemini's contents and system instruction.

https://ai.google.dev/gemini-api/docs/function-calling and python-genai 3.4.0, types.FunctionResponse (checked
2026-11): all results of one model turn follow it in one user content, as many as there were calls, in the order of
the calls; a response is an object whose ``output`` or ``error`` the model reads. A result's text always goes there as
text: as an object its numbers would become doubles, and a ``$ref`` inside would be taken for one of the response's
own parts (vercel/ai#14369). Vertex refuses ids ("Unknown name id", vercel/ai#15664); Gemini 3 takes media inside a
response, older models beside it.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from orcestator.dialects.canonical import parts_of, text_of
from orcestator.dialects.canonical_call import tool_call_of
from orcestator.dialects.gemini.arguments import arguments_object
from orcestator.dialects.gemini.model_traits import ModelTraits
from orcestator.dialects.gemini.signatures import (
    SKIP_VALIDATION,
    call_signature,
    detail_signature,
    own_details,
)
from orcestator.dialects.gemini.upstream_media import image_part, wire_parts
from orcestator.dialects.tool_results import NO_RESULT
from orcestator.json_text import Json

OPENING = "(continued)"
"""The user turn before a history that begins with the model: a call must come after one."""


class _Call(NamedTuple):
    id: str
    name: str
    part: Json


@dataclass(slots=True)
class Contents:
    """The contents as they grow. ``dropped`` names what they cannot hold."""

    traits: ModelTraits
    keeps_ids: bool
    dropped: list[str] = field(default_factory=list)
    system: list[Json] = field(default_factory=list)
    contents: list[Json] = field(default_factory=list)

    def read(self, messages: list[Json]) -> None:
        """Take every message."""
        spoken = [message for message in messages if not self._is_system(message)]
        while spoken:
            message = spoken.pop(0)
            if message.get("role") != "assistant":
                self._say("user", self._user_parts(message))
                continue
            calls = self._model_turn(message)
            results: list[Json] = []
            while calls and spoken and _is_result(spoken[0]):
                results.append(spoken.pop(0))
            if calls:
                self._answer(calls, results)
        self._finish()

    def _is_system(self, message: Json) -> bool:
        if message.get("role") not in ("system", "developer"):
            return False
        self.system += wire_parts(message.get("content"), self.dropped)
        return True

    def _user_parts(self, message: Json) -> list[Json]:
        if _is_result(message):
            # A result whose call is not in the turn before it: told in words, the API would refuse it as a response.
            return [{"text": f"[Tool result] {text_of(message.get('content'))}"}]
        if message.get("name"):
            self.dropped.append("messages.name")
        return wire_parts(message.get("content"), self.dropped)

    def _say(self, role: str, parts: list[Json]) -> None:
        if not parts:
            return
        last = self.contents[-1] if self.contents else None
        if last is not None and last["role"] == role and not _has_response(last):
            last["parts"] += parts
        else:
            self.contents.append({"role": role, "parts": parts})

    def _model_turn(self, message: Json) -> list[_Call]:
        calls = self._calls(message)
        parts = wire_parts(message.get("content"), self.dropped)
        if not parts and isinstance(message.get("refusal"), str) and message["refusal"]:
            parts = [{"text": message["refusal"]}]
        images = message.get("images")
        for image in images if isinstance(images, list) else []:
            part = image_part(image)
            parts += [_signed(part, call_signature(image))] if part else []
        self._say("model", self._with_reasoning(message, parts, calls) + [call.part for call in calls])
        return calls

    def _with_reasoning(self, message: Json, parts: list[Json], calls: list[_Call]) -> list[Json]:
        """Parts with the signatures of Gemini's own reasoning; anyone else's reasoning means nothing here."""
        details = message.get("reasoning_details")
        own = own_details(details)
        if isinstance(details, list) and len(own) < len(details):
            self.dropped.append("messages.reasoning_details")
        if message.get("reasoning_content") and not own:
            self.dropped.append("messages.reasoning_content")
        thoughts: list[Json] = []
        for detail in own:
            signature, text = detail_signature(detail), detail.get("text")
            call = next((call for call in calls if call.id and call.id == detail.get("id")), None)
            if isinstance(text, str) and text and signature:
                thoughts.append({"text": text, "thought": True, "thoughtSignature": signature})
            elif call is not None:
                call.part.setdefault("thoughtSignature", signature)
            elif signature:
                parts = _with_signature(parts, signature)
        return thoughts + parts

    def _calls(self, message: Json) -> list[_Call]:
        wires = message.get("tool_calls")
        wires = wires if isinstance(wires, list) else []
        if isinstance(message.get("function_call"), dict):
            wires = [*wires, {"function": message["function_call"]}]
        made = [self._call(wire) for wire in wires]
        return [call for call in made if call is not None]

    def _call(self, wire: Any) -> _Call | None:
        if not isinstance(wire, dict):
            return None
        call = tool_call_of(wire)
        if not call.name:
            self.dropped.append("messages.tool_calls")
            return None
        call_id = call.id if isinstance(call.id, str) else ""
        made = {"name": call.name, "args": arguments_object(call.arguments)} | self._id(call_id)
        return _Call(call_id, call.name, _signed({"functionCall": made}, call_signature(wire)))

    def _id(self, call_id: str) -> Json:
        return {"id": call_id} if call_id and self.keeps_ids else {}

    def _answer(self, calls: list[_Call], results: list[Json]) -> None:
        """One content with a response for every call; results that belong to none follow in words."""
        left = list(results)
        parts: list[Json] = []
        beside: list[Json] = []
        for call in calls:
            result = next((result for result in left if _belongs(result, call)), None)
            if result is not None:
                left.remove(result)
            response, media = self._response(call, result)
            parts.append(response)
            beside += media
        self.contents.append({"role": "user", "parts": parts + beside})
        for result in left:
            self._say("user", self._user_parts(result))

    def _response(self, call: _Call, result: Json | None) -> tuple[Json, list[Json]]:
        response: Json = {"name": call.part["functionCall"]["name"], "response": {"error": NO_RESULT}} | self._id(
            call.id
        )
        if result is None:
            return {"functionResponse": response}, []
        content = result.get("content")
        response["response"] = {"error" if result.get("is_error") is True else "output": text_of(content)}
        media = wire_parts([part for part in parts_of(content) if part.get("type") != "text"], self.dropped)
        inside = [part for part in media if "inlineData" in part] if self.traits.sees_results else []
        if inside:
            response["parts"] = inside
        return {"functionResponse": response}, [part for part in media if part not in inside]

    def _finish(self) -> None:
        if not self.contents:
            # The API demands contents; a call that is all instruction is one.
            self._say("user", self.system)
            self.system = []
        if self.contents and self.contents[0]["role"] == "model":
            self.contents.insert(0, {"role": "user", "parts": [{"text": OPENING}]})
        if self.system and not self.traits.takes_system:
            self.contents[0]["parts"] = self.system + self.contents[0]["parts"]
            self.system = []
        if self.traits.checks_signatures:
            self._sign_current_turn()

    def _sign_current_turn(self) -> None:
        """Mark the first call of every step since the caller last spoke, where its signature is missing."""
        starts = [
            place
            for place, content in enumerate(self.contents)
            if content["role"] == "user" and not _has_response(content)
        ]
        for content in self.contents[starts[-1] if starts else 0 :]:
            first = next((part for part in content["parts"] if "functionCall" in part), None)
            if first is not None:
                first.setdefault("thoughtSignature", SKIP_VALIDATION)


def _signed(part: Json, signature: str) -> Json:
    return {**part, "thoughtSignature": signature} if signature else part


def _with_signature(parts: list[Json], signature: str) -> list[Json]:
    """Parts with a text's signature on the last text, or on an empty one: that is how it comes."""
    places = [place for place, part in enumerate(parts) if "text" in part and "thoughtSignature" not in part]
    if not places:
        return [*parts, {"text": "", "thoughtSignature": signature}]
    return [_signed(part, signature) if place == places[-1] else part for place, part in enumerate(parts)]


def _is_result(message: Json) -> bool:
    return message.get("role") in ("tool", "function")


def _belongs(result: Json, call: _Call) -> bool:
    result_id = result.get("tool_call_id")
    return result_id == call.id if result_id else result.get("name") == call.name


def _has_response(content: Json) -> bool:
    return any("functionResponse" in part for part in content["parts"])
