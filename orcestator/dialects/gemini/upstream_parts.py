"""The parts of a candidate to what a canonical message or delta holds.

https://ai.google.dev/api/generate-content#v1beta.Candidate (checked 2026-11). Pictures go where OpenRouter has them
(``images``, https://openrouter.ai/docs/features/multimodal/image-generation). Code that Google runs on its side is only
asked for by callers who speak this dialect themselves, and then nothing is translated.
"""

from typing import Any

from orcestator.dialects.canonical import NewId
from orcestator.dialects.gemini.signatures import call_extra, detail_of
from orcestator.errors import UpstreamBroken
from orcestator.json_text import Json, dumps


def parts_in(candidate: Json) -> list[Json]:
    """The parts of a candidate; none when it has no content. Raises UpstreamBroken for what cannot be read."""
    content = candidate.get("content")
    parts = objects_of(content.get("parts") if isinstance(content, dict) else None)
    if not isinstance(content, dict | None):
        raise _unreadable()
    return parts


def objects_of(wire: Any) -> list[Json]:
    """A list of objects, empty where there is none. Raises UpstreamBroken for anything else: it may hold a part of the answer."""
    if wire is None:
        return []
    if not isinstance(wire, list) or not all(isinstance(one, dict) for one in wire):
        raise _unreadable()
    return wire


def _unreadable() -> UpstreamBroken:
    return UpstreamBroken("The upstream sent a part of its answer in a form that cannot be read.", cause="garbage")


def delta_of(part: Json, new_id: NewId) -> Json:
    """What one part adds to a message; {} for nothing. A tool call has no index yet."""
    signature = part.get("thoughtSignature")
    if isinstance(part.get("functionCall"), dict):
        return {"tool_calls": [_tool_call(part["functionCall"], new_id) | call_extra(signature)]}
    image = _image(part.get("inlineData"))
    if image and part.get("thought") is not True:
        return {"images": [image | call_extra(signature)]}
    delta: Json = {}
    text = part.get("text")
    if text:
        told = text if isinstance(text, str) else dumps(text).decode()
        delta["reasoning_content" if part.get("thought") is True else "content"] = told
    details = detail_of(signature)
    return delta | ({"reasoning_details": details} if details else {})


def _tool_call(wire: Json, new_id: NewId) -> Json:
    """A canonical call. Raises UpstreamBroken for one without a name."""
    name, call_id, arguments = wire.get("name"), wire.get("id"), wire.get("args")
    if not isinstance(name, str) or not name:
        raise UpstreamBroken("The upstream called a tool without naming it.", cause="nameless_tool_call")
    text = arguments if isinstance(arguments, str) and arguments else dumps(arguments or {}).decode()
    return {
        "id": call_id if isinstance(call_id, str) and call_id else new_id("call_"),
        "type": "function",
        "function": {"name": name, "arguments": text},
    }


def _image(blob: Any) -> Json:
    kind, data = (blob.get("mimeType"), blob.get("data")) if isinstance(blob, dict) else (None, None)
    if not isinstance(kind, str) or not isinstance(data, str) or not kind.startswith("image/"):
        return {}
    return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}
