"""A caller's generateContent body to the canonical call.

https://ai.google.dev/api/generate-content (checked 2026-11); recorded from Gemini CLI 0.61.0. ``model`` and
``stream`` are in the path there; the route puts them into the body.
"""

from orcestator.dialects.canonical import ReadCall
from orcestator.dialects.gemini.caller_config import canonical_config
from orcestator.dialects.gemini.caller_contents import Messages
from orcestator.dialects.gemini.caller_tools import canonical_tools
from orcestator.dialects.gemini.fields import field, others, text_field
from orcestator.errors import InvalidRequest
from orcestator.json_text import Json

_READ = frozenset(
    {"model", "stream", "contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "cachedContent"}
)


def canonical_call(body: Json) -> ReadCall:
    """The call. Raises InvalidRequest for what cannot be understood, and for content that only Google holds."""
    dropped: list[str] = []
    model = text_field(body, "model", "model").removeprefix("models/")
    if field(body, "cachedContent"):
        raise InvalidRequest(
            "cachedContent names content that is stored at Google under another key; send that content in contents.",
            param="cachedContent",
        )
    messages = Messages(dropped)
    messages.instruct(field(body, "systemInstruction"))
    messages.read(body.get("contents"))
    if all(message["role"] == "system" for message in messages.made):
        raise InvalidRequest(
            'contents says nothing; send for example [{"role": "user", "parts": [{"text": "Hello"}]}].',
            param="contents",
        )
    call: Json = {"model": model, "messages": messages.made, "stream": body.get("stream") is True}
    call |= canonical_tools(body, dropped) | canonical_config(body, dropped)
    dropped += others(body, _READ)
    return ReadCall(call, tuple(dict.fromkeys(dropped)))
