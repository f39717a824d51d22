"""The one field we read and change in an upload: ``model`` of an audio request. Everything else stays as bytes.

multipart/form-data: RFC 7578; the boundary's grammar: RFC 2046 §5.1.1 (checked 2026-11). No general parser: those have
been a source of denial-of-service advisories, and nothing else is needed.
"""

import re

from orcestator.errors import InvalidRequest

LONGEST_MODEL_NAME = 256
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;]{1,70}))', re.IGNORECASE)
_MODEL_PART = re.compile(
    rb'(\r\ncontent-disposition:\s*form-data;\s*name="model"[^\r\n]{0,100}(?:\r\n[^\r\n]{1,200}){0,4}\r\n\r\n)'
    rb"([^\r\n]{1,256})(?=\r\n)",
    re.IGNORECASE,
)


def model_field(body: bytes, content_type: str) -> str:
    """The model an upload names. Raises InvalidRequest when there is no such field, or more than one."""
    matches = _model_parts(body, content_type)
    if len(matches) != 1:
        raise InvalidRequest("The form must have exactly one field 'model'.", param="model")
    try:
        return matches[0].group(2).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest("The form field 'model' is not UTF-8.", param="model") from None


def with_model_field(body: bytes, content_type: str, model: str) -> bytes:
    """The upload with another model name."""
    matches = _model_parts(body, content_type)
    if len(matches) != 1:
        raise InvalidRequest("The form must have exactly one field 'model'.", param="model")
    start, end = matches[0].span(2)
    return body[:start] + model.encode() + body[end:]


def _model_parts(body: bytes, content_type: str) -> list[re.Match[bytes]]:
    """Matches that begin right after a boundary line: the same text inside an uploaded file does not count."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise InvalidRequest("The multipart content type has no boundary.", param="content-type")
    delimiter = b"--" + (boundary.group(1) or boundary.group(2)).encode("latin-1", "replace")
    return [match for match in _MODEL_PART.finditer(body) if _follows(delimiter, body, match.start())]


def _follows(delimiter: bytes, body: bytes, start: int) -> bool:
    return body[max(0, start - len(delimiter)) : start] == delimiter
