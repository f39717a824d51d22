"""The one field we read and change in an upload: ``model`` of an audio request. Everything else stays as bytes.

multipart/form-data: RFC 7578; delimiters and the boundary's grammar: RFC 2046 §5.1.1 (checked 2026-11). No general
parser: those have been a source of denial-of-service advisories, and nothing else is needed. The work is linear in
the size of the upload, whatever its boundary is.
"""

import re
from collections.abc import Iterator

from orcestator.errors import InvalidRequest

LONGEST_MODEL_NAME = 256
MOST_PARTS = 1000
LONGEST_PART_HEAD = 2048
"""Bytes; a part with a longer head is not the field we look for."""
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_PART_BEGINS = re.compile(rb"[ \t]{0,64}\r\n")
_IS_MODEL = re.compile(
    rb'^content-disposition:[ \t]*form-data[ \t]*;(?:[^\r\n]*;)?[ \t]*name=(?:"model"|model)[ \t]*(?:;|\r?$)',
    re.IGNORECASE | re.MULTILINE,
)


def model_field(body: bytes, content_type: str) -> str:
    """The model an upload names. Raises InvalidRequest when there is no such field, or more than one."""
    start, end = _model_span(body, content_type)
    try:
        return body[start:end].decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest("The form field 'model' is not UTF-8.", param="model") from None


def with_model_field(body: bytes, content_type: str, model: str) -> bytes:
    """The upload with another model name. Raises InvalidRequest as ``model_field`` does."""
    start, end = _model_span(body, content_type)
    return body[:start] + model.encode() + body[end:]


def _model_span(body: bytes, content_type: str) -> tuple[int, int]:
    found = list(_model_spans(body, _delimiter(content_type)))
    if len(found) != 1:
        raise InvalidRequest("The form must have exactly one field 'model'.", param="model")
    start, end = found[0]
    if not 0 < end - start <= LONGEST_MODEL_NAME:
        raise InvalidRequest(
            f"The form field 'model' must be a name of 1 to {LONGEST_MODEL_NAME} bytes.", param="model"
        )
    return start, end


def _delimiter(content_type: str) -> bytes:
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise InvalidRequest("The multipart content type has no boundary.", param="content-type")
    return b"--" + (boundary[1] or boundary[2]).encode("latin-1", "replace")


def _model_spans(body: bytes, delimiter: bytes) -> Iterator[tuple[int, int]]:
    """Where the values of the parts with the name ``model`` stand."""
    for start, end in _parts(body, delimiter):
        head_end = body.find(b"\r\n\r\n", start, min(end, start + LONGEST_PART_HEAD))
        if head_end >= 0 and _IS_MODEL.search(body, start, head_end):
            yield head_end + 4, end


def _parts(body: bytes, delimiter: bytes) -> Iterator[tuple[int, int]]:
    """From the head of each part to the line end before the next delimiter. A part that is cut off is no part.

    Raises InvalidRequest for more than ``MOST_PARTS`` delimiters, which nobody's form has.
    """
    line = b"\r\n" + delimiter
    here = len(delimiter) if body.startswith(delimiter) else _after(body, line, 0)
    delimiters = 0
    while here >= 0:
        delimiters += 1
        if delimiters > MOST_PARTS:
            raise InvalidRequest(f"The form has more than {MOST_PARTS} parts.", code="body_too_complex")
        begins = _PART_BEGINS.match(body, here)
        following = body.find(line, here)
        if begins is not None and following >= 0:
            yield begins.end(), following
        here = following + len(line) if following >= 0 else -1


def _after(body: bytes, line: bytes, start: int) -> int:
    found = body.find(line, start)
    return found + len(line) if found >= 0 else -1
