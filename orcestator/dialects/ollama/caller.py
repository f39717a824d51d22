"""Callers that speak Ollama's own dialect: ``/api/chat`` and ``/api/generate``.

Before ``read`` a route asks ``chat_load`` or ``generate_load``: a request with nothing to answer only loads the model,
and is answered at once by one JSON object, streaming or not.
"""

from functools import partial

from orcestator.dialects.canonical import CallerDialect, WriteTerms
from orcestator.dialects.ollama.read import chat_call, generate_call, only_loads
from orcestator.dialects.ollama.write import LineWriter, error_body, loaded, said_in_chat, said_in_text, whole
from orcestator.json_text import Json

STREAM_TYPE = "application/x-ndjson"

CHAT = CallerDialect(
    name="ollama",
    read=chat_call,
    reply=partial(whole, said=said_in_chat),
    writer=partial(LineWriter, said=said_in_chat),
    error=error_body,
    stream_type=STREAM_TYPE,
    keep_alive=b"",
)
CALLER = CHAT
GENERATE = CallerDialect(
    name="ollama-generate",
    read=generate_call,
    reply=partial(whole, said=said_in_text),
    writer=partial(LineWriter, said=said_in_text),
    error=error_body,
    stream_type=STREAM_TYPE,
    keep_alive=b"",
)


def chat_load(body: Json, terms: WriteTerms) -> Json | None:
    """The answer to a chat request without messages, else None."""
    reason = only_loads(body, "messages")
    return None if reason is None else loaded(reason, terms, said_in_chat)


def generate_load(body: Json, terms: WriteTerms) -> Json | None:
    """The answer to a generate request without a prompt, else None."""
    reason = only_loads(body, "prompt")
    return None if reason is None else loaded(reason, terms, said_in_text)
