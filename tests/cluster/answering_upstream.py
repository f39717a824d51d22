"""An upstream whose answers a test writes down beforehand: for each model a row of them, and then good ones for ever."""

import json
import threading
from collections import defaultdict, deque
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

from orcestator.json_text import Json


class Said(NamedTuple):
    """One answer. A ``body`` that is no bytes goes out as JSON."""

    status: int
    body: Any = b""
    headers: Mapping[str, str] = {}


def reply(model: str, text: str = "hello") -> Said:
    """A good chat reply."""
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return Said(
        200, {"id": "c", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage}
    )


class AnsweringUpstream:
    """Serves OpenAI's chat. ``listing`` answers every GET."""

    def __init__(self, *models: str) -> None:
        self.listing = Said(200, {"object": "list", "data": [{"id": model} for model in models]})
        self.next: dict[str, deque[Said]] = defaultdict(deque)
        self.always: dict[str, Said] = {}
        self.calls: list[tuple[str, Json]] = []
        self.keys: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(outer.listing)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)))
                outer.calls.append((self.path, body))
                outer.keys.append(self.headers.get("authorization", "").removeprefix("Bearer "))
                model = body["model"]
                row = outer.next[model]
                self._send(row.popleft() if row else outer.always.get(model) or reply(model))

            def _send(self, said: Said) -> None:
                body = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
                self.send_response_only(said.status)
                for name, value in {"content-type": "application/json", **said.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def says(self, model: str, *answers: Said) -> None:
        """The next answers to calls of a model."""
        self.next[model].extend(answers)

    def asked(self, model: str) -> int:
        """How often a model was called."""
        return sum(body["model"] == model for _, body in self.calls)
