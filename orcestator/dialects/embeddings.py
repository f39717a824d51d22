"""OpenAI's embeddings for upstreams that have an API of their own for them."""

from collections.abc import Callable
from typing import Any, NamedTuple

from orcestator.errors import InvalidRequest, UpstreamBroken
from orcestator.json_text import Json


class Embedder(NamedTuple):
    """How an upstream embeds. ``path`` is by model, ``request`` the body for texts, a model and a size (None: its own).

    ``reply`` gives the vectors, in the order of the texts, and the tokens that were read (None: not told) of a 200's JSON.
    """

    path: Callable[[str], str]
    request: Callable[[list[str], str, int | None], Json]
    reply: Callable[[Json], tuple[Any, Any]]


def texts_in(call: Json) -> list[str]:
    """What is to be embedded. Raises InvalidRequest for tokens, which only their own model's API understands."""
    given = call.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise InvalidRequest(
            "'input' must be a text or a list of texts here, none of them empty; tokens cannot be embedded.",
            param="input",
        )
    return texts


def size_in(call: Json) -> int | None:
    """How many numbers a vector is to have. Raises InvalidRequest."""
    size = call.get("dimensions")
    if size is not None and (type(size) is not int or size < 1):
        raise InvalidRequest("'dimensions' must be a whole number of at least 1.", param="dimensions")
    return size


def embeddings_reply(vectors: Any, tokens: Any, model: str) -> Json:
    """An OpenAI embeddings reply. Raises UpstreamBroken where there is not a vector of numbers for each text."""
    if not isinstance(vectors, list) or not vectors or not all(isinstance(vector, list) for vector in vectors):
        raise UpstreamBroken("The upstream answered without vectors of numbers.", cause="empty")
    data = [{"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(vectors)]
    made: Json = {"object": "list", "data": data, "model": model}
    return made | ({"usage": {"prompt_tokens": tokens, "total_tokens": tokens}} if type(tokens) is int else {})
