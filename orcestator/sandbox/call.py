"""A request understood: its body, its model name, its nonce. It decides nothing about the answer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qs

import orjson

from orcestator.json_text import Json
from orcestator.sandbox import model_name
from orcestator.sandbox.memory import Memory
from orcestator.sandbox.model_name import ModelName
from orcestator.sandbox.problem import Refused
from orcestator.sandbox.settings import SandboxSettings
from orcestator.sandbox.wire.http import Request

NONCE = re.compile(r"nonce:([\w-]+)")
SCHEME = re.compile(r"^(Bearer|Api-Key) ")


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a route of a dialect. ``number`` is its record's; ``key`` is the credential it came with.

    ``elsewhere`` is the base address of another local port that answers every fault well (only set for U10).
    ``wants_stream`` is for dialects that do not say it in the field ``stream``. ``is_chat``: the route makes answers
    that a chat fault can spoil. ``memory`` is the server's.
    """

    number: int
    path: str
    body: Json
    model: ModelName
    key: str = ""
    elsewhere: str = ""
    dialect: str = "openai"
    wants_stream: bool | None = None
    is_chat: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    memory: Memory = field(default_factory=Memory)

    @property
    def streams(self) -> bool:
        """Whether the caller asked for a stream."""
        return self.body.get("stream") is True if self.wants_stream is None else self.wants_stream

    def delay(self, tokens: int) -> float:
        """The seconds that a plain answer of so many tokens takes."""
        pace = self.settings.tokens_per_second
        return tokens / pace if pace else 0.0

    @property
    def settings(self) -> SandboxSettings:
        """The server's settings with this request's own."""
        return self.model.settings


def read_call(request: Request, number: int, settings: SandboxSettings) -> Call:
    """The call in a request. Raises ``Refused`` (400) for a body that cannot be understood."""
    is_form = request.headers.get("content-type", "").startswith("multipart/form-data")
    body = _form(request) if is_form else json_body(request.body)
    name = body.get("model")
    if not isinstance(name, str) or not name:
        raise Refused(400, "The field 'model' is missing or no text.", param="model")
    return call_of(request, number, settings, body, name)


def call_of(request: Request, number: int, settings: SandboxSettings, body: Json, name: str) -> Call:
    """The call for a model of this name, with whatever credential the request has. Raises ``Refused``."""
    model = model_name.parse(name, settings)
    return Call(number, request.path, body, model, credential(request), headers=request.headers, query=request.query)


def credential(request: Request) -> str:
    """The key of a request, wherever a dialect puts it; empty when there is none."""
    for name in ("x-api-key", "x-goog-api-key"):
        if name in request.headers:
            return request.headers[name]
    in_query = parse_qs(request.query).get("key")
    return in_query[0] if in_query else SCHEME.sub("", request.headers.get("authorization", ""))


def nonce_of(text: str) -> str:
    """The last word after ``nonce:`` in a prompt, or nothing."""
    if "nonce:" not in text:
        return ""
    found = NONCE.findall(text)
    return found[-1] if found else ""


def text_of(content: Any) -> str:
    """The text of a message's content; other parts (images, audio, files) count as ``[image_url]`` and so on."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return " ".join(_part_text(part) for part in content if isinstance(part, dict))


def _part_text(part: Json) -> str:
    text = part.get("text")
    return text if isinstance(text, str) else f"[{part.get('type', 'part')}]"


def json_body(body: bytes) -> Json:
    """The JSON object of a body. Raises ``Refused`` (400)."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        raise Refused(400, f"The body is not JSON: {problem}.") from None
    if not isinstance(value, dict):
        raise Refused(400, "The body is not a JSON object.")
    return value


def _form(request: Request) -> Json:
    """The fields of a multipart form; a file is kept as its size in bytes."""
    head = f"content-type: {request.headers['content-type']}\r\n\r\n".encode("latin-1")
    form = message_from_bytes(head + request.body)
    if not form.is_multipart():
        raise Refused(400, "The multipart form is broken.")
    fields: Json = {}
    for part in form.walk():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            fields[name] = len(content) if part.get_filename() else content.decode("utf-8", "replace")
    return fields
