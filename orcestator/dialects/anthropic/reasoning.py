"""Thinking blocks in the shape of ``reasoning_details``: what Anthropic wants back unchanged."""

from orcestator.dialects.canonical import ANTHROPIC_FORMAT
from orcestator.json_text import Json


def text_detail(text: str, signature: str, index: int) -> Json:
    """A thinking block. ``index`` counts the details of one answer."""
    return {
        "type": "reasoning.text",
        "text": text,
        "signature": signature,
        "format": ANTHROPIC_FORMAT,
        "index": index,
    }


def encrypted_detail(data: str, index: int) -> Json:
    """A redacted thinking block."""
    return {"type": "reasoning.encrypted", "data": data, "format": ANTHROPIC_FORMAT, "index": index}
