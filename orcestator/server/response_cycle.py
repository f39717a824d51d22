"""What an application sends, written to the caller's connection.

In place of uvicorn's ``RequestResponseCycle.send``, which searches, lowers and compares each header by itself and was the dearest
function of a small request (uvicorn 0.54, measured 2026-11). It keeps uvicorn's rules and refusals, with one difference: a head
with a Content-Length is written together with the body that follows it.
"""

from collections.abc import MutableMapping
from itertools import chain
from operator import itemgetter
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    RequestResponseCycle,
)

_BODILESS = (204, 304)
_LINE = b"%b: %b\r\n"
_VALUE = itemgetter(1)
_JOINED_UP_TO_BYTES = 16 * 1024
"""Of a larger piece no copy is made; it lies there as long as its caller does not read."""
Pairs = list[tuple[bytes, bytes]]


class ResponseCycle(RequestResponseCycle):
    """One request and its answer. Header names are in lower case, as ASGI has them.

    uvicorn makes its own cycles and asks for no class of ours: the edge sets the class of each before its application starts.
    """

    head: bytes = b""
    """Written, but for its body."""
    _usual: ClassVar[tuple[Pairs, bytes]] = ([], b"")
    """The headers of every answer (a list that the server makes anew each second) and their bytes."""

    async def send(self, message: MutableMapping[str, Any]) -> None:  # type: ignore[override]
        """Write what the application sends. Raises RuntimeError for what ASGI does not allow."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if self.response_complete:
            raise RuntimeError(f"{kind!r} came after the end of the answer")
        if kind != ("http.response.body" if self.response_started else "http.response.start"):
            raise RuntimeError(f"{kind!r} came out of its turn")
        if not self.response_started:
            self._send_head(message["status"], message.get("headers", []))
            return
        body, more_body = message.get("body", b""), message.get("more_body", False)
        if more_body and body and self.chunked_encoding:  # an event of a stream: there are many
            if len(body) > _JOINED_UP_TO_BYTES:
                self.transport.writelines((b"%x\r\n" % len(body), body, b"\r\n"))
            else:
                self.transport.write(b"%x\r\n%b\r\n" % (len(body), body))
            if self.flow.write_paused:  # nothing more is asked of the upstream until the caller has taken this
                await self.flow.drain()
        else:
            self._send_body(body, more_body)

    def _send_head(self, status: int, headers: Pairs) -> None:
        self.response_started = True
        self.waiting_for_100_continue = False
        if self.more_body:  # an answer before the end of the body: what is left of it is not read
            self.keep_alive = False
        fields = dict(headers)
        if HEADER_RE.search(b"".join(fields)) or HEADER_VALUE_RE.search(b"".join(map(_VALUE, headers))):
            raise RuntimeError("a header has characters that no header may have")
        lines = _lines(headers)
        length, has_body = fields.get(b"content-length"), self.scope["method"] != "HEAD"
        if has_body and b"transfer-encoding" in fields and fields[b"transfer-encoding"].lower() == b"chunked":
            self.chunked_encoding = True
        elif length is not None:
            self.expected_content_length = int(length)
            self.chunked_encoding = False
        elif has_body and status not in _BODILESS:
            self.chunked_encoding = True
            lines += b"transfer-encoding: chunked\r\n"
        if b"connection" in fields and b"close" in fields[b"connection"].lower().replace(b" ", b"").split(b","):
            self.keep_alive = False
        elif not self.keep_alive:
            lines += b"connection: close\r\n"
        usual, usual_lines = self._usual
        if usual is not self.default_headers:
            usual = self.default_headers
            usual_lines = _lines(usual)
            ResponseCycle._usual = usual, usual_lines
        head = b"%b%b%b\r\n" % (STATUS_LINE[status], usual_lines, lines)
        if self.chunked_encoding is False:
            self.head = head
        else:
            self.transport.write(head)

    def _send_body(self, body: bytes, more_body: bool) -> None:
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
            body = b""
        elif not self.chunked_encoding:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("the body is longer than its Content-Length")
        elif not more_body:
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        if self.head:
            body, self.head = self.head + body, b""
        if body:
            self.transport.write(body)
        if not more_body:
            self._complete()

    def _complete(self) -> None:
        if self.expected_content_length:
            raise RuntimeError("the body is shorter than its Content-Length")
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive and not self.more_body:
            self.transport.close()
        self.on_response()


def _lines(headers: Pairs) -> bytes:
    # One format for all of them: a loop over so few costs more than what it does.
    return _LINE * len(headers) % tuple(chain.from_iterable(headers))
