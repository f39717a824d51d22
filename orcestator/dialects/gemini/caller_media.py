"""Media in a caller's parts to canonical content parts.

https://ai.google.dev/api/caching#Blob (checked 2026-11). Python's SDK sends bytes in the URL-safe alphabet of base64,
which the API takes and data URLs do not (google-genai 3.4.0).
"""

from typing import Any

from orcestator.dialects.gemini.fields import field
from orcestator.json_text import Json

_STANDARD = str.maketrans("-_", "+/")
_AUDIO = {"mpeg": "mp3", "mp3": "mp3", "x-wav": "wav", "wave": "wav", "wav": "wav"}


def media_part(wire: Json) -> Json | None:
    """The canonical part of a part with ``inlineData`` or ``fileData``; None for one that has neither."""
    blob, file = field(wire, "inlineData"), field(wire, "fileData")
    if isinstance(blob, dict) and isinstance(blob.get("data"), str):
        return _inline(_kind(blob), _standard(blob["data"]), field(blob, "displayName"))
    if isinstance(file, dict) and isinstance(field(file, "fileUri"), str):
        return _referred(_kind(file), field(file, "fileUri"), field(file, "displayName"))
    return None


def _kind(wire: Json) -> str:
    kind = field(wire, "mimeType")
    return kind.lower() if isinstance(kind, str) and kind else "application/octet-stream"


def _standard(data: str) -> str:
    plain = data.translate(_STANDARD).rstrip("=")
    return plain + "=" * (-len(plain) % 4)


def _inline(kind: str, data: str, name: Any) -> Json:
    url = f"data:{kind};base64,{data}"
    if kind.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    if kind.startswith("audio/"):
        sound = kind.partition("/")[2].partition(";")[0]
        return {"type": "input_audio", "input_audio": {"data": data, "format": _AUDIO.get(sound, sound)}}
    if kind.startswith("video/"):
        return {"type": "video_url", "video_url": {"url": url}}
    return {"type": "file", "file": {"filename": _name(name, kind), "file_data": url}}


def _referred(kind: str, uri: str, name: Any) -> Json:
    if kind.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": uri}}
    if kind.startswith("video/"):
        return {"type": "video_url", "video_url": {"url": uri}}
    return {"type": "file", "file": {"filename": _name(name or uri.rpartition("/")[2], kind), "file_data": uri}}


def _name(name: Any, kind: str) -> str:
    """A file's name: the canonical file part wants one, and its ending tells the type."""
    return name if isinstance(name, str) and name else f"file.{kind.partition('/')[2].partition(';')[0]}"
