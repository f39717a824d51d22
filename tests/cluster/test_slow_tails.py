"""Slow tails and brown-outs, with a real cluster over real sockets: upstreams that do what a script says, held by counts."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cluster.harness import WIRINGS, Cluster, chat, streamed, until

TAIL_SECONDS = 0.6
USUAL_SECONDS = 0.01
EVERY = 10
"""One call in so many is slow."""
CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}


class Upstream:
    """An upstream whose answers a script decides: seconds until the answer begins, or a status that it fails with."""

    def __init__(self) -> None:
        self.calls = 0
        self.script: Callable[[int], float | int] = lambda number: 0.0
        self._lock = threading.Lock()
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._send(200, "application/json", json.dumps({"object": "list", "data": [{"id": "m"}]}).encode())

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                told = upstream.next()
                if isinstance(told, int):
                    self._send(told, "application/json", b'{"error": {"message": "down"}}')
                    return
                time.sleep(told)
                self._send(200, *_answer(is_streamed=bool(body.get("stream"))))

            def _send(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing is logged."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda request, address: None  # type: ignore[method-assign]  # whoever lost has hung up
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "Upstream":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def next(self) -> float | int:
        """What becomes of the next call."""
        with self._lock:
            self.calls += 1
            return self.script(self.calls)

    @property
    def base_url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"


def _answer(*, is_streamed: bool) -> tuple[str, bytes]:
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    if not is_streamed:
        choice = {"index": 0, "message": {"role": "assistant", "content": "well"}, "finish_reason": "stop"}
        return "application/json", json.dumps(
            {**CHUNK, "object": "chat.completion", "choices": [choice], "usage": usage}
        ).encode()
    events = [
        {**CHUNK, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "well"}, "finish_reason": None}]},
        {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    ]
    frames = [f"data: {json.dumps(event)}\n\n" for event in events]
    return "text/event-stream", "".join([*frames, "data: [DONE]\n\n"]).encode()


class House(NamedTuple):
    """A cluster and its upstreams."""

    cluster: Cluster
    first: Upstream
    second: Upstream


@pytest.fixture(params=WIRINGS)
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    with Upstream() as first, Upstream() as second:
        config = f"""
providers:
  first: {{base_url: "{first.base_url}", api_key: "a", order: 1}}
  second: {{base_url: "{second.base_url}", api_key: "b", order: 2}}
hedge_percent: 0
breaker_open_seconds: 0.2
aliases:
  in-turn: {{hedge_percent: 50, tiers: [[first/m], [second/m]]}}
  unhedged: {{tiers: [[first/m], [second/m]]}}
  learned: {{strategy: adaptive, targets: [first/m, second/m]}}
"""
        with Cluster(tmp_path, config, request.param, {"OR_HEDGING": "true"}) as cluster:
            yield House(cluster, first, second)


def test_one_slow_call_in_ten_is_not_one_slow_answer_in_ten(house: House) -> None:
    """The hedge is sent between the two humps and wins; an alias without a budget waits as long as the slow ones take."""
    cluster, first, second = house
    first.script = lambda number: TAIL_SECONDS if number % EVERY == 0 else USUAL_SECONDS
    second.script = lambda number: USUAL_SECONDS

    answers = [cluster.post("/v1/chat/completions", chat(model="in-turn")) for _ in range(100)]

    assert {answer.status_code for answer in answers} == {200}
    won = [answer for answer in answers if answer.headers["x-orcestator-provider"] == "second"]
    assert len(won) >= 6  # of ten slow calls; nothing is late before the first sixteen
    assert {answer.headers["x-orcestator-attempts"] for answer in won} == {"2"}
    assert first.calls == 100
    assert len(won) <= second.calls <= 50

    before = second.calls
    again = [cluster.post("/v1/chat/completions", chat(model="unhedged")) for _ in range(EVERY)]
    assert {answer.headers["x-orcestator-provider"] for answer in again} == {"first"}
    assert second.calls == before


def test_what_recovered_is_called_again_each_time_and_nothing_is_lost(house: House) -> None:
    cluster, first, second = house
    second.script = lambda number: 10 * USUAL_SECONDS

    def asked(count: int) -> None:
        for _ in range(count):
            status, events, _ = streamed(cluster, chat(model="learned", stream=True))
            assert status == 200
            assert events[-1] == "[DONE]"

    def is_called() -> bool:
        """More than a probe now and then: most of ten requests in a row."""
        before = first.calls
        asked(10)
        return first.calls - before >= 7

    asked(20)
    for _ in range(2):
        first.script = lambda number: 500
        asked(10)
        before = first.calls
        asked(10)
        assert first.calls - before < 10  # it is probed, not asked
        first.script = lambda number: USUAL_SECONDS
        until(is_called, "the one that recovered is called again")
