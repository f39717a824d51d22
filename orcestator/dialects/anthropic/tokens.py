"""An estimate for ``/v1/messages/count_tokens``, where the target cannot count.

Images by platform.claude.com/docs/en/build-with-claude/vision (checked 2026-11): one token for every patch of 28 by 28
pixels, after an image over the limits was made smaller. Text by a usual figure; nothing here is a tokenizer.
"""

import base64
import binascii
from typing import Any

from orcestator.dialects.canonical import data_url, parts_of
from orcestator.json_text import Json, dumps

BYTES_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4
PATCH_PIXELS = 28
MOST_IMAGE_TOKENS = 1568
"""Of models without high resolution; also for an image whose size cannot be told."""
PDF_BYTES_PER_PAGE = 50_000
TOKENS_PER_PAGE = 2000
"""Of a page of text; Anthropic names 1,500 to 3,000 (…/docs/en/build-with-claude/pdf-support)."""
_HEAD_CHARS = 64 * 1024
"""Of base64 that hold an image's size: a JPEG has it behind its metadata."""
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def count_estimate(call: Json) -> int:
    """Input tokens of a canonical call, roughly: messages, tools, images and documents."""
    messages = call.get("messages")
    listed = [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []
    count = sum(TOKENS_PER_MESSAGE + _content_tokens(message) + _call_tokens(message) for message in listed)
    return count + (_json_tokens(call["tools"]) if call.get("tools") else 0)


def _content_tokens(message: Json) -> int:
    return sum(_part_tokens(part) for part in parts_of(message.get("content")))


def _call_tokens(message: Json) -> int:
    kept = [message[name] for name in ("tool_calls", "reasoning_content") if message.get(name)]
    return sum(map(_json_tokens, kept))


def _part_tokens(part: Json) -> int:
    image, file = part.get("image_url"), part.get("file")
    if part.get("type") == "text" and isinstance(part.get("text"), str):
        return _byte_tokens(len(part["text"].encode("utf-8", "replace")))
    if part.get("type") == "image_url" and isinstance(image, dict):
        return _image_tokens(image.get("url"))
    if part.get("type") == "file" and isinstance(file, dict) and isinstance(file.get("file_data"), str):
        return TOKENS_PER_PAGE * max(1, len(file["file_data"]) * 3 // 4 // PDF_BYTES_PER_PAGE)
    return 0


def _json_tokens(value: Any) -> int:
    return _byte_tokens(len(dumps(value)))


def _byte_tokens(size: int) -> int:
    return -(-size // BYTES_PER_TOKEN)


def _image_tokens(url: object) -> int:
    inline = data_url(url) if isinstance(url, str) else None
    size = _pixels(inline.data[:_HEAD_CHARS]) if inline else None
    if size is None:
        return MOST_IMAGE_TOKENS
    width, height = size
    return min(MOST_IMAGE_TOKENS, max(1, -(-width // PATCH_PIXELS) * -(-height // PATCH_PIXELS)))


def _pixels(head: str) -> tuple[int, int] | None:
    """Width and height of a PNG, GIF or JPEG by its first bytes; None when they cannot be told."""
    try:
        data = base64.b64decode(head[: len(head) // 4 * 4])
    except (binascii.Error, ValueError):
        return None
    if data.startswith(b"\x89PNG") and len(data) >= 24:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if data.startswith(b"GIF8") and len(data) >= 10:
        return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    return _jpeg_pixels(data) if data.startswith(b"\xff\xd8") else None


def _jpeg_pixels(data: bytes) -> tuple[int, int] | None:
    place = 2
    while place + 9 <= len(data) and data[place] == 0xFF:
        if data[place + 1] in _JPEG_SIZES:
            return int.from_bytes(data[place + 7 : place + 9], "big"), int.from_bytes(
                data[place + 5 : place + 7], "big"
            )
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None
