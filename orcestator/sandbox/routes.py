"""The routes that take a model: which dialect a path speaks, who reads its requests and who answers them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from orcestator.sandbox import models
from orcestator.sandbox.call import Call, read_call
from orcestator.sandbox.dialects import (
    anthropic,
    chat,
    cohere,
    gemini,
    gemini_openai,
    legacy,
    media,
    ollama,
    responses,
    yandex,
)
from orcestator.sandbox.settings import SandboxSettings
from orcestator.sandbox.wire.http import Request
from orcestator.sandbox.wire.script import Answer


class Route(NamedTuple):
    """One route: its dialect, its answer, how a request is read, and whether chat faults can spoil it."""

    dialect: str
    answer: Callable[[Call], Answer]
    read: Callable[[Request, int, SandboxSettings], Call] = read_call
    is_chat: bool = False

    def call(self, request: Request, number: int, settings: SandboxSettings) -> Call:
        """The request understood. Raises ``Refused``."""
        return replace(self.read(request, number, settings), dialect=self.dialect, is_chat=self.is_chat)


OPENAI: Mapping[str, Route] = {
    "/v1/chat/completions": Route("openai", chat.answer, is_chat=True),
    "/v1/completions": Route("openai", legacy.answer),
    "/v1/embeddings": Route("openai", media.embeddings),
    "/v1/images/generations": Route("openai", media.images),
    "/v1/audio/speech": Route("openai", media.speech),
    "/v1/audio/transcriptions": Route("openai", media.transcriptions),
    "/v1/audio/translations": Route("openai", media.transcriptions),
    "/v1/moderations": Route("openai", media.moderations),
}
OTHERS: Mapping[str, Route] = {
    "/v1/responses": Route("responses", responses.answer, is_chat=True),
    "/v1/messages": Route("anthropic", anthropic.answer, anthropic.read, is_chat=True),
    "/v1/messages/count_tokens": Route("anthropic", anthropic.count_tokens, anthropic.read),
    "/v1beta/openai/chat/completions": Route("gemini-openai", gemini_openai.answer, gemini_openai.read, is_chat=True),
    "/v1beta/openai/embeddings": Route("gemini-openai", media.embeddings, gemini_openai.read),
    "/foundationModels/v1/completion": Route("yandex", yandex.answer, yandex.read, is_chat=True),
    "/v2/chat": Route("cohere", cohere.answer, cohere.read, is_chat=True),
    "/api/chat": Route("ollama", ollama.answer, ollama.read, is_chat=True),
    "/api/show": Route("ollama", ollama.show, ollama.read),
}
GEMINI: Mapping[str, Route] = {
    "generateContent": Route("gemini", gemini.answer, gemini.read, is_chat=True),
    "streamGenerateContent": Route("gemini", gemini.answer, gemini.read, is_chat=True),
    "countTokens": Route("gemini", gemini.count_tokens, gemini.read),
}
LISTS: Mapping[str, Callable[[Request], Answer]] = {
    "/v1beta/models": gemini.listed,
    "/v1beta/openai/models": gemini_openai.listed,
    "/api/tags": ollama.tags,
    "/api/version": ollama.version,
}


def find(path: str) -> Route | None:
    """The route of a path that takes a model."""
    if path.startswith(gemini.MODEL_PATH):
        return GEMINI.get(gemini.model_and_action(path)[1])
    return OPENAI.get(path) or OTHERS.get(path)


def listing(path: str) -> Callable[[Request], Answer] | None:
    """What answers a path that only shows what there is."""
    return LISTS.get(path) or (gemini.card if path.startswith(gemini.MODEL_PATH) else None)


def dialect_of(path: str) -> str:
    """The dialect that a path belongs to, known or not."""
    starts = {"/v1beta/openai/": "gemini-openai", "/v1beta/": "gemini", "/api/": "ollama", "/v2/": "cohere"}
    starts |= {"/foundationModels/": "yandex", "/v1/messages": "anthropic"}
    return next((dialect for start, dialect in starts.items() if path.startswith(start)), "openai")


def good_answer(call: Call) -> Answer:
    """The answer without any fault. Raises ``Refused`` for a model the sandbox does not have (404) or a bad body."""
    route = find(call.path)
    if route is None:
        raise LookupError(call.path)
    if call.model.fault is None:
        models.require(call.model.base)
    return route.answer(call)
