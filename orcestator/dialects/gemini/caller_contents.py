"""A caller's contents and system instruction to canonical messages.

https://ai.google.dev/api/caching#Content and #Part (checked 2026-11). Ids of calls are optional there: calls without
one get one by their place, and results without one belong to the first call of that name that has no result yet.
"""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from orcestator.dialects.gemini.caller_media import media_part
from orcestator.dialects.gemini.fields import field as wire_field
from orcestator.dialects.gemini.fields import object_field, objects_field, others, text_field
from orcestator.dialects.gemini.signatures import call_extra, detail_of
from orcestator.errors import InvalidRequest
from orcestator.json_text import Json, dumps

_MADE_UP = "_of_history"
"""How the ids end that we give to calls without one."""
LONGEST_ID = 40
"""Characters that OpenAI takes as the id of a tool call; Gemini CLI's are longer where the tool's name is."""
_ROLES = {None: "user", "user": "user", "function": "user", "tool": "user", "model": "model", "system": "system"}
_KNOWN = frozenset(
    {
        "text",
        "thought",
        "thoughtSignature",
        "inlineData",
        "fileData",
        "functionCall",
        "functionResponse",
        "partMetadata",
    }
)


@dataclass(slots=True)
class _Turn:
    """One content while it is read."""

    content: list[Json] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    details: list[Json] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)
    images: list[Json] = field(default_factory=list)
    results: list[Json] = field(default_factory=list)


@dataclass(slots=True)
class Messages:
    """The canonical messages as they grow. ``dropped`` names what they cannot hold."""

    dropped: list[str]
    made: list[Json] = field(default_factory=list)
    _open: list[Json] = field(default_factory=list)
    _calls: int = 0

    def instruct(self, instruction: Any) -> None:
        """Take the system instruction: a content, its parts, or just text. Raises InvalidRequest for anything else."""
        if instruction is None:
            return
        if isinstance(instruction, str):
            wire: Json = {"parts": [{"text": instruction}]}
        else:
            wire = instruction if isinstance(instruction, dict) else {"parts": instruction}
        text = "\n".join(self._texts(wire, "systemInstruction"))
        if text:
            self.made.append({"role": "system", "content": text})

    def read(self, contents: Any) -> None:
        """Take the contents. Raises InvalidRequest for what is no list of contents."""
        for place, wire in enumerate(objects_field({"contents": contents}, "contents", "contents")):
            self._content(wire, f"contents[{place}]")

    def _texts(self, wire: Json, param: str) -> list[str]:
        parts = self._parts(wire, param)
        if any("text" not in part for part in parts):
            self.dropped.append(f"{param}.parts")
        return [part["text"] for part in parts if isinstance(part.get("text"), str) and part["text"]]

    def _parts(self, wire: Json, param: str) -> list[Json]:
        parts = wire.get("parts")
        if isinstance(parts, list):
            parts = [{"text": part} if isinstance(part, str) else part for part in parts]
        return objects_field({"parts": parts}, "parts", f"{param}.parts")

    def _content(self, wire: Json, param: str) -> None:
        given = wire.get("role")
        role = _ROLES.get(given or None) if isinstance(given, str | None) else None
        if role is None:
            raise InvalidRequest(f'{param}.role must be "user" or "model".', param=f"{param}.role")
        if role == "system":
            self.instruct(wire)
            return
        turn = _Turn()
        for place, part in enumerate(self._parts(wire, param)):
            self._part(part, turn, f"{param}.parts[{place}]")
        if role == "model":
            self._say_model(turn)
        else:
            self._say_user(turn)

    def _part(self, part: Json, turn: _Turn, param: str) -> None:
        signature = wire_field(part, "thoughtSignature")
        if wire_field(part, "functionCall") is not None:
            turn.calls.append(self._call(object_field(part, "functionCall", f"{param}.functionCall"), signature, param))
        elif wire_field(part, "functionResponse") is not None:
            turn.results.append(
                self._result(object_field(part, "functionResponse", f"{param}.functionResponse"), param)
            )
        elif (media := media_part(part)) is not None:
            turn.content.append(media | call_extra(signature))
        else:
            self._text(part, turn, param)
            turn.details += detail_of(signature)
        self.dropped += [f"contents.{name}" for name in others(part, _KNOWN)]

    def _text(self, part: Json, turn: _Turn, param: str) -> None:
        text = part.get("text")
        if text is not None and not isinstance(text, str):
            raise InvalidRequest(f"{param}.text must be a text; send a string.", param=f"{param}.text")
        if text and part.get("thought") is True:
            turn.thoughts.append(text)
        elif text:
            turn.content.append({"type": "text", "text": text})

    def _call(self, wire: Json, signature: Any, param: str) -> Json:
        name = text_field(wire, "name", f"{param}.functionCall.name")
        arguments = object_field(wire, "args", f"{param}.functionCall.args")
        self._calls += 1
        call = {
            "id": _id_of(wire) or f"call_{self._calls}{_MADE_UP}",
            "type": "function",
            "function": {"name": name, "arguments": dumps(arguments).decode()},
        }
        return call | call_extra(signature)

    def _result(self, wire: Json, param: str) -> Json:
        name = text_field(wire, "name", f"{param}.functionResponse.name")
        response = object_field(wire, "response", f"{param}.functionResponse.response")
        content: Any = dumps(response).decode()
        is_error = False
        for key in ("output", "error"):
            if list(response) == [key]:
                content, is_error = _told(response[key]), key == "error"
        inside = objects_field(wire, "parts", f"{param}.functionResponse.parts")
        media = [made for part in inside if (made := media_part(part)) is not None]
        if media:
            content = [{"type": "text", "text": content}, *media]
        result = {"role": "tool", "tool_call_id": self._answered(_id_of(wire), name), "content": content}
        return result | ({"is_error": True} if is_error else {})

    def _answered(self, given: str, name: str) -> str:
        """The id of the call that a result belongs to, which is then no longer open."""
        fits = [call for call in self._open if call["id"] == given] or [
            call
            for call in self._open
            if call["function"]["name"] == name and (not given or call["id"].endswith(_MADE_UP))
        ]
        if not fits:
            self._calls += 1
            return given or f"call_{self._calls}{_MADE_UP}"
        self._open.remove(fits[0])
        return str(fits[0]["id"])

    def _say_user(self, turn: _Turn) -> None:
        self.made += turn.results
        if turn.content:
            self._open.clear()
        content = turn.content
        if len(content) == 1 and content[0]["type"] == "text":
            self.made.append({"role": "user", "content": content[0]["text"]})
        elif content:
            self.made.append({"role": "user", "content": content})

    def _say_model(self, turn: _Turn) -> None:
        images = [part for part in turn.content if part["type"] == "image_url"]
        if any(part["type"] not in ("image_url", "text") for part in turn.content):
            self.dropped.append("contents.inlineData")
        text = "".join(part["text"] for part in turn.content if part["type"] == "text")
        message: Json = {"role": "assistant", "content": text or None}
        if turn.thoughts:
            message["reasoning_content"] = "".join(turn.thoughts)
        for name, value in (("reasoning_details", turn.details), ("tool_calls", turn.calls), ("images", images)):
            if value:
                message[name] = value
        if len(message) == 2 and not text:
            return
        self._open += turn.calls
        if self.made and self.made[-1]["role"] == "assistant":
            # Google's own SDK keeps each piece of a streamed turn as a content of its own.
            message = _joined(self.made.pop(), message)
        self.made.append(message)


def _joined(first: Json, second: Json) -> Json:
    """Two assistant messages in a row as the one turn that they are."""
    made = {**first, **second}
    made["content"] = "".join(message["content"] or "" for message in (first, second)) or None
    for name in ("reasoning_content", "reasoning_details", "tool_calls", "images"):
        if name in first and name in second:
            made[name] = first[name] + second[name]
    return made


def _told(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value).decode()


def _id_of(wire: Json) -> str:
    """The id that a call or result came with, "" for none; one too long for others is shortened, always alike."""
    given = wire.get("id")
    if not isinstance(given, str) or len(given) <= LONGEST_ID:
        return given if isinstance(given, str) else ""
    return "call_" + blake2b(given.encode("utf-8", "replace"), digest_size=16).hexdigest()
