"""How many tokens a call has, roughly: no upstream is asked.

https://ai.google.dev/gemini-api/docs/tokens (checked 2026-11): about 4 characters a token, 258 tokens a small image
or a page.
"""

from orcestator.dialects.canonical import parts_of, text_of
from orcestator.json_text import Json, dumps

BYTES_PER_TOKEN = 4
TOKENS_PER_MEDIUM = 258


def count_estimate(call: Json) -> int:
    """Tokens of a canonical call's messages and tools."""
    size = len(dumps(call["tools"])) if call.get("tools") else 0
    media = 0
    for message in call.get("messages", []):
        size += len(text_of(message.get("content")).encode("utf-8", "replace"))
        size += len(dumps(message["tool_calls"])) if message.get("tool_calls") else 0
        media += sum(part.get("type") != "text" for part in parts_of(message.get("content")))
    return -(-size // BYTES_PER_TOKEN) + media * TOKENS_PER_MEDIUM
