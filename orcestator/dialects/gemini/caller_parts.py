"""What a canonical message or delta holds, to the parts a caller gets.

https://ai.google.dev/api/caching#Part (checked 2026-11). Only signatures that a Gemini model issued go out: SDKs
decode them as base64, and no other issuer's means anything here.
"""

from typing import Any

from orcestator.dialects.canonical import data_url, reasoning_of, text_of
from orcestator.dialects.gemini.arguments import arguments_object
from orcestator.dialects.gemini.signatures import call_signature, detail_signature, own_details
from orcestator.json_text import Json, is_cut


def said_parts(message: Json, *, shows_thoughts: bool) -> list[Json]:
    """The parts of everything but tool calls, in the order in which a model says them."""
    parts: list[Json] = []
    thought = reasoning_of(message) if shows_thoughts else ""
    if thought:
        parts.append({"text": thought, "thought": True})
    text = text_of(message.get("content")) or message.get("refusal")
    if isinstance(text, str) and text:
        parts.append({"text": text})
    parts += _image_parts(message.get("images"))
    for signature in filter(None, map(detail_signature, own_details(message.get("reasoning_details")))):
        if parts and "thoughtSignature" not in parts[-1] and "text" in parts[-1]:
            parts[-1]["thoughtSignature"] = signature
        else:
            parts.append({"text": "", "thoughtSignature": signature})
    return parts


def call_part(call: Json) -> Json | None:
    """The part of a whole tool call, None for one without a name.

    Also for one that was cut, as the finish reason then says: a client would run it.
    """
    kind = "custom" if isinstance(call.get("custom"), dict) else "function"
    held = call.get(kind)
    name = held.get("name") if isinstance(held, dict) else None
    if not isinstance(held, dict) or not isinstance(name, str) or not name:
        return None
    if kind == "function" and isinstance(held.get("arguments"), str) and is_cut(held["arguments"]):
        return None
    arguments = {"input": held.get("input")} if kind == "custom" else arguments_object(held.get("arguments"))
    made: Json = {"name": name, "args": arguments}
    if isinstance(call.get("id"), str) and call["id"]:
        made = {"id": call["id"], **made}
    signature = call_signature(call)
    return {"functionCall": made} | ({"thoughtSignature": signature} if signature else {})


def _image_parts(images: Any) -> list[Json]:
    parts: list[Json] = []
    for image in images if isinstance(images, list) else []:
        held = image.get("image_url") if isinstance(image, dict) else None
        url = held.get("url") if isinstance(held, dict) else None
        inline = data_url(url) if isinstance(url, str) else None
        if inline is not None:
            signature = call_signature(image)
            part: Json = {"inlineData": {"mimeType": inline.media_type, "data": inline.data}}
            parts.append(part | ({"thoughtSignature": signature} if signature else {}))
    return parts
