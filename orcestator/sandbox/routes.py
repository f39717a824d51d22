"""The routes of the dialect that take a model: path to answer."""

from collections.abc import Callable, Mapping

from orcestator.sandbox import chat, legacy, media, models
from orcestator.sandbox.call import Call
from orcestator.sandbox.script import Answer

ROUTES: Mapping[str, Callable[[Call], Answer]] = {
    "/v1/chat/completions": chat.answer,
    "/v1/completions": legacy.answer,
    "/v1/embeddings": media.embeddings,
    "/v1/images/generations": media.images,
    "/v1/audio/speech": media.speech,
    "/v1/audio/transcriptions": media.transcriptions,
    "/v1/audio/translations": media.transcriptions,
    "/v1/moderations": media.moderations,
}


def good_answer(call: Call) -> Answer:
    """The answer without any fault. Raises ``Refused`` for a model the sandbox does not have (404) or a bad body."""
    if call.model.fault is None:
        models.require(call.model.base)
    return ROUTES[call.path](call)
