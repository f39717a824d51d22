"""A provider's key is masked in whatever form the provider repeats it, and nothing else is."""

import base64
import html
import json
import time
from urllib.parse import quote

import pytest

from orcestator.errors import UpstreamRejected
from orcestator.providers.masking import MASK, KeyMask

PLAIN = "4f9d0c71a2b84e5dCANARY3b6e7f8a9c"
SLASHED = "AbC/dEf+CANARY0123456789xyz=="
LONG = "eyJhbGciOi" + "Zq7-_x9" * 40
KEYS = (PLAIN, SLASHED, LONG, "pässword-1234-ß")
FORMS = {
    "plain": lambda key: key,
    "upper": str.upper,
    "json": lambda key: json.dumps(key)[1:-1],
    "php": lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    "php twice": lambda key: json.dumps(json.dumps(key)[1:-1].replace("/", "\\/"))[1:-1],
    "u002f": lambda key: key.replace("/", "\\u002f").replace("+", "\\u002B"),
    "u002f twice": lambda key: key.replace("/", "\\\\u002F"),
    "hex escapes": lambda key: "".join(f"\\x{ord(char):02x}" if char in "/+=" else char for char in key),
    "url": lambda key: quote(key, safe=""),
    "url in lower case": lambda key: quote(key, safe="").replace("%2F", "%2f"),
    "url twice": lambda key: quote(quote(key, safe=""), safe=""),
    "html": lambda key: html.escape(key).replace("/", "&#x2F;").replace("+", "&#43;"),
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 for urls": lambda key: base64.urlsafe_b64encode(key.encode()).decode().rstrip("="),
    "basic": lambda key: base64.b64encode(b"user:" + key.encode()).decode(),
    "basic, key first": lambda key: base64.b64encode(key.encode() + b":x").decode(),
    "bearer": lambda key: base64.b64encode(b"Bearer " + key.encode()).decode(),
    "base64 in PHP's JSON": lambda key: base64.b64encode(key.encode()).decode().replace("/", "\\/"),
    "hex": lambda key: key.encode().hex(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("key", KEYS, ids=["plain", "slashed", "long", "not ascii"])
def test_no_form_of_a_key_is_left(key: str, form: str) -> None:
    """Nor eight characters of it in a row; what stands around it stays."""
    written = FORMS[form](key)
    masked = KeyMask(KEYS)(f"bad key: {written} (try another)")
    assert MASK in masked
    assert masked.startswith("bad key: ")
    assert masked.endswith("(try another)")
    first = len("QmVhcmVyID") if form == "bearer" else 0
    pieces = [written[start : start + 8] for start in range(first, len(written) - 7)]
    assert not [piece for piece in pieces if piece in masked], masked


@pytest.mark.parametrize("part", [PLAIN[:16], PLAIN[-16:], PLAIN[8:20], PLAIN[:9], SLASHED[:15].replace("/", "\\/")])
def test_a_part_is_masked_too(part: str) -> None:
    """Cut off by a limit of length, or halved on purpose."""
    masked = KeyMask([PLAIN, SLASHED])(f"key '{part}...' is not valid")
    assert masked == f"key '{MASK}...' is not valid"


@pytest.mark.parametrize(
    "text",
    [
        "anthropic answered 401: invalid x-api-key",
        "key-of-somebody-else failed",
        "The model `gpt-4o` does not exist",
        "100% of a\\b & c &amp; %zz \\u12",
        "sk-...9a9c",
        "",
    ],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    """Words that a key has in it are words; what a provider shows of a key on purpose is too short to mask."""
    mask = KeyMask(["key-of-anthropic", PLAIN])
    assert mask(text) is text


SMALL = "onlysmalllettersbutnotshort"


@pytest.mark.parametrize("blank", ["\n", "\r\n  ", " ", "\u00a0"])
@pytest.mark.parametrize("key", [*KEYS, SMALL])
def test_a_key_over_two_lines_is_masked(key: str, blank: str) -> None:
    """As a terminal, a header or an encoder of base64 breaks lines."""
    for shown in (key, base64.b64encode(f"user:{key}".encode()).decode(), key.encode().hex(" ")):
        middle = len(shown) // 2
        left = KeyMask([key])(f"bad {shown[:middle]}{blank}{shown[middle:]} end")
        assert left.startswith("bad ")
        assert left.endswith(" end")
        assert shown[:middle][-6:] not in left
        assert shown[middle:][:6] not in left


def test_a_long_part_is_masked_whatever_its_letters() -> None:
    """There are keys of nothing but small letters; a short part of one may be a word."""
    assert KeyMask([SMALL])(f"bad {SMALL[3:20]}...") == f"bad {MASK}..."
    assert KeyMask([SMALL])("bad letters") == "bad letters"


def test_letters_that_change_their_number_with_their_case() -> None:
    """``İ`` is two characters when it is small."""
    assert KeyMask([PLAIN])("İİ" * 40 + f" key {PLAIN.upper()} end") == "İİ" * 40 + f" key {MASK} end"


def test_short_keys_are_words() -> None:
    """Local servers are given such ones."""
    assert KeyMask(["ollama", ""])("ollama is not running") == "ollama is not running"


def test_everything_of_an_error_is_masked() -> None:
    """Its message, the field and the words by which the upstream names it."""
    error = UpstreamRejected(
        f"no {PLAIN}", cause="http_400", upstream_code=f"code_{PLAIN}", param=PLAIN, upstream_words=("ok", PLAIN)
    )
    KeyMask([PLAIN]).in_error(error)
    assert PLAIN not in f"{error} {error.body()} {error.upstream_code} {error.upstream_words}"
    assert error.upstream_words == ("ok", MASK)


def test_a_long_text_takes_no_time_to_speak_of() -> None:
    """Linear in the length of the text, whatever it holds."""
    mask = KeyMask([LONG, PLAIN])
    started = time.perf_counter()
    mask(("\\" * 20_000) + "%25" * 20_000 + PLAIN[:7] * 10_000)
    assert time.perf_counter() - started < 5.0


def test_a_whole_key_is_found_in_what_is_long_and_no_error() -> None:
    key = "sk-proj-AbC/dEf0123456789xyz"
    mask = KeyMask([key])

    for text in (f"x {key} y", key.upper(), key.replace("/", "\\/"), base64.b64encode(key.encode()).decode()):
        assert mask.is_in(text), text
    assert not mask.is_in(key[:-3])
    assert not mask.is_in("")
