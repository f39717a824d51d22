"""The rest of Ollama's API that its clients ask for: models, one model, running models, embeddings.

https://docs.ollama.com/api/tags, https://docs.ollama.com/api/embed and ``api/types.go`` of github.com/ollama/ollama
at v0.33.0-rc2 (checked 2026-11). What clients need of it: VS Code reads ``model``, ``capabilities`` and ``model_info``
and refuses versions before 0.6.4; Ollama's own extension reads ``name``, and spares models with a ``remote_host`` its
warnings about short contexts; ``ollama list`` cuts twelve characters off the digest.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from orcestator.dialects.canonical import ReadCall
from orcestator.dialects.ollama.read import model_of
from orcestator.errors import InvalidRequest, UpstreamBroken
from orcestator.json_text import Json

VERSION = "0.32.0"
"""The version of Ollama whose API this is."""
_ARCHITECTURE = "orcestator"
_NO_TIME = "1970-01-01T00:00:00Z"
_FOREVER = "9999-12-31T23:59:59Z"


class Card(NamedTuple):
    """A model on offer: its public name, who has it, and what is known of it (the keys of ``Target.facts``)."""

    name: str
    owner: str
    facts: Mapping[str, Any]


def tags(cards: Iterable[tuple[str, str, Mapping[str, Any]]]) -> Json:
    """``GET /api/tags``: every model."""
    return {"models": [_listed(Card(*card)) for card in cards]}


def show(name: str, facts: Mapping[str, Any], owner: str = _ARCHITECTURE) -> Json:
    """``POST /api/show``: one model. ``owner`` stands where Ollama has the architecture."""
    card = Card(name, owner, facts)
    context = _known(facts, "context_length")
    return {
        "details": _details(card),
        "model_info": {
            "general.architecture": owner,
            "general.basename": name,
            **{f"{owner}.{key}": value for key, value in context.items()},
        },
        "capabilities": capabilities(facts),
        "remote_model": name,
        "remote_host": owner,
        "modified_at": _NO_TIME,
        **context,
        **_known(facts, "max_output_tokens"),
    }


def running(cards: Iterable[tuple[str, str, Mapping[str, Any]]]) -> Json:
    """``GET /api/ps``: every model, for none has to be loaded."""
    return {"models": [_running(Card(*card)) for card in cards]}


def capabilities(facts: Mapping[str, Any]) -> list[str]:
    """What a model can do, in Ollama's words.

    A model of which no parameters are known is taken to call tools: VS Code hides others from its agent, and an
    upstream that cannot says so.
    """
    supported = set(facts.get("supported_parameters") or ("tools",))
    inputs = set(facts.get("input_modalities") or ())
    able = {
        "completion": True,
        "tools": "tools" in supported,
        "thinking": bool(supported & {"reasoning", "reasoning_effort"}),
        "vision": "image" in inputs,
        "audio": "audio" in inputs,
    }
    return [name for name, can in able.items() if can]


def embed_call(body: Json) -> ReadCall:
    """The canonical embeddings call of ``POST /api/embed``. Raises InvalidRequest."""
    entries = body.get("input")
    texts = [entries] if isinstance(entries, str) else entries
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise InvalidRequest("'input' must be a text or a list of texts, none of them empty.", param="input")
    call: Json = {"model": model_of(body), "input": entries}
    dimensions = body.get("dimensions")
    if not isinstance(dimensions, int | None) or isinstance(dimensions, bool):
        raise InvalidRequest("'dimensions' must be an integer.", param="dimensions")
    if dimensions:
        call["dimensions"] = dimensions
    return ReadCall(call, tuple(name for name in ("truncate", "options") if body.get(name) not in (None, {})))


def embed_reply(reply: Json, model: str) -> Json:
    """The answer to ``/api/embed`` of an OpenAI embeddings reply. Raises UpstreamBroken for what is none."""
    usage = reply.get("usage")
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    counted = {"prompt_eval_count": tokens} if type(tokens) is int else {}
    return {"model": model, "embeddings": _vectors(reply), **counted}


def embeddings_call(body: Json) -> ReadCall:
    """The canonical embeddings call of the older ``POST /api/embeddings``. Raises InvalidRequest."""
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        raise InvalidRequest("'prompt' must be a text that is not empty.", param="prompt")
    return ReadCall({"model": model_of(body), "input": prompt}, ("options",) if body.get("options") else ())


def embeddings_reply(reply: Json) -> Json:
    """The answer to ``/api/embeddings`` of an OpenAI embeddings reply. Raises UpstreamBroken for what is none."""
    return {"embedding": _vectors(reply)[0]}


def _vectors(reply: Json) -> list[Any]:
    entries = reply.get("data")
    vectors = (
        [entry.get("embedding") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    )
    if not vectors or not all(isinstance(vector, list) for vector in vectors):
        raise UpstreamBroken("The upstream answered without vectors of numbers.", cause="empty")
    return vectors


def _listed(card: Card) -> Json:
    return {
        **_named(card),
        "remote_model": card.name,
        "remote_host": card.owner,
        "modified_at": _NO_TIME,
        "capabilities": capabilities(card.facts),
        **_known(card.facts, "context_length"),
        **_known(card.facts, "max_output_tokens"),
    }


def _running(card: Card) -> Json:
    context = card.facts.get("context_length") or 0
    return {**_named(card), "expires_at": _FOREVER, "size_vram": 0, "context_length": context}


def _named(card: Card) -> Json:
    digest = hashlib.sha256(card.name.encode()).hexdigest()
    return {"name": card.name, "model": card.name, "size": 0, "digest": digest, "details": _details(card)}


def _details(card: Card) -> Json:
    return {
        "parent_model": "",
        "format": "",
        "family": card.owner,
        "families": [card.owner],
        "parameter_size": "",
        "quantization_level": "",
        **_known(card.facts, "context_length"),
    }


def _known(facts: Mapping[str, Any], name: str) -> Json:
    return {name: facts[name]} if facts.get(name) else {}
