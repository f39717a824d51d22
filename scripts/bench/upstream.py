"""The provider that the benchmark's gateways forward to: as cheap as a server in Python can be.

One chat reply of 300 bytes; one stream of 66 events, each a write of its own; and paced streams for the jitter test,
asked for by the text ``bench pace=<events per second> events=<count>`` anywhere in the request body, so that the
question survives every gateway. It must never do work whose cost would hide the gateway's.
"""

import argparse
import asyncio
import re

STREAM_EVENTS = 66
CHAT_BYTES = 300
PACE = re.compile(rb"bench pace=(\d+) events=(\d+)")
STREAMING = re.compile(rb'"stream"\s*:\s*true')
WITH_USAGE = re.compile(rb'"include_usage"\s*:\s*true')
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
USAGE = b'"usage":{"prompt_tokens":9,"completion_tokens":63,"total_tokens":72}'
CHUNK = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench-model",%s}\n\n'
)
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def framed(event: bytes) -> bytes:
    """One event as one HTTP chunk."""
    return b"%x\r\n%s\r\n" % (len(event), event)


def choice(delta: bytes, finish: bytes = b"null") -> bytes:
    """One chat.completion.chunk event."""
    return framed(CHUNK % (b'"choices":[{"index":0,"delta":{%s},"finish_reason":%s}]' % (delta, finish)))


OPENING = choice(b'"role":"assistant","content":""')
WORD = choice(b'"content":"word "')
FINISH = choice(b"", b'"stop"')
USAGE_EVENT = framed(CHUNK % (b'"choices":[],' + USAGE))
DONE = framed(b"data: [DONE]\n\n")
END = b"0\r\n\r\n"


def stream_frames(events: int, *, with_usage: bool) -> list[bytes]:
    """The writes of one stream: role, words, finish and [DONE] are ``events`` together; usage comes on top if asked."""
    frames = [STREAM_HEAD + OPENING, *[WORD] * (events - 3), FINISH]
    return [*frames, *([USAGE_EVENT] if with_usage else []), DONE + END]


def chat_reply() -> bytes:
    """The whole answer to a chat, its body padded to CHAT_BYTES."""
    body = (
        b'{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":"bench-model","choices":'
        b'[{"index":0,"message":{"role":"assistant","content":"%s"},"finish_reason":"stop"}],' + USAGE + b"}"
    )
    body = body.replace(b"%s", b"x" * (CHAT_BYTES - len(body) + 2))
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


CHAT = chat_reply()
FAST = {flag: stream_frames(STREAM_EVENTS, with_usage=flag) for flag in (False, True)}


class Upstream(asyncio.Protocol):
    """One connection; requests come one after another, as a pooled HTTP/1.1 client sends them."""

    def __init__(self, gap_seconds: float) -> None:
        self._gap_seconds = gap_seconds
        self._loop = asyncio.get_running_loop()
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers every complete request in the buffer."""
        self._received += data
        while (end := self._request_end()) is not None:
            body, self._received = self._received[:end], self._received[end:]
            self._answer(body)

    def _request_end(self) -> int | None:
        head = self._received.find(b"\r\n\r\n")
        if head < 0:
            return None
        length = LENGTH.search(self._received, 0, head)
        end = head + 4 + (int(length[1]) if length else 0)
        return end if len(self._received) >= end else None

    def _answer(self, request: bytes) -> None:
        if not STREAMING.search(request):
            self._transport.write(CHAT)
            return
        with_usage = WITH_USAGE.search(request) is not None
        if pace := PACE.search(request):
            frames = stream_frames(int(pace[2]), with_usage=with_usage)
            self._write_at(frames, 0, self._loop.time(), 1 / int(pace[1]))
        elif self._gap_seconds:
            self._write_at(FAST[with_usage], 0, self._loop.time(), self._gap_seconds)
        else:
            self._write_next(FAST[with_usage], 0)

    def _write_next(self, frames: list[bytes], position: int) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(frames[position])
        if position + 1 < len(frames):
            self._loop.call_soon(self._write_next, frames, position + 1)

    def _write_at(self, frames: list[bytes], position: int, started: float, gap_seconds: float) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(frames[position])
        position += 1
        if position < len(frames):
            due = started + position * gap_seconds
            self._loop.call_at(due, self._write_at, frames, position, started, gap_seconds)


async def serve(port: int, gap_seconds: float) -> None:
    """Serves until the process ends; prints the port it listens on."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(gap_seconds), "127.0.0.1", port, backlog=2048)
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    """Parses the arguments and serves."""
    parser = argparse.ArgumentParser(description="The upstream of the benchmark.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--gap-ms", type=float, default=0.0, help="pause between two events of an unpaced stream")
    asked = parser.parse_args()
    asyncio.run(serve(asked.port, asked.gap_ms / 1000))


if __name__ == "__main__":
    main()
