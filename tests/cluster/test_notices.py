"""A real cluster whose upstream fails tells a real receiver, and a check brings the provider back."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from tests.cluster.harness import Cluster, SandboxThread, chat, until


class Received:
    """What a webhook was sent."""

    def __init__(self) -> None:
        self.notices: list[dict[str, Any]] = []
        received = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                received.notices += body["notices"]
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *arguments: Any) -> None: ...

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    def __enter__(self) -> "Received":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def kinds(self) -> set[tuple[str, str]]:
        return {(notice["kind"], notice["subject"]) for notice in self.notices}


def counted(cluster: Cluster) -> list[str]:
    """The samples that count notices."""
    return [name for name in cluster.metrics() if name.startswith("orcestator_notices_total")]


def test_a_fallback_and_an_exhausted_request_are_told(tmp_path: Path) -> None:
    with SandboxThread() as sandbox, Received() as received:
        environment = {
            "OR_DEFAULT_MODEL": "sandbox/fault:H1:503,sandbox/echo",
            "SANDBOX_BASE_URL": sandbox.base_url,
            "OR_WEBHOOK_URL": received.url,
            "OR_HEALTH_CHECK_INTERVAL_SECONDS": "0.2",
        }
        with Cluster(tmp_path, environment=environment) as cluster:
            assert cluster.post("/v1/chat/completions", chat("a secret prompt")).status_code == 200
            assert cluster.post("/v1/chat/completions", chat(model="sandbox/fault:H1:500")).status_code >= 500
            wanted = {"fallback_used", "nothing_left"}
            until(lambda: wanted <= {kind for kind, _ in received.kinds()}, "both notices came")
            checks = 'orcestator_health_checks_total{outcome="up",provider="sandbox"}'
            until(lambda: cluster.metrics().get(checks, 0) > 0, "a check is counted")
            until(lambda: len(counted(cluster)) >= len(wanted), "both are counted")
        assert "secret prompt" not in json.dumps(received.notices)
        assert "fault:H1:500" not in json.dumps(received.notices), "a caller's own name for a model"
