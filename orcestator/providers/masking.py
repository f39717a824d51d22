"""Takes a provider's own keys out of what the provider says, in whatever form it repeats them. Pure.

For errors alone: their texts are short, and a key is in none of them on purpose. What a model says is never touched: a key is
no part of any prompt, and an answer that was changed on its way is worth less than one that was refused.
"""

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from functools import cached_property

from orcestator.errors import UpstreamError
from orcestator.providers.secret import SHORTEST_SECRET

MASK = "(key)"
SHORTEST_PART = SHORTEST_SECRET
"""Characters of a key in a row that are masked although the rest is missing. Fewer are what providers show on purpose (``sk-…4f2a``)."""
LONG_PART = 2 * SHORTEST_PART
"""So many in a row are masked also where they could be words: there are keys of nothing but small letters."""
_ESCAPE = re.compile(
    r"\\+u00(?P<json>[0-9A-Fa-f]{2})|\\+x(?P<hex>[0-9A-Fa-f]{2})|%(?:25)*(?P<url>[0-9A-Fa-f]{2})"
    r"|&(?:amp;)?#0*(?P<number>\d{1,3});|&(?:amp;)?#x0*(?P<entity>[0-9A-Fa-f]{1,2});|\\+(?P<plain>.)",
    re.DOTALL,
)
"""One character of ASCII as JSON, C, a URL and HTML write it, escaped once or several times over."""
_BASE = {"json": 16, "hex": 16, "url": 16, "number": 10, "entity": 16}


class KeyMask:
    """Masks ``secrets``: as they are, escaped for JSON, URLs and HTML, in base64 (alone or within ``user:key``) or in hex, in either case of
    letters, whole or a part of them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(dict.fromkeys(secret for secret in secrets if len(secret) >= SHORTEST_SECRET))

    def __call__(self, text: str) -> str:
        """``text`` without keys; the same object when it held none."""
        if not self._secrets or len(text) < SHORTEST_PART:
            return text
        plain, places = _unescaped(text)
        spans = _joined(self._found(_in_lower_case(plain)))
        if not spans:
            return text
        pieces, end = [], 0
        for start, stop in spans:
            pieces += [text[end : places[start]], MASK]
            end = places[stop]
        return "".join([*pieces, text[end:]])

    def is_in(self, text: str) -> bool:
        """Whether a whole key is in ``text`` as it is, or in base64 or hex: quick, for what is no error and long."""
        plain = _in_lower_case(text.replace("\\/", "/"))
        return any(form in plain for form in self._forms)

    def in_error(self, error: UpstreamError) -> None:
        """Mask everything of an error that is ever shown, kept or sent on: one place for all classes."""
        error.message = self(error.message)
        error.args = (error.message,)
        error.param = self(error.param) if error.param else error.param
        error.code = self(error.code) if error.code else error.code
        error.upstream_code = self(error.upstream_code) if error.upstream_code else error.upstream_code
        error.upstream_words = tuple(map(self, error.upstream_words))

    def _found(self, plain: str) -> Iterator[tuple[int, int]]:
        # Whoever prints a key may break the line in it.
        inked = [place for place, char in enumerate(plain) if not char.isspace()]
        solid = "".join(plain[place] for place in inked)
        for form in self._forms:
            start = solid.find(form)
            while start >= 0:
                yield inked[start], inked[start + len(form) - 1] + 1
                start = solid.find(form, start + 1)
        for length, parts in ((SHORTEST_PART, self._parts), (LONG_PART, self._long_parts)):
            for start in range(len(plain) - length + 1):
                if plain[start : start + length] in parts:
                    yield start, start + length

    @cached_property
    def _forms(self) -> tuple[str, ...]:
        return tuple({form.lower() for secret in self._secrets for form in _forms(secret)})

    @cached_property
    def _parts(self) -> frozenset[str]:
        return frozenset(
            part.lower()
            for secret in self._secrets
            for form in _forms(secret)
            for part in _parts(form)
            if _is_telling(part)
        )

    @cached_property
    def _long_parts(self) -> frozenset[str]:
        return frozenset(
            part.lower() for secret in self._secrets for form in _forms(secret) for part in _parts(form, LONG_PART)
        )


def _forms(secret: str) -> Iterator[str]:
    """The secret, and what of an encoding of it does not depend on what stands before and after it."""
    yield secret
    data = secret.encode()
    if not secret.isascii():
        # A URL has the bytes of UTF-8, which are taken for characters here.
        yield data.decode("latin-1")
    yield data.hex()
    for before in range(3):
        first, end = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        for encode in (b64encode, urlsafe_b64encode):
            yield encode(b"\0" * before + data)[first:end].decode()


def _parts(form: str, length: int = SHORTEST_PART) -> Iterator[str]:
    return (form[start : start + length] for start in range(len(form) - length + 1))


def _is_telling(part: str) -> bool:
    """Whether so few characters are of a key and of nothing else: a word, which a key may hold (``key-of-anthropic``), is not."""
    kinds = (any(map(str.isdigit, part)), any(map(str.islower, part)), any(map(str.isupper, part)))
    return sum(kinds) > 1


def _unescaped(text: str) -> tuple[str, list[int]]:
    """The text without escapes, and where in ``text`` each character of it begins; its end comes last."""
    if not any(sign in text for sign in "\\%&"):
        return text, list(range(len(text) + 1))
    made: list[str] = []
    places: list[int] = []
    end = 0
    for escape in _ESCAPE.finditer(text):
        made += text[end : escape.start()]
        places += range(end, escape.start())
        kind = str(escape.lastgroup)
        made.append(chr(int(escape[kind], _BASE[kind])) if kind in _BASE else escape[kind])
        places.append(escape.start())
        end = escape.end()
    made += text[end:]
    places += range(end, len(text) + 1)
    return "".join(made), places


def _in_lower_case(text: str) -> str:
    """With every character where it was: some are two when they are small (``İ``)."""
    small = text.lower()
    return small if len(small) == len(text) else "".join(char.lower()[0] for char in text)


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans in order, those that touch made one."""
    found: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(stop, found[-1][1])
        else:
            found.append((start, stop))
    return found
