"""``check`` and ``reload`` as a person runs them, against something that answers as a running server does."""

import argparse
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from orcestator.check import command, reloading
from orcestator.check.arguments import add_check_arguments, add_reload_arguments
from orcestator.check.showing import changes_table
from orcestator.errors import StartupProblem
from orcestator.settings import load
from orcestator.settings.changes import Change, document_of

CONFIG = """
providers:
  groq: {apiKeys: [one-canary, two-canary]}
models:
  - {name: r1, provider: groq, model: x}
  - {name: gone, provider: groq, available: false}
aliases: {layered: {strategy: score, tiers: [[groq/x, r1], [groq/y]]}}
routingRules: [{id: urgent, condition: {urgency: high}, provider: groq, priority: 2}]
routing: {fallback: {provider: groq, model: z}}
cache: {enabled: true}
"""


class _Server(HTTPServer):
    answers: dict[tuple[str, str], tuple[int, Any]]
    seen: list[tuple[str, str, str]]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.seen.append((self.command, self.path, self.headers.get("Authorization", "")))
        status, answer = self.server.answers[self.command, self.path]
        content = json.dumps(answer).encode()
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as running:
        running.answers, running.seen = {}, []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: _Server) -> Path:
    """A folder with a configuration and an ``.env`` that leads to the server."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(CONFIG)
    (tmp_path / ".env").write_text(f"OR_HOST=127.0.0.1\nOR_PORT={server.server_port}\nOR_ADMIN_TOKEN=token-canary\n")
    return tmp_path


def running(module: Any, *words: str) -> tuple[int, str]:
    """The exit status and what was said."""
    parser = argparse.ArgumentParser()
    {command: add_check_arguments, reloading: add_reload_arguments}[module](parser)
    said: list[str] = []
    return module.run(parser.parse_args(words), said.append), "".join(said)


def test_a_valid_configuration_is_told_by_what_it_means(folder: Path, server: _Server) -> None:
    status, said = running(command, "--config", "c.yaml")
    assert (status, server.seen) == (0, [])
    assert said == (
        "c.yaml is valid.\n\n"
        f"  listens on  127.0.0.1:{server.server_port}\n"
        "  providers   groq (2 keys)\n"
        "  orcestator  openai/gpt-4o, then each provider's default model\n"
        "  auto        smart over 1 model\n"
        "  models      r1, gone (off)\n"
        "  aliases     layered = groq/x, then groq/y (by score)\n"
        "  rules       urgent: urgency: high → groq (priority 2)\n"
        "  last resort groq/z\n"
        "  management  holders of the admin token\n"
        "  warnings    accepted, not acted on yet: cache.enabled\n"
    )


def test_the_environment_alone_can_be_checked(folder: Path) -> None:
    status, said = running(command)
    assert status == 0
    assert said.startswith("The environment is valid.\n")
    assert "sandbox (because no other is on)" in said
    assert (
        "  warnings    no provider is on; a first start serves the built-in sandbox, and a reload is refused." in said
    )


def test_one_without_a_provider_is_told_where_a_server_has_some(folder: Path, server: _Server) -> None:
    running_document = document_of(load({}, config_path="c.yaml"))
    server.answers["GET", "/admin/config"] = (200, running_document)
    status, said = running(command, "--against-running")
    assert status == 1
    assert "A reload would be refused" in said
    server.answers["GET", "/admin/config"] = (200, document_of(load({})))
    assert running(command, "--against-running")[0] == 0


def test_one_that_is_not_valid_says_where_and_what(folder: Path) -> None:
    (folder / "c.yaml").write_text("routing:\n  maxRetrys: 3\n")
    assert running(command, "--config", "c.yaml") == (
        1,
        "Not valid: c.yaml, line 2: routing.maxRetrys is not a setting; the nearest is max_retries.\n",
    )


def test_what_would_change_on_the_running_server(folder: Path, server: _Server) -> None:
    server.answers["GET", "/admin/config"] = 200, document_of(load({}, config_path="c.yaml"))
    base = f"http://127.0.0.1:{server.server_port}"
    status, said = running(command, "--config", "c.yaml", "--against-running", "--exit-code")
    assert status == 0
    assert said.endswith(f"\nNothing would change at {base}.\n")
    (folder / "c.yaml").write_text(CONFIG.replace("groq/y", "groq/w") + "attempts: 5\nhost: x\nmetrics_port: 9\n")
    (folder / ".env").write_text((folder / ".env").read_text() + "OPENAI_API_KEY=a\n")
    status, said = running(command, "--config", "c.yaml", "--against-running", base, "--token", "other")
    assert status == 0
    assert said.partition("\nWould change at ")[2] == (
        f"{base}:\n\n"
        "  ~ attempts          3                                            → 5\n"
        "  + providers.openai                                                 https://api.openai.com/v1\n"
        "  ~ aliases.layered   strategy: score, tiers: [[groq/x], [groq/y]] → strategy: score, tiers: [[groq/x], [groq/w]]\n"
        "  ~ metrics_port      8001                                         → 9   (needs a restart)\n"
        "\nTake it over with: orcestator reload\n"
    )
    assert running(command, "--config", "c.yaml", "--against-running", "--exit-code")[0] == 3
    assert [token for _, _, token in server.seen] == ["Bearer token-canary", "Bearer other", "Bearer token-canary"]
    assert "canary" not in said


@pytest.mark.parametrize(
    ("outcome", "said_of_it"),
    [
        (
            {"planned": 500, "changed": [("fast", "groq/x", 12, 0), ("fast", "refused: model_not_found", 0, 12)]},
            "Of the last 500 requests there, these would go elsewhere after a reload:\n\n"
            "  requested  first tried at            now  then\n"
            "  fast       groq/x                     12     0\n"
            "  fast       refused: model_not_found    0    12\n",
        ),
        ({"planned": 500, "changed": []}, "The last 500 requests there would go where they go now.\n"),
        ({"planned": 0, "changed": []}, "remembers no request yet: there is nothing to try the changes with.\n"),
    ],
)
def test_where_the_last_requests_would_go(folder: Path, server: _Server, outcome: Any, said_of_it: str) -> None:
    keys = ("requested", "place", "before", "after")
    changed = [dict(zip(keys, share, strict=True)) for share in outcome["changed"]]
    server.answers["GET", "/admin/config"] = 200, document_of(load({}, config_path="c.yaml"))
    server.answers["POST", "/admin/check?requests=500"] = 200, {
        "changes": [], "requests": {**outcome, "changed": changed}, "problems": [],
    }  # fmt: skip
    status, said = running(command, "--config", "c.yaml", "--requests")
    assert status == 0
    assert said.endswith(said_of_it)


def test_a_server_that_reads_another_configuration(folder: Path, server: _Server) -> None:
    server.answers["GET", "/admin/config"] = 200, document_of(load({}, config_path="c.yaml"))
    server.answers["POST", "/admin/check?requests=9"] = 400, {
        "changes": [], "requests": {"planned": 0, "changed": []}, "problems": ["d.yaml, line 1: no."],
    }  # fmt: skip
    _, said = running(command, "--config", "c.yaml", "--requests", "9")
    assert said.endswith(" reads another configuration, and it is not valid: d.yaml, line 1: no.\n")


def test_long_values_show_where_they_part() -> None:
    shared = "tags: [" + "word, " * 20
    (line,) = changes_table([Change("models.x", shared + "old]", shared + "new]")]).splitlines()
    assert line == "  ~ models.x  …word, word, old] → …word, word, new]"
    (line,) = changes_table([Change("models.x", None, "y" * 100)]).splitlines()
    assert line == "  + models.x     " + "y" * 59 + "…"


def test_nobody_to_compare_with(folder: Path) -> None:
    with pytest.raises(StartupProblem, match="No orcestator answers at http://127"):
        running(command, "--against-running", "http://127.0.0.1:1")


def test_a_reload_shows_what_was_applied(folder: Path, server: _Server) -> None:
    server.answers["POST", "/admin/reload"] = 200, {
        "applied": [{"name": "attempts", "old": "3", "new": "5"}, {"name": "aliases.x", "old": "tiers: [[a]]", "new": None}],
        "needs_restart": [{"name": "port", "old": "1", "new": "2"}],
        "problems": [],
    }  # fmt: skip
    status, said = running(reloading, "--config", "c.yaml")
    assert (status, server.seen) == (0, [("POST", "/admin/reload", "Bearer token-canary")])
    assert said == (
        f"http://127.0.0.1:{server.server_port} runs with its new configuration:\n\n"
        "  ~ attempts   3            → 5\n"
        "  - aliases.x  tiers: [[a]]\n"
        "  ~ port       1            → 2   (needs a restart)\n"
    )


def test_a_reload_of_nothing_new(folder: Path, server: _Server) -> None:
    server.answers["POST", "/admin/reload"] = 200, {"applied": [], "needs_restart": [], "problems": []}
    assert running(reloading) == (0, f"Nothing has changed at http://127.0.0.1:{server.server_port}.\n")


def test_a_reload_that_only_a_restart_would_take_over(folder: Path, server: _Server) -> None:
    server.answers["POST", "/admin/reload"] = (
        200,
        {
            "applied": [],
            "needs_restart": [{"name": "port", "old": "1", "new": "2"}],
            "problems": [],
        },
    )
    assert running(reloading) == (
        0,
        f"http://127.0.0.1:{server.server_port} takes this over when it is started again:\n\n"
        "  ~ port  1 → 2   (needs a restart)\n",
    )


def test_a_refused_reload_says_why(folder: Path, server: _Server) -> None:
    """Also when the configuration that is wrong is the one that says where the server is."""
    (folder / "c.yaml").write_text("routing:\n  maxRetrys: 3\n")
    problem = "c.yaml, line 2: routing.maxRetrys is not a setting; the nearest is max_retries."
    server.answers["POST", "/admin/reload"] = 200, {"applied": [], "needs_restart": [], "problems": [problem]}
    status, said = running(reloading, "--config", "c.yaml")
    assert status == 1
    assert said == f"http://127.0.0.1:{server.server_port} keeps its old configuration:\n\n  {problem}\n"
    assert server.seen == [("POST", "/admin/reload", "Bearer token-canary")]


@pytest.mark.parametrize("answer", [(200, {}), (200, {"applied": [7], "needs_restart": []}), (200, [])])
def test_something_else_answers(folder: Path, server: _Server, answer: tuple[int, Any]) -> None:
    server.answers["POST", "/admin/reload"] = answer
    with pytest.raises(StartupProblem, match="is not orcestator"):
        running(reloading)


def test_a_token_that_is_refused(folder: Path, server: _Server) -> None:
    server.answers["POST", "/admin/reload"] = 401, {"error": {"message": "This needs the admin token."}}
    with pytest.raises(StartupProblem, match="answered 401: This needs the admin token"):
        running(reloading)
