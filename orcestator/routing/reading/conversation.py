"""Which conversation a request belongs to: what sticky routing keeps together.

The rule is OpenRouter's (https://openrouter.ai/docs/guides/best-practices/prompt-caching, checked 2026-11): an id that the caller
gives, or else its first system and first user message, which every later turn repeats.
"""

import re
from collections.abc import Mapping
from hashlib import blake2b
from itertools import islice
from typing import Any

from orcestator.json_text import Json

HEADERS = (b"x-orcestator-conversation", b"x-session-id", b"x-claude-code-session-id")
"""The last is Claude Code's (https://code.claude.com/docs/en/llm-gateway-protocol, checked 2026-11)."""
AGENT_HEADER = b"x-claude-code-agent-id"
"""Beside it: which of the session's agents asks. Each has a prompt, and so a conversation, of its own."""
FIELDS = ("session_id", "prompt_cache_key")
_ATTRIBUTION = re.compile(r"x-anthropic-billing-header:[^\n\\'\"]*")
READ_CHARACTERS = 4096
"""Of each message: the beginning is what a prompt cache matches."""
READ_PARTS = 64
DEEPEST_READ = 8


def conversation_key(call: Json, headers: Mapping[bytes, bytes]) -> str:
    """A text that is the same for every turn of a conversation and tells nothing of it; "" where there is nothing to go by.

    It is a digest, and after a point the digest of the system prompt alone where there is one.
    """
    system, user = _opening(call.get("messages"))
    given = next((headers[name] for name in HEADERS if headers.get(name)), b"")
    if given and headers.get(AGENT_HEADER):
        given = b"%b\0%b" % (given, headers[AGENT_HEADER])
    if not given:
        given = next((_encoded(text) for name in FIELDS if isinstance(text := call.get(name), str) and text), b"")
    own = given or (_encoded(f"{system}\0{user}") if system or user else b"")
    if not own:
        return ""
    return f"{_digest(own)}.{_digest(_encoded(system))}" if system else _digest(own)


def cache_keys(conversation: str) -> tuple[str, ...]:
    """Where a conversation's prompt may be cached: under itself, then under its system prompt."""
    if not conversation:
        return ()
    own, _, system = conversation.partition(".")
    return (own, system) if system else (own,)


def _opening(messages: Any) -> tuple[str, str]:
    """The beginnings of the first system and the first user message."""
    system = user = ""
    for message in messages if isinstance(messages, list) else ():
        role = message.get("role") if isinstance(message, dict) else None
        if role in ("system", "developer") and not system:
            system = _without_attribution(_beginning(message.get("content")))
        elif role == "user":
            user = _beginning(message.get("content"))
            break
    return system, user


def _without_attribution(system: str) -> str:
    """A system prompt without the line by which Claude Code tells Anthropic its version, and once told a new number with
    every request: it would make one prompt look like many."""
    return _ATTRIBUTION.sub("", system)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _digest(text: bytes) -> str:
    return blake2b(text, digest_size=12).hexdigest()


def _beginning(content: Any) -> str:
    """The first characters of a message's content, whatever it is: its text may be long, and a picture is."""
    return str(_clipped(content, DEEPEST_READ))[:READ_CHARACTERS]


def _clipped(value: Any, depth: int) -> Any:
    if type(value) is str:
        return value[:READ_CHARACTERS]
    if type(value) is list and depth:
        return [_clipped(one, depth - 1) for one in value[:READ_PARTS]]
    if type(value) is dict and depth:
        return {name: _clipped(one, depth - 1) for name, one in islice(value.items(), READ_PARTS)}
    return None if type(value) in (list, dict) else value
