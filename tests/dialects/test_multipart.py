"""The model in an upload: found wherever a client puts it, changed without touching anything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.dialects.multipart import LONGEST_MODEL_NAME, model_field, with_model_field
from orcestator.errors import InvalidRequest

TYPE = "multipart/form-data; boundary=abc123"
SOUND = b'RIFF\x00\xff\r\n--abc12\r\nContent-Disposition: form-data; name="model"\r\n\r\ninside\r\n'


def part(head: bytes, value: bytes) -> bytes:
    """One part with its delimiter."""
    return b"--abc123\r\n" + head + b"\r\n\r\n" + value + b"\r\n"


FILE = part(
    b'Content-Disposition: form-data; name="file"; filename="model"\r\nContent-Type: application/octet-stream', SOUND
)
OTHER = part(b'Content-Disposition: form-data; name="model_hint"', b"not this one")
END = b"--abc123--\r\n"

HEADS = {
    "openai-python and curl": b'Content-Disposition: form-data; name="model"',
    "aiohttp": b'Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name="model"',
    "type after": b'content-disposition: form-data; name="model"\r\ncontent-type: text/plain',
    "unquoted": b"Content-Disposition: form-data; name=model",
    "with a file name": b'Content-Disposition: form-data; name="model"; filename="m"',
    "name last": b'Content-Disposition: form-data; filename="m"; name="model"',
    "capitals": b'CONTENT-DISPOSITION: FORM-DATA; NAME="model"',
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("first", [True, False], ids=["before the file", "after the file"])
def test_the_field_is_found_and_changed(head: bytes, first: bool) -> None:
    """Whatever the client's style; the file keeps its bytes, also what looks like the field inside it."""
    field = part(head, b"alpha/whisper-1")
    changed = part(head, b"whisper-1")
    before = [OTHER, field, FILE] if first else [OTHER, FILE, field]
    after = [changed if piece is field else piece for piece in before]
    body = b"".join([*before, END])
    assert model_field(body, TYPE) == "alpha/whisper-1"
    assert with_model_field(body, TYPE, "whisper-1") == b"".join([*after, END])


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/form-data; boundary="abc123"',
        "multipart/form-data;boundary=abc123",
        "multipart/form-data; BOUNDARY=abc123; charset=utf-8",
    ],
)
def test_boundary_spellings(content_type: str) -> None:
    assert model_field(part(HEADS["unquoted"], b"m") + END, content_type) == "m"


def test_a_preamble_and_padding_are_allowed() -> None:
    """RFC 2046: text before the first delimiter, and white space after one."""
    body = b"ignore me\r\n--abc123 \t\r\n" + HEADS["unquoted"] + b"\r\n\r\nm\r\n--abc123--"
    assert model_field(body, TYPE) == "m"


FIELD = part(HEADS["unquoted"], b"m")
REFUSED = {
    "none": FILE + END,
    "two": FIELD + FIELD + END,
    "empty": part(HEADS["unquoted"], b"") + END,
    "too long": part(HEADS["unquoted"], b"m" * (LONGEST_MODEL_NAME + 1)) + END,
    "not utf-8": part(HEADS["unquoted"], b"\xff\xfe") + END,
    "cut off": b"--abc123\r\n" + HEADS["unquoted"] + b"\r\n\r\nm",
    "another boundary": FIELD.replace(b"abc123", b"abc124") + END,
    "nothing": b"",
    "only inside a file": FILE + END,
    "a head without an end": part(b"X: " + b"y" * 4000 + b"\r\n" + HEADS["unquoted"], b"m") + END,
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_what_is_not_exactly_one_model_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        model_field(body, TYPE)
    assert caught.value.param == "model"


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=", "text/plain"])
def test_a_missing_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        model_field(FIELD + END, content_type)
    assert caught.value.param == "content-type"


def test_a_one_letter_boundary_costs_linear_time() -> None:
    """A body made of delimiters: a search that began anew at each would not come back."""
    with pytest.raises(InvalidRequest):
        model_field(b"\r\n---" * 400_000, "multipart/form-data; boundary=-")


@given(st.binary(max_size=200), st.text(min_size=1, max_size=20).filter(lambda name: len(name.encode()) < 200))
def test_any_file_comes_through(sound: bytes, name: str) -> None:
    """Changing the model and changing it back gives the same bytes."""
    if b"--abc123" in sound:
        return
    body = part(b'Content-Disposition: form-data; name="file"; filename="a"', sound) + FIELD + END
    changed = with_model_field(body, TYPE, name)
    if "\r\n" not in name:
        assert model_field(changed, TYPE) == name
        assert with_model_field(changed, TYPE, "m") == body


@pytest.mark.parametrize(
    "line", [b"\r\n--x", b"\r\n--x\r\n", b"\r\n--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1"]
)
def test_a_form_of_nothing_but_delimiters_ends_early(line: bytes) -> None:
    """Its parts are counted: looking at millions of them would hold everybody up for seconds."""
    with pytest.raises(InvalidRequest, match="1000 parts"):
        model_field(line * 1_000_000, "multipart/form-data; boundary=x")
