"""The lines of the traffic log: ``timestamp | user | assistant | prompt_tokens | completion_tokens | latency_ms |
model | original_model``, escaped so that every line parses back to exactly what was written.

Pure. A line must never hold a character at which any program could break it in two, nor a bare ``|`` that is not a
separator: ``\\`` is written ``\\\\``, ``|`` is written ``\\p``, control characters, line separators and lone surrogates are
``\\xNN`` or ``\\uNNNN``, and so is a space at either end of a field.
"""

import re
from typing import NamedTuple

SEPARATOR = " | "


class TrafficLine(NamedTuple):
    """One request."""

    timestamp: str  # when it came in, ISO 8601 in UTC with milliseconds
    user: str
    assistant: str
    prompt_tokens: int
    completion_tokens: int
    latency_ms: int
    model: str  # what the caller asked for
    original_model: str  # provider/model that served it, "" when none did


_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ESCAPE = re.compile(r"\\(?:\\|p|x[0-9a-f]{2}|u[0-9a-f]{4})")
_SHORT = {"\\\\": "\\", "\\p": "|"}


def format_line(line: TrafficLine) -> str:
    """The line, without its line end."""
    return (
        f"{_escape(line.timestamp)} | {_escape(line.user)} | {_escape(line.assistant)} | {line.prompt_tokens} | "
        f"{line.completion_tokens} | {line.latency_ms} | {_escape(line.model)} | {_escape(line.original_model)}"
    )


def parse_line(text: str) -> TrafficLine:
    """What ``format_line`` was given. Raises ValueError when ``text`` is not such a line."""
    fields = text.removesuffix("\n").split(SEPARATOR)
    if len(fields) != len(TrafficLine._fields):
        raise ValueError(f"a traffic line has {len(TrafficLine._fields)} fields, this one has {len(fields)}")
    timestamp, user, assistant, prompt, completion, latency, model, original = fields
    return TrafficLine(
        _unescape(timestamp),
        _unescape(user),
        _unescape(assistant),
        int(prompt),
        int(completion),
        int(latency),
        _unescape(model),
        _unescape(original),
    )


def escape_controls(text: str) -> str:
    """``text`` with everything that could end a line or move a terminal's cursor written as an escape."""
    # isprintable() is far quicker than a search, and most texts are printable.
    return text if text.isprintable() else _UNSAFE.sub(_numbered, text)


def _escape(text: str) -> str:
    if text.isprintable() and "|" not in text and "\\" not in text and text.strip(" ") == text:
        return text
    if "\\" in text or "|" in text:
        text = text.replace("\\", "\\\\").replace("|", "\\p")
    text = escape_controls(text.replace("\n", "\\x0a"))
    if text.startswith(" "):
        text = "\\x20" + text[1:]
    if text.endswith(" "):
        text = text[:-1] + "\\x20"
    return text


def _numbered(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    plain = _ESCAPE.sub("", text)
    if "\\" in plain:
        raise ValueError(f"not an escape of the traffic log: {plain[plain.index(chr(92)) :][:6]!r}")
    return _ESCAPE.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    escape = match[0]
    return _SHORT.get(escape) or chr(int(escape[2:], 16))
