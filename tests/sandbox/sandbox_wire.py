"""A caller on a bare socket, and a strict reader of what came back: no HTTP library is asked to forgive anything."""

import json
import socket
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

DEADLINE_SECONDS = 20.0
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@dataclass
class Wire:
    """Everything that came on one connection; ``was_reset`` tells RST from FIN."""

    raw: bytes
    was_reset: bool

    @cached_property
    def head(self) -> str:
        return self.raw.partition(b"\r\n\r\n")[0].decode("latin-1")

    @property
    def status(self) -> int:
        return int(self.head.split(" ")[1])

    def header(self, name: str) -> list[str]:
        pairs = [line.partition(": ") for line in self.head.split("\r\n")[1:]]
        return [value for key, _, value in pairs if key == name]

    @property
    def framed(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]

    @cached_property
    def chunks(self) -> "Chunks":
        assert self.header("transfer-encoding") == ["chunked"]
        return read_chunks(self.framed)

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks.data) if self.header("transfer-encoding") else self.framed

    @property
    def length(self) -> int:
        return int(self.header("content-length")[0])

    @cached_property
    def json(self) -> Any:
        return json.loads(self.body)

    @cached_property
    def data(self) -> list[str]:
        """What stands after ``data: `` in each event; the stream must be well-formed."""
        *events, rest = self.body.decode().split("\n\n")
        assert rest == ""
        return [
            line.removeprefix("data: ") for event in events for line in event.split("\n") if line.startswith("data: ")
        ]

    @cached_property
    def parsed(self) -> list[Any]:
        """The JSON of each event but ``[DONE]``."""
        return [json.loads(one) for one in self.data if one != "[DONE]"]

    @property
    def choices(self) -> list[Any]:
        """Every choice of every chunk, in order."""
        return [choice for chunk in self.parsed for choice in chunk.get("choices") or []]

    @property
    def contents(self) -> list[str]:
        return [choice["delta"]["content"] for choice in self.choices if choice["delta"].get("content")]

    @property
    def finishes(self) -> list[str]:
        return [choice["finish_reason"] for choice in self.choices if choice["finish_reason"]]

    @property
    def message(self) -> Any:
        return self.json["choices"][0]["message"]


@dataclass
class Chunks:
    """A chunked body: ``ended`` only if the last chunk came, ``rest`` what could not be read as a chunk."""

    data: list[bytes] = field(default_factory=list)
    extensions: list[bytes] = field(default_factory=list)
    trailers: bytes = b""
    ended: bool = False
    rest: bytes = b""


def read_chunks(framed: bytes) -> Chunks:
    """Strict: a chunk counts only if all of it is there."""
    chunks = Chunks()
    place = 0
    while (line_end := framed.find(b"\r\n", place)) >= 0:
        size_text, _, extension = framed[place:line_end].partition(b";")
        start, size = line_end + 2, int(size_text, 16)
        if size == 0:
            chunks.ended, chunks.trailers = True, framed[start:]
            return chunks
        if framed[start + size : start + size + 2] != b"\r\n":
            break
        chunks.data.append(framed[start : start + size])
        chunks.extensions.append(extension)
        place = start + size + 2
    chunks.rest = framed[place:]
    return chunks


def connect(base_url: str) -> socket.socket:
    address = urlsplit(base_url)
    return socket.create_connection((address.hostname, address.port), timeout=DEADLINE_SECONDS)


def request(path: str, body: Any = None, *, headers: str = "connection: close\r\n", method: str = "") -> bytes:
    """The bytes of a request; a body that is no bytes becomes JSON."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    start = f"{method or ('GET' if body is None else 'POST')} {path} HTTP/1.1\r\nhost: sandbox\r\n"
    return f"{start}content-length: {len(content)}\r\n{headers}\r\n".encode() + content


def chat(model: str, *, stream: bool = False, text: str = "Hello there", **more: Any) -> dict[str, Any]:
    """A chat body."""
    return {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream, **more}


def read_to_end(connection: socket.socket) -> Wire:
    """Read until the server ends the connection."""
    received = bytearray()
    try:
        while piece := connection.recv(1 << 20):
            received += piece
    except ConnectionResetError:
        return Wire(bytes(received), was_reset=True)
    return Wire(bytes(received), was_reset=False)


def read_answer(connection: socket.socket) -> Wire:
    """Read one answer with a length and leave the connection open."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _more(connection)
    wire = Wire(received, was_reset=False)
    while len(wire.framed) < wire.length:
        wire = Wire(wire.raw + _more(connection), was_reset=False)
    return wire


def _more(connection: socket.socket) -> bytes:
    piece = connection.recv(1 << 16)
    assert piece, "the server hung up in the middle of an answer"
    return piece


def ask(base_url: str, path: str, body: Any = None, **how: Any) -> Wire:
    """One request on a connection of its own."""
    with connect(base_url) as connection:
        connection.sendall(request(path, body, **how))
        return read_to_end(connection)
