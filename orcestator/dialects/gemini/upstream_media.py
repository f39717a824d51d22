"""Parts of a canonical message's content to Gemini's parts: texts, images, sounds, films, files.

https://ai.google.dev/api/caching#Part and python-genai 3.4.0, types.Blob and types.FileData, whose mimeType is required
(checked 2026-11).
"""

from typing import Any

from orcestator.dialects.canonical import data_url, parts_of
from orcestator.json_text import Json

_BY_ENDING = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif",
    "heic": "image/heic", "heif": "image/heif", "pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown",
    "csv": "text/csv", "html": "text/html", "json": "application/json", "mp4": "video/mp4", "mov": "video/quicktime",
    "webm": "video/webm", "mp3": "audio/mpeg", "wav": "audio/wav", "ogg": "audio/ogg", "flac": "audio/flac",
}  # fmt: skip
_AUDIO = {"mp3": "audio/mpeg", "pcm16": "audio/pcm"}
UNNAMED_IMAGE, UNNAMED_VIDEO, UNNAMED_FILE = "image/jpeg", "video/mp4", "application/pdf"
"""The type of a medium whose address does not tell it: the API demands one."""


def wire_parts(content: Any, dropped: list[str]) -> list[Json]:
    """A message's content as Gemini's parts; what has none is named in ``dropped``."""
    made = []
    for part in parts_of(content):
        wire = _wire_part(part, dropped)
        if wire is None:
            kind = part.get("type")
            dropped.append(f"messages.{kind if isinstance(kind, str) else 'content'}")
        else:
            made.append(wire)
        if part.get("cache_control"):
            dropped.append("cache_control")
    return made


def image_part(image: Any) -> Json | None:
    """The part for a canonical image, None for what is none."""
    return _addressed(_inside(image, "image_url", "url"), UNNAMED_IMAGE)


def _wire_part(part: Json, dropped: list[str]) -> Json | None:
    kind = part.get("type")
    if kind in ("text", "refusal", "input_text", "output_text"):
        text = part.get("refusal" if kind == "refusal" else "text")
        return {"text": text} if isinstance(text, str) else None
    if kind == "image_url":
        if _inside(part, "image_url", "detail") in ("low", "high"):
            dropped.append("messages.image_url.detail")
        return image_part(part)
    if kind == "video_url":
        return _addressed(_inside(part, "video_url", "url"), UNNAMED_VIDEO)
    if kind == "input_audio":
        return _audio(part)
    return _file(part) if kind == "file" else None


def _inside(part: Any, holder: str, name: str) -> Any:
    held = part.get(holder) if isinstance(part, dict) else None
    return held.get(name) if isinstance(held, dict) else held if name == "url" else None


def _addressed(url: Any, unnamed: str) -> Json | None:
    if not isinstance(url, str) or not url:
        return None
    inline = data_url(url)
    if inline is not None:
        return {"inlineData": {"mimeType": inline.media_type, "data": inline.data}}
    if url[:5].lower() == "data:":
        return None
    return {"fileData": {"mimeType": _guessed(url.partition("?")[0], unnamed), "fileUri": url}}


def _guessed(name: str, unnamed: str) -> str:
    return _BY_ENDING.get(name.rpartition(".")[2].lower(), unnamed)


def _audio(part: Json) -> Json | None:
    data, sound = _inside(part, "input_audio", "data"), _inside(part, "input_audio", "format")
    if not isinstance(data, str) or not isinstance(sound, str):
        return None
    return {"inlineData": {"mimeType": _AUDIO.get(sound, f"audio/{sound}"), "data": data}}


def _file(part: Json) -> Json | None:
    """A file by its data or address; a file id belongs to another service."""
    data, name = _inside(part, "file", "file_data"), _inside(part, "file", "filename")
    if not isinstance(data, str) or not data:
        return None
    kind = _guessed(name, UNNAMED_FILE) if isinstance(name, str) else UNNAMED_FILE
    if data.startswith(("data:", "http://", "https://", "gs://")):
        return _addressed(data, kind)
    return {"inlineData": {"mimeType": kind, "data": data}}
