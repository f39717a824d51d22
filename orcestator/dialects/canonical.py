"""The canonical call, and what a dialect has to give: between any two dialects stands the OpenAI chat body.

A **call**, a **reply** and a **chunk** are plain dicts in the shape of OpenAI's chat completions
(https://platform.openai.com/docs/api-reference/chat, checked 2026-11). What other dialects need beyond it rides in
these extension keys, which every translator reads and writes in the same way:

call
    ``reasoning``           ``{"max_tokens": n}`` a budget, ``{"enabled": false}`` none, ``{"exclude": true}`` not shown;
                            beside OpenAI's own ``reasoning_effort`` (none minimal low medium high xhigh max)
    ``top_k``               as Anthropic and Gemini have it
    ``cache_control``       Anthropic's mark on a content part or a tool
assistant message
    ``reasoning_content``   the reasoning as readable text
    ``reasoning_details``   a list of what the issuer wants back unchanged, in OpenRouter's shape: ``{"type":
                            "reasoning.text", "text", "signature"}``, ``{"type": "reasoning.encrypted", "data", "id"}``,
                            ``{"type": "reasoning.summary", "summary"}``; ``format`` names the issuer (``FORMATS``)
    ``tool_calls[].extra_content.google.thought_signature``     Gemini's, in the place where Google's own endpoint has it
tool message
    ``is_error``            the tool failed; ``content`` may be a list of parts, images among them

Translators are pure, never change what they are given, never invent a value that the API does not demand, and say in
``dropped`` what they had to leave out.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from orcestator.dialects.embeddings import Embedder
from orcestator.dialects.tool_names import PLAIN_NAMES, NameRule
from orcestator.errors import OrcestatorError
from orcestator.json_text import Json

NewId = Callable[[str], str]
"""Makes a fresh id that begins with the given prefix."""

ANTHROPIC_FORMAT = "anthropic-claude-v1"
GEMINI_FORMAT = "google-gemini-v1"
RESPONSES_FORMAT = "openai-responses-v1"
DEEPSEEK_FORMAT = "deepseek-v1"
FORMATS = frozenset({ANTHROPIC_FORMAT, GEMINI_FORMAT, RESPONSES_FORMAT, DEEPSEEK_FORMAT})
"""Whose reasoning it is (https://openrouter.ai/docs/use-cases/reasoning-tokens, checked 2026-11); DeepSeek's is ours."""


_REASONING_NAMES = ("reasoning_content", "reasoning", "reasoning_text", "thinking")
"""Where OpenAI-compatible upstreams put what can be read of the reasoning: DeepSeek, OpenRouter, what VS Code reads beside
these, and Ollama's own name for it."""


def reasoning_of(message: Json) -> str:
    """The readable reasoning of a message or a delta, whatever its upstream calls it; "" when there is none."""
    for name in _REASONING_NAMES:
        text = message.get(name)
        if isinstance(text, str) and text:
            return text
    return ""


class ReadCall(NamedTuple):
    """A caller's request understood. ``dropped`` names what the canonical call cannot hold."""

    call: Json
    dropped: tuple[str, ...] = ()


class WireCall(NamedTuple):
    """A call as an upstream takes it. ``path`` (with its query, if any) follows the base URL.

    ``dropped`` names what was left out, as a caller of the OpenAI dialect spells it: ``n``, ``logprobs``,
    ``tools.web_search``, ``messages.file``.
    """

    path: str
    body: Json
    dropped: tuple[str, ...] = ()


class Target(NamedTuple):
    """The deployment that a call is translated for.

    ``facts`` are those of the offer (``context_length``, ``max_output_tokens``, ``supported_parameters``,
    ``input_modalities``; each may be missing); ``fills`` are the provider's own words (Yandex: ``folder``).
    """

    provider: str
    model: str
    streamed: bool = False
    facts: Mapping[str, Any] = MappingProxyType({})
    fills: Mapping[str, str] = MappingProxyType({})

    @property
    def may_reason(self) -> bool:
        """Whether the model reasons, as far as anybody told us."""
        supported = self.facts.get("supported_parameters")
        return not supported or not {"reasoning", "reasoning_effort"}.isdisjoint(supported)


class ReadTerms(NamedTuple):
    """What is needed to read an upstream's answer. ``created`` is in epoch seconds."""

    provider: str
    new_id: NewId
    created: int = 0


class Reader(Protocol):
    """An upstream's stream, event by event. One object an answer."""

    def read(self, data: bytes) -> "str | list[Json] | None":
        """What one event (the bytes of its ``data``, or one line) means.

        A ``str`` is more text of choice 0 and nothing else: the hot path. A list holds canonical chunks, whose
        ``choices[]`` need an ``index``, a ``delta`` and at the end a ``finish_reason``, and whose ``usage``, cumulative, is
        the canonical one; the head (``id``, ``model``, ``created``) and roles may be missing. What has no shape of the dialect
        is handed on as it is, for the stream to judge; more than one finish reason may come. None is the upstream's
        word that the answer is whole (``message_stop``). Raises UpstreamError when the stream says that it failed,
        ``json_text.Forgiven`` before anything else for JSON whose characters have to be mended, and ValueError for what is
        not JSON.
        """


@dataclass(frozen=True, slots=True)
class UpstreamDialect:
    """How an upstream is spoken to: one constant a dialect."""

    name: str
    request: Callable[[Json, Target], WireCall]
    """Translates a call. It raises InvalidRequest only for what no target of this dialect could take."""
    reply: Callable[[Json, ReadTerms], Json]
    """Makes a canonical reply of the JSON of a 200. It raises UpstreamError for one that is none."""
    reader: Callable[[ReadTerms], Reader]
    error: Callable[[Any], Json]
    """Makes ``{message, type, code, param, retry_after}`` (each may be missing; seconds) of the parsed body of an error answer."""
    relay_path: Callable[[str, bool], str]
    """Where a body goes that came in this same dialect, by model and whether it streams."""
    clean: Callable[[Json], Json | None] | None = None
    """Takes out of such a body what we ourselves wrote in the issuer's name. None, as a field and as an answer: there is nothing."""
    count_path: Callable[[str], str] | None = None
    """Where such a body is counted instead of answered, by model."""
    limited: Callable[[Json, int], tuple[Json, list[str]]] | None = None
    """Gives such a body with an answer of at most so many tokens, and the names of what it lowered for that. None: callers do not
    speak this dialect."""
    tool_names: NameRule = PLAIN_NAMES
    """The names of tools that it takes; others get an alias on the way."""
    calls: bytes = b""
    """What every answer holds that has tool calls whose arguments are an object. Only such a one is read with the digits of its
    numbers kept."""
    embedder: Embedder | None = None
    """Its own API for embeddings."""
    is_lines: bool = False
    """A stream is one JSON a line instead of server-sent events."""
    names_events: bool = False
    """Events are told apart by an ``event:`` line that repeats their ``type``."""
    names_model: bool = True
    """The body says which model is meant, not the path."""
    takes_custom_tools: bool = False
    """It knows tools that take plain text; elsewhere they become functions."""


def always(path: str) -> Callable[[str, bool], str]:
    """The ``relay_path`` of a dialect with one path for every model; whether it streams is said in the body."""

    def relay_path(_model: str, _streamed: bool) -> str:
        return path

    return relay_path


class WriteTerms(NamedTuple):
    """What is needed to write an answer for a caller. ``call`` is the caller's own body (read only)."""

    model: str
    created: int
    new_id: NewId
    request_id: str = ""
    include_usage: bool = False
    prompt_tokens: int = 0
    """An estimate, for dialects that announce it before it is known."""
    call: Mapping[str, Any] = MappingProxyType({})


class Writer(Protocol):
    """A caller's stream. One object an answer; what it gives is sent as it is.

    It may rely on this: chunks are whole canonical ones with exactly one choice; the first of a choice has a role; tool
    calls come one after another, never interleaved nor with anything else between their pieces, with id, type and name in the first delta of each and only
    arguments in the rest; every choice ends in exactly one chunk with an empty delta and a ``finish_reason``.
    """

    def text(self, content: str) -> bytes:
        """More text of choice 0: what ``chunk`` would give for it, only faster. Never the first chunk of an answer."""

    def chunk(self, chunk: Json) -> bytes:
        """One chunk; b"" when there is nothing to say yet."""

    def end(self, usage: Json) -> bytes:
        """The end of a whole answer; ``usage`` is the canonical one, always with its three numbers."""

    def failure(self, error: OrcestatorError) -> bytes:
        """The end of a broken one, so that no client takes it for whole; also when nothing was written before."""


@dataclass(frozen=True, slots=True)
class CallerDialect:
    """How a caller is spoken to: one constant a dialect, with the same ``name`` as the upstream side of the same wire."""

    name: str
    read: Callable[[Json], ReadCall]
    """Makes the canonical call, with ``model`` and ``stream`` in it. It raises InvalidRequest whose ``param`` is the field as the caller
    spelled it, and tolerates fields that it does not know."""
    reply: Callable[[Json, WriteTerms], Json]
    """Makes the caller's body of a canonical reply."""
    writer: Callable[[WriteTerms], Writer]
    error: Callable[[OrcestatorError, str], Json]
    """Makes the caller's error body, with the id of the request where it has a place for it."""
    stream_type: str = "text/event-stream"
    """The content type of a stream."""
    keep_alive: bytes = b": keep-alive\n\n"
    """What may be sent before and between events; empty where the format has no such thing."""
    forwards: tuple[str, ...] = ()
    """Headers that go to an upstream of the same dialect."""
    id_header: str = "x-request-id"
    """The header of an answer that names the request."""


def parts_of(content: Any) -> list[Json]:
    """A message's content as a list of parts, whichever of its two shapes it came in; empty texts are left out."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if not isinstance(content, list):
        return []
    parts = [{"type": "text", "text": part} if isinstance(part, str) else part for part in content]
    return [
        part for part in parts if isinstance(part, dict) and not (part.get("type") == "text" and not part.get("text"))
    ]


def text_of(content: Any) -> str:
    """The text of a message's content, its parts joined."""
    return "".join(part["text"] for part in parts_of(content) if isinstance(part.get("text"), str))


LONGEST_MEDIA_TYPE = 1024


class DataUrl(NamedTuple):
    """``data:image/png;base64,…`` taken apart."""

    media_type: str
    data: str


_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)
_LOOKED_AT = 24
"""How much of the base64 is looked at: a kind is told by its first bytes."""


def first_bytes(data: str) -> bytes:
    """The first 18 bytes of what is base64; b"" where it is none."""
    try:
        return base64.b64decode(data[:_LOOKED_AT], validate=True)
    except (binascii.Error, ValueError):
        return b""


def image_kind(head: bytes) -> str | None:
    """The kind of image that begins with these bytes; None for what is no image that we know."""
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)


def data_url(url: str) -> DataUrl | None:
    """The parts of a base64 data URL, or None for any other address. An image is of the kind that its bytes say."""
    if url[:5].lower() != "data:":
        return None
    comma = url.find(",", 5, 5 + LONGEST_MEDIA_TYPE)  # what follows may be megabytes, which are copied once
    labels = url[5 : max(5, comma)].lower().split(";")
    if comma < 0 or labels[-1].strip() != "base64":
        return None
    data, label = url[comma + 1 :], labels[0].strip()
    kind = image_kind(first_bytes(data)) if label.partition("/")[0] in ("image", "", "application") else None
    return DataUrl(kind or label or "application/octet-stream", data)


EFFORT_SHARES: Mapping[str, float] = {
    "minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.95, "max": 0.95,
}  # fmt: skip
"""Reasoning efforts as shares of the output limit, where a budget in tokens is wanted
(https://openrouter.ai/docs/use-cases/reasoning-tokens, checked 2026-11)."""


def reasoning_budget(effort: str, output_limit: int, least: int, most: int) -> int:
    """A budget in tokens for an effort."""
    return max(least, min(most, int(output_limit * EFFORT_SHARES.get(effort, 0.5))))


def effort_of(budget: int, output_limit: int) -> str:
    """The nearest effort for a budget in tokens, of those that every model with efforts knows."""
    share = budget / max(1, output_limit)
    return min(("low", "medium", "high"), key=lambda effort: abs(EFFORT_SHARES[effort] - share))
