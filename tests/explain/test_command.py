"""The command as a person runs it, against a server that answers as ours does, and without one."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from orcestator.cli import parser_for
from orcestator.errors import StartupProblem
from orcestator.explain import command
from orcestator.explain.arguments import add_arguments
from tests.explain.explain_samples import ANALYSIS, RECORD

TOKEN = "the-admin-token"


class Handler(BaseHTTPRequestHandler):
    """Knows one record and one analysis; asks for the token."""

    asked: Any = None

    def do_GET(self) -> None:
        """A record."""
        found = self.path == "/orchestrator/decisions/req-1"
        self._answer(RECORD if found else None)

    def do_POST(self) -> None:
        """An analysis of whatever was asked."""
        Handler.asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._answer(ANALYSIS if self.path == "/orchestrator/analyze-request" else None)

    def _answer(self, body: Any) -> None:
        status = 200 if body else 404
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            status, body = 401, {"error": {"message": "This needs the admin token."}}
        content = json.dumps(body or {"error": {"message": "Nothing is known of it."}}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Silent."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Where it listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()
        thread.join(5)


def explain(*arguments: str) -> str:
    """What a run prints. Raises StartupProblem."""
    parser = parser_for("orcestator explain", "")
    add_arguments(parser)
    said: list[str] = []
    command.run(parser.parse_args(arguments), said.append)
    return "".join(said)


@pytest.fixture(autouse=True)
def _empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No .env of somebody else's, and no token in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("OR_ADMIN_TOKEN", "ADMIN_TOKEN", "OR_HOST", "OR_PORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("where", ["environment", ".env"])
def test_the_configured_port_is_asked(server: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where other things in the configuration are wrong: those are the server's to say."""
    monkeypatch.setenv("OR_DRAIN_SECONDS", "never")
    port = server.rpartition(":")[2]
    if where == ".env":
        Path(".env").write_text(f"OR_PORT={port}\n", "utf-8")
    else:
        monkeypatch.setenv("OR_PORT", port)
    assert "alpha/echo" in explain("req-1", "--token", TOKEN)


def test_a_past_request(server: str) -> None:
    """As a table and a timeline, or as JSON; the token comes from a flag or from .env."""
    assert "alpha/echo" in explain("req-1", "--url", server, "--token", TOKEN)
    Path(".env").write_text(f"OR_ADMIN_TOKEN={TOKEN}\n", "utf-8")
    assert json.loads(explain("req-1", "--json", "--url", server + "/v1/")) == RECORD


def test_a_request_that_was_not_made(server: str, tmp_path: Path) -> None:
    """Of a model and a prompt, or of a whole body."""
    assert "model both" in explain("--model", "gpt-4", "--prompt", "hi", "--url", server, "--token", TOKEN)
    assert Handler.asked == {"model": "gpt-4", "prompt": "hi"}
    body = tmp_path / "body.json"
    body.write_text('{"model": "a", "messages": [], "tags": ["code"]}', "utf-8")
    explain("--body", str(body), "--model", "b", "--url", server, "--token", TOKEN)
    assert Handler.asked == {"model": "b", "messages": [], "tags": ["code"]}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("req-2", "--token", TOKEN), "404: Nothing is known"),
        (("req-1?limit=1", "--token", TOKEN), "404: Nothing is known"),
        (("nö /../x", "--token", TOKEN), "404: Nothing is known"),
        (("req-1",), "--token"),
        (("req-1", "--token", "wrong"), "401: This needs the admin token"),
        (("req-1", "--token", "two words"), "no token has"),
        ((), "REQUEST_ID"),
        (("req-1", "--model", "x"), "leave out --model"),
        (("--prompt", "x", "--body", "y"), "leave out --prompt"),
        (("--body", "missing.json"), "missing.json cannot be read"),
        (("req-1", "--url", "ftp://x"), "https:// or http://"),
    ],
)
def test_what_cannot_be_explained(server: str, arguments: tuple[str, ...], says: str) -> None:
    """One sentence, with what to do."""
    url = () if "--url" in arguments else ("--url", server)
    with pytest.raises(StartupProblem, match=says) as raised:
        explain(*arguments, *url)
    assert "\n" not in raised.value.message


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_body_that_is_none(content: str) -> None:
    """It names the file."""
    Path("body.json").write_text(content, "utf-8")
    with pytest.raises(StartupProblem, match=r"body\.json"):
        explain("--body", "body.json")


def test_nobody_listens() -> None:
    """It says how to start."""
    with pytest.raises(StartupProblem, match="orcestator up"):
        explain("req-1", "--url", "http://127.0.0.1:9")
