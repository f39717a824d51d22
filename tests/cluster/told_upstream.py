"""An upstream that says what a test tells it to, and keeps what it was asked exactly as it came."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, Self


class Heard(NamedTuple):
    """One request. ``target`` is the path and query as they were written; header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Told(NamedTuple):
    """One answer."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class ToldUpstream:
    """``answer`` makes the answer to a POST; every list of models is a 404, so that there is none."""

    def __init__(self, answer: Callable[[Heard], Told]) -> None:
        self.answer = answer
        self.heard: list[Heard] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._say(Told(b"{}", 404))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                heard = Heard("POST", self.path, headers, body)
                owner.heard.append(heard)
                self._say(owner.answer(heard))

            def _say(self, told: Told) -> None:
                self.send_response(told.status)
                self.send_header("content-type", told.content_type)
                self.send_header("content-length", str(len(told.body)))
                for name, value in told.headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(told.body)

            def log_message(self, *_: object) -> None:
                """Nothing is said on the test's output."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
