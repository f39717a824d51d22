"""Who really served a request, and what was tried before: for the answer's headers, and for its ``_router`` when asked for."""

# Codecs are imported when they are first used, which may be when there are no file descriptors left to do it with.
import encodings.unicode_escape  # noqa: F401

from orcestator.json_text import Json, dumps
from orcestator.routing.attempts.loop import Tally
from orcestator.routing.attempts.summary import short
from orcestator.server.asgi import Headers
from orcestator.upstream.call import Answer
from orcestator.upstream.ids import new_id

DROPPED_HEADER = b"x-orcestator-dropped"
MOST_CAUSES_BYTES = 512


def fact_headers(tally: Tally, answer: Answer | None) -> Headers:
    """What really served the request, as far as that is known."""
    facts: Headers = []
    served = tally.served
    if served is not None:
        facts.append((b"x-orcestator-provider", served.deployment.provider.encode()))
        # A caller may have invented the name: no line end of it may end a header.
        facts.append((b"x-orcestator-model", served.deployment.model.encode("unicode_escape")))
    if tally.attempts:
        facts.append((b"x-orcestator-attempts", b"%d" % tally.attempts))
    if served is not None and served.is_paid_fallback:
        facts.append((b"x-orcestator-fallback-used", b"true"))
    if tally.failures:
        facts.append((b"x-orcestator-errors", _causes(tally)))
    if answer is not None and answer.dropped:
        facts.append((DROPPED_HEADER, ",".join(answer.dropped).encode("unicode_escape")))
    return facts


def router_facts(tally: Tally) -> Json:
    """The field ``_router``."""
    served = tally.served
    return {
        "provider": served.deployment.provider if served else None,
        "model_name": (served.traits.name or served.deployment.model) if served else None,
        "attempts": tally.attempts,
        "fallback_used": tally.fallback_used,
        "errors": [{"type": type(error).__name__, "message": short(error.message)} for error in tally.failures],
    }


def router_frame(tally: Tally, model: str, created: int) -> bytes:
    """A chunk without choices, as the one with the usage is: what a stream has in place of a field of the answer."""
    head = {"id": new_id("chatcmpl-"), "object": "chat.completion.chunk", "created": created, "model": model}
    return b"data: " + dumps({**head, "choices": [], "_router": router_facts(tally)}) + b"\n\n"


def _causes(tally: Tally) -> bytes:
    """What went wrong before, in short words."""
    causes = ",".join(f"{type(error).__name__}:{error.cause}" for error in tally.failures)
    return causes.encode("unicode_escape")[:MOST_CAUSES_BYTES]
