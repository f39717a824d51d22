"""Content parts of a canonical message to Anthropic's content blocks.

platform.claude.com/docs/en/build-with-claude/vision and …/pdf-support, types of anthropic-sdk-python 2.12 (checked
2026-11): images are JPEG, PNG, GIF or WebP, documents PDF or plain text; text without a visible character is refused.
"""

import base64
import binascii
from typing import Any

from orcestator.dialects.anthropic.dropped import Dropped
from orcestator.dialects.canonical import data_url, parts_of
from orcestator.json_text import Json

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_RENAMED_TYPES = {"image/jpg": "image/jpeg"}
PDF = "application/pdf"


def blocks_of(content: Any, dropped: Dropped) -> list[Json]:
    """The blocks of a user's or a tool's content; what no block can hold is named in ``dropped``."""
    blocks = []
    for part in parts_of(content):
        block = _block_of(part)
        if block is not None:
            blocks.append(_marked(block, part))
        elif part.get("type") != "text":
            dropped.add(f"messages.{part.get('type')}")
    return blocks


def text_blocks_of(content: Any, dropped: Dropped) -> list[Json]:
    """The blocks of content that can only be text: a system's or an assistant's."""
    blocks = []
    for part in parts_of(content):
        block = _refusal_block(part) or _text_block(part)
        if block is not None:
            blocks.append(_marked(block, part))
        elif part.get("type") not in ("text", "refusal"):
            dropped.add(f"messages.{part.get('type')}")
    return blocks


def text_block(text: str) -> Json | None:
    """A text block, or None for a text that the API refuses as empty."""
    return {"type": "text", "text": text} if text.strip() else None


def _block_of(part: Json) -> Json | None:
    match part.get("type"):
        case "text":
            return _text_block(part)
        case "image_url":
            return _image_block(part.get("image_url"))
        case "file":
            return _document_block(part.get("file"))
    return None


def _text_block(part: Json) -> Json | None:
    text = part.get("text")
    return text_block(text) if part.get("type") == "text" and isinstance(text, str) else None


def _refusal_block(part: Json) -> Json | None:
    refusal = part.get("refusal")
    return text_block(refusal) if part.get("type") == "refusal" and isinstance(refusal, str) else None


def _image_block(image: Any) -> Json | None:
    url = image.get("url") if isinstance(image, dict) else image
    if not isinstance(url, str):
        return None
    if url.startswith(("https://", "http://")):
        return {"type": "image", "source": {"type": "url", "url": url}}
    inline = data_url(url)
    if inline is None:
        return None
    media_type = _RENAMED_TYPES.get(inline.media_type, inline.media_type)
    if media_type not in IMAGE_TYPES:
        return None
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": inline.data}}


def _document_block(file: Any) -> Json | None:
    data = file.get("file_data") if isinstance(file, dict) else None
    source = _document_source(data) if isinstance(data, str) else None
    if source is None:
        return None
    title = file.get("filename")
    named = {"title": title} if isinstance(title, str) and title else {}
    return {"type": "document", "source": source, **named}


def _document_source(data: str) -> Json | None:
    if data.startswith(("https://", "http://")):
        return {"type": "url", "url": data}
    inline = data_url(data)
    if inline is None:
        return None
    if inline.media_type == PDF:
        return {"type": "base64", "media_type": PDF, "data": inline.data}
    text = _decoded(inline.data) if inline.media_type == "text/plain" else None
    return None if text is None else {"type": "text", "media_type": "text/plain", "data": text}


def _decoded(data: str) -> str | None:
    try:
        text = base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return text if text.strip() else None


def _marked(block: Json, part: Json) -> Json:
    mark = part.get("cache_control")
    return {**block, "cache_control": mark} if is_cache_mark(mark) else block


def is_cache_mark(mark: object) -> bool:
    """Whether this is a cache mark that the API knows."""
    return isinstance(mark, dict) and mark.get("type") == "ephemeral"
