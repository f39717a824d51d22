"""Which path is which model route, in every dialect that callers speak."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from orcestator.dialects.anthropic.caller import CALLER as ANTHROPIC
from orcestator.dialects.canonical import CallerDialect, ReadCall
from orcestator.dialects.gemini import embeddings
from orcestator.dialects.gemini.caller import ARRAY_CALLER
from orcestator.dialects.gemini.caller import CALLER as GEMINI
from orcestator.dialects.ollama import catalog as ollama
from orcestator.dialects.ollama.caller import CHAT as OLLAMA
from orcestator.dialects.ollama.caller import GENERATE, chat_load, generate_load
from orcestator.dialects.responses.caller import CALLER as RESPONSES
from orcestator.gateway.gateway import Route
from orcestator.json_text import Json

GEMINI_ARRAY = replace(ARRAY_CALLER, name="gemini-array")
"""Without ``alt=sse`` a stream is one JSON array, which no upstream is asked for: never relayed as it comes."""
OLLAMA_EMBED = replace(
    OLLAMA,
    name="ollama-embed",
    read=ollama.embed_call,
    reply=lambda reply, terms: ollama.embed_reply(reply, terms.model),
)
OLLAMA_EMBEDDINGS = replace(
    OLLAMA,
    name="ollama-embeddings",
    read=ollama.embeddings_call,
    reply=lambda reply, _terms: ollama.embeddings_reply(reply),
)
"""The older route, for one text."""
_CHAT = "/chat/completions"

_OPENAI: Mapping[str, Route] = {
    "/v1/chat/completions": Route("chat", "chat", _CHAT),
    "/v1/completions": Route("completions", "completions", "/completions"),
    "/v1/embeddings": Route("embeddings", "embeddings", "/embeddings"),
    "/v1/images/generations": Route("images", "images", "/images/generations"),
    "/v1/images/edits": Route("images", "images", "/images/edits", multipart=True),
    "/v1/images/variations": Route("images", "images", "/images/variations", multipart=True),
    "/v1/moderations": Route("moderations", "moderations", "/moderations"),
    "/v1/audio/speech": Route("audio", "audio", "/audio/speech"),
    "/v1/audio/transcriptions": Route("audio", "audio", "/audio/transcriptions", multipart=True),
    "/v1/audio/translations": Route("audio", "audio", "/audio/translations", multipart=True),
}
MODEL_ROUTES: Mapping[str, Route] = {
    **_OPENAI,
    # ``/api/v1/…`` is where FastChat's own chat route is, and where other routers put theirs, with the cost in the answer.
    **{f"/api{path}": replace(route, tells_cost=True) for path, route in _OPENAI.items()},
    # Copilot's next-edit suggestions leave ``/v1`` out.
    "/chat/completions": _OPENAI["/v1/chat/completions"],
    "/v1/responses": Route("responses", "chat", _CHAT, caller=RESPONSES, keeps=True),
    "/v1/messages": Route("messages", "chat", _CHAT, caller=ANTHROPIC),
    "/api/chat": Route("ollama", "chat", _CHAT, caller=OLLAMA, at_once=chat_load),
    "/api/generate": Route("ollama", "chat", _CHAT, caller=GENERATE, at_once=generate_load),
    "/api/embed": Route("embeddings", "embeddings", "/embeddings", caller=OLLAMA_EMBED),
    "/api/embeddings": Route("embeddings", "embeddings", "/embeddings", caller=OLLAMA_EMBEDDINGS),
}
_GEMINI = Route("gemini", "chat", _CHAT, caller=GEMINI)
_GEMINI_ARRAY = Route("gemini", "chat", _CHAT, caller=GEMINI_ARRAY)


def _gemini_embedding(read: Callable[[Json], ReadCall], reply: Callable[[Json], Json]) -> Route:
    """One of Gemini's two verbs for embeddings."""
    caller = replace(GEMINI, name="gemini-embed", read=read, reply=lambda whole, _terms: reply(whole))
    return Route("embeddings", "embeddings", "/embeddings", caller=caller)


_EMBEDDING = {
    "embedContent": _gemini_embedding(embeddings.embed_call, embeddings.embed_reply),
    "batchEmbedContents": _gemini_embedding(embeddings.batch_call, embeddings.batch_reply),
}
GEMINI_VERBS = ("generateContent", "streamGenerateContent", "countTokens", *_EMBEDDING)
GEMINI_PREFIXES = ("/v1beta/models/", "/v1alpha/models/", "/v1/models/")
"""Google's SDK has said v1 since its third version, which is where OpenAI's callers look up one model."""
_BARE_PREFIXES = ("/v1beta/", "/v1alpha/", "/v1/")


class ModelRow(NamedTuple):
    """A path at which a model is asked. Where it has a name in it, that is the model's."""

    path: str
    route: Route
    streams: bool | None = None
    """Whether the answer is a stream, where the path says it."""
    as_events: Route | None = None
    """The route of those who ask with ``alt=sse``."""

    def route_for(self, query: bytes) -> Route:
        """The route that a query asks for."""
        return self.as_events if self.as_events is not None and b"alt=sse" in query else self.route

    def body_fields(self, name: str) -> Json | None:
        """The fields of the body that the path holds."""
        if not name:
            return None
        return {"model": name} if self.streams is None else {"model": name, "stream": self.streams}


def _gemini_rows(prefix: str) -> list[ModelRow]:
    return [
        ModelRow(f"{prefix}{{}}:generateContent", _GEMINI, streams=False),
        ModelRow(f"{prefix}{{}}:streamGenerateContent", _GEMINI_ARRAY, streams=True, as_events=_GEMINI),
        *(ModelRow(f"{prefix}{{}}:{verb}", route) for verb, route in _EMBEDDING.items()),
    ]


MODEL_ROWS: tuple[ModelRow, ...] = (
    *(ModelRow(path, route) for path, route in MODEL_ROUTES.items()),
    ModelRow("/v1/engines/{}/completions", _OPENAI["/v1/completions"]),
    *(row for prefix in (*GEMINI_PREFIXES, *_BARE_PREFIXES) for row in _gemini_rows(prefix)),
)
"""Every path at which a model is asked, each with POST."""


def caller_at(path: str, method: str = "") -> CallerDialect | None:
    """The dialect in which a path's callers expect their errors; None is OpenAI's."""
    if path.startswith("/v1/messages"):
        return ANTHROPIC
    if path.startswith(("/v1beta/", "/v1alpha/")) or path.rpartition(":")[2] in GEMINI_VERBS:
        return GEMINI
    if method == "POST" and path.startswith("/v1/models/"):
        # OpenAI has nothing to post there; Google's SDK has said v1 since its third version.
        return GEMINI
    return OLLAMA if path.startswith("/api/") and not path.startswith("/api/v1/") else None
