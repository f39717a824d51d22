"""A caller's ``embedContent`` and ``batchEmbedContents`` as OpenAI's embeddings, and the answers to them.

https://ai.google.dev/api/embeddings (checked 2026-11): one content or many requests of one content each; only texts are
embedded here. A batch of OpenAI's has one number of dimensions, Gemini's one for each request.
"""

from orcestator.dialects.canonical import ReadCall
from orcestator.dialects.gemini.fields import field, object_field, objects_field, others
from orcestator.errors import InvalidRequest, UpstreamBroken
from orcestator.json_text import Json

_READ = frozenset({"model", "content", "outputDimensionality", "embedContentConfig"})
_CONFIGURED = frozenset({"outputDimensionality"})


def embed_call(body: Json) -> ReadCall:
    """The canonical call of ``:embedContent``. Raises InvalidRequest."""
    dropped: list[str] = []
    text, size = _read(body, "", dropped)
    call: Json = {"model": body.get("model"), "input": text}
    return ReadCall(call | ({"dimensions": size} if size else {}), tuple(dict.fromkeys(dropped)))


def batch_call(body: Json) -> ReadCall:
    """The canonical call of ``:batchEmbedContents``. Raises InvalidRequest."""
    requests = objects_field(body, "requests", "requests")
    if not requests:
        raise InvalidRequest('requests is empty; send {"requests": [{"content": …}]}.', param="requests")
    dropped: list[str] = []
    read = [_read(wire, f"requests[{place}].", dropped) for place, wire in enumerate(requests)]
    sizes = {size for _, size in read}
    if len(sizes) > 1:
        raise InvalidRequest(
            "All requests of a batch must have the same outputDimensionality; send those of another size apart.",
            param="requests.outputDimensionality",
        )
    size = sizes.pop()
    call: Json = {"model": body.get("model"), "input": [text for text, _ in read]}
    return ReadCall(call | ({"dimensions": size} if size else {}), tuple(dict.fromkeys(dropped)))


def embed_reply(reply: Json) -> Json:
    """The answer to ``:embedContent``. Raises UpstreamBroken for what is no embeddings reply."""
    return {"embedding": _vectors(reply)[0]} | _usage(reply)


def batch_reply(reply: Json) -> Json:
    """The answer to ``:batchEmbedContents``. Raises UpstreamBroken for what is no embeddings reply."""
    return {"embeddings": _vectors(reply)} | _usage(reply)


def _read(wire: Json, where: str, dropped: list[str]) -> tuple[str, int | None]:
    """Text and dimensions of one request; what else it says is named."""
    content = field(wire, "content")
    if not isinstance(content, dict):
        raise InvalidRequest(
            f'{where}content must be a content, {{"parts": [{{"text": …}}]}}.', param=f"{where}content"
        )
    texts = [part.get("text") for part in objects_field(content, "parts", f"{where}content.parts")]
    if not all(isinstance(text, str) for text in texts) or not any(texts):
        raise InvalidRequest(
            f"{where}content.parts must be texts, and not all empty: only texts are embedded here.",
            param=f"{where}content.parts",
        )
    config = object_field(wire, "embedContentConfig", f"{where}embedContentConfig")
    dropped += [*others(wire, _READ), *others(config, _CONFIGURED)]
    size = field(wire, "outputDimensionality")
    size = field(config, "outputDimensionality") if size is None else size
    if size is not None and (type(size) is not int or size < 1):
        param = f"{where}outputDimensionality"
        raise InvalidRequest(f"{param} must be a whole number of at least 1.", param=param)
    return "\n".join(map(str, texts)), size


def _vectors(reply: Json) -> list[Json]:
    entries = reply.get("data")
    vectors = [one.get("embedding") for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
    if not vectors or not all(isinstance(vector, list) for vector in vectors):
        raise UpstreamBroken("The upstream answered without vectors of numbers.", cause="empty")
    return [{"values": vector} for vector in vectors]


def _usage(reply: Json) -> Json:
    usage = reply.get("usage")
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return {"usageMetadata": {"promptTokenCount": tokens}} if type(tokens) is int else {}
