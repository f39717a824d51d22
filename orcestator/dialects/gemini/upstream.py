"""Gemini's own API as an upstream: generateContent on generativelanguage.googleapis.com, and on Vertex."""

from orcestator.dialects.canonical import UpstreamDialect
from orcestator.dialects.gemini.cleaning import with_stand_ins
from orcestator.dialects.gemini.errors import error_detail
from orcestator.dialects.gemini.upstream_reply import canonical_reply
from orcestator.dialects.gemini.upstream_request import count_path, path_to, wire_call
from orcestator.dialects.gemini.upstream_stream import GeminiReader

UPSTREAM = UpstreamDialect(
    name="gemini",
    request=wire_call,
    reply=canonical_reply,
    reader=GeminiReader,
    error=error_detail,
    relay_path=path_to,
    clean=with_stand_ins,
    count_path=count_path,
    names_model=False,
)
