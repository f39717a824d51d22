"""The caller's body to the upstream's: bytes are kept, only what must change is changed."""

import re

from orcestator.json_text import Json, dumps

_MODEL = re.compile(rb'("model"\s*:\s*)"((?:[^"\\]|\\.)*)"')
_STREAM_OPTIONS = b'{"stream_options":{"include_usage":true},'


def upstream_body(
    body: bytes, call: Json, model: str, *, asks_usage: bool, model_span: tuple[int, int] | None = None
) -> bytes:
    """The body for one attempt; ``body`` and ``call`` are never modified, so that an attempt can be repeated.

    ``call`` is what ``body`` parses to. It has a ``model``, which need not be spelled plainly in the body.
    ``model_span`` is where the value of its ``model`` stands, where that is known: a large body is not searched again.
    ``asks_usage``: the caller did not ask for a usage chunk but we count tokens, and the upstream allows it.
    """
    # Options of a foreign type are the caller's mistake, which the upstream explains best.
    wants_options = asks_usage and isinstance(call.get("stream_options"), dict | None) and not includes_usage(call)
    if wants_options and "stream_options" in call:
        return _rebuilt(call, model, options=True)
    span = model_span or _model_span(body)
    if span is None:
        return _rebuilt(call, model, options=wants_options)
    start, end = span
    opening = b""
    first = 0
    if wants_options:
        opening, first = _STREAM_OPTIONS, body.index(b"{") + 1
    view = memoryview(body)  # so that the body is copied once
    return b"".join((opening, view[first:start], dumps(model), view[end:]))


def written_body(call: Json, model: str, *, asks_usage: bool) -> bytes:
    """The same for a call that is not what the caller's bytes say: it is put into bytes once, with the model in it."""
    options = call.get("stream_options")
    asks = asks_usage and isinstance(options, dict | None) and not includes_usage(call)
    return _rebuilt(call, model, options=asks)


def includes_usage(call: Json) -> bool:
    """Whether the caller asked for the usage chunk."""
    options = call.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _model_span(body: bytes) -> tuple[int, int] | None:
    """Where the value of ``model`` stands, or None where splicing could miss the one that counts.

    One literal ``"model"`` and no escaped ASCII letter (which could spell a second one) means that what we routed
    by is what the upstream will read.
    """
    if body.count(b'"model"') != 1 or b"\\u00" in body:
        return None
    match = _MODEL.search(body)
    if match is None:
        return None
    return match.end(1), match.end()


def _rebuilt(call: Json, model: str, *, options: bool) -> bytes:
    changed = {**call, "model": model}
    if options:
        changed["stream_options"] = {**(call.get("stream_options") or {}), "include_usage": True}
    return dumps(changed)
