"""The whole command against a running orcestator: printed, written, written again, refused."""

import json
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from subprocess import run as run_process
from sys import executable

import httpx
import pytest

from orcestator.connect.command import Wish, connect
from orcestator.connect.machine import Machine
from orcestator.connect.registry import CLIENTS
from orcestator.errors import StartupProblem
from orcestator.settings import load
from orcestator.settings.own_address import client_address
from tests.cluster.harness import Cluster, clean_environment, free_port, local_request

KEY = "caller-key-51c0"
CONFIG = """
providers:
  sandbox: {enabled: true, models: [{id: echo, max_output_tokens: 4000}]}
aliases:
  careful: sandbox/tools
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server that asks for a key, with limits that somebody wrote down and an alias."""
    environment = {"OR_CALLER_KEYS": KEY, "OR_DEFAULT_MODEL": "sandbox/echo"}
    with _Guarded(tmp_path_factory.mktemp("guarded"), CONFIG, environment=environment) as running:
        yield running


class _Guarded(Cluster):
    """A cluster whose list of models is asked for with the key."""

    def get(self, path: str, **more: object) -> httpx.Response:
        return super().get(path, headers={"authorization": f"Bearer {KEY}"}, **more)


def connected(cluster: Cluster, home: Path, client: str, **more: object) -> str:
    """Everything that the command says."""
    said: list[str] = []
    wish = Wish(client, cluster.url, **{"key": KEY, **more})
    connect(wish, Machine("linux", home), said.append)
    return "".join(said)


@pytest.mark.parametrize("client", sorted(CLIENTS))
def test_what_is_printed_never_has_the_key(cluster: Cluster, tmp_path: Path, client: str) -> None:
    """And printing writes nothing."""
    said = connected(cluster, tmp_path, client)
    assert said.startswith(f"{CLIENTS[client].title} with orcestator at {cluster.url}\n")
    assert KEY not in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("client", sorted(set(CLIENTS) - {"n8n"}))
def test_writing_twice_changes_nothing_the_second_time(cluster: Cluster, tmp_path: Path, client: str) -> None:
    """It says so, and leaves no backup for it."""
    first = connected(cluster, tmp_path, client, writes=True)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    second = connected(cluster, tmp_path, client, writes=True)
    assert first.count("written  ") == len(files) > 0
    assert (second.count("unchanged  "), second.count("written  ")) == (len(files), 0)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files
    assert KEY not in first + second


def test_the_limits_are_the_servers(cluster: Cluster, tmp_path: Path) -> None:
    """What the provider tells, and what somebody wrote down beside it; for an alias those of its model."""
    connected(cluster, tmp_path, "vscode", writes=True)
    (path,) = (found for found in tmp_path.rglob("*.json"))
    (group,) = json.loads(path.read_text("utf-8"))
    sizes = {model["id"]: (model["maxInputTokens"], model["maxOutputTokens"]) for model in group["models"]}
    assert sizes == {"orcestator": (131_072 - 4_000, 4_000), "careful": (131_072 - 8_192, 8_192)}
    assert {model["id"]: model["toolCalling"] for model in group["models"]} == {"orcestator": False, "careful": True}


def test_the_address_that_is_written_answers(cluster: Cluster, tmp_path: Path) -> None:
    """With the model and the key, as the client would ask."""
    connected(cluster, tmp_path, "codex", writes=True, models=("careful",))
    config = tomllib.loads((tmp_path / ".codex" / "config.toml").read_text("utf-8"))
    provider = config["model_providers"][config["model_provider"]]
    call = {"model": config["model"], "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"authorization": f"Bearer {KEY}"}
    answer = local_request("POST", f"{provider['base_url']}/chat/completions", json=call, headers=headers)
    assert answer.status_code == 200, answer.text


def test_a_file_elsewhere(cluster: Cluster, tmp_path: Path) -> None:
    """The first file goes where it is told to, the second beside it; what is there stays."""
    file = tmp_path / "my" / "gemini.json"
    file.parent.mkdir()
    file.write_text('{"ui": {"theme": "GitHub"}} // mine\n', "utf-8")
    said = connected(cluster, tmp_path, "gemini-cli", writes=True, file=file)
    assert sorted(path.name for path in file.parent.iterdir()) == [
        ".env", "gemini.json", "gemini.json.orcestator-backup-1",
    ]  # fmt: skip
    assert '"theme": "GitHub"' in file.read_text("utf-8")
    assert "(before: gemini.json.orcestator-backup-1)" in said


def test_one_file_that_cannot_be_read_keeps_the_others_unwritten(cluster: Cluster, tmp_path: Path) -> None:
    """Half a configuration is worse than none."""
    (tmp_path / ".aider.model.metadata.json").write_text("{oops", "utf-8")
    with pytest.raises(StartupProblem, match=r"aider\.model\.metadata\.json.*line 1"):
        connected(cluster, tmp_path, "aider", writes=True)
    assert not (tmp_path / ".aider.conf.yml").exists()


def test_other_models_are_pointed_out(cluster: Cluster, tmp_path: Path) -> None:
    """A long list is not written by itself; a pattern names many."""
    assert "more on offer" in connected(cluster, tmp_path, "zed")
    assert "sandbox/reasoner" in connected(cluster, tmp_path, "zed", models=("sandbox/*",))


@pytest.mark.parametrize(("key", "reason"), [("", "asks for a caller key"), ("wrong", "answered 401")])
def test_without_the_right_key(cluster: Cluster, tmp_path: Path, key: str, reason: str) -> None:
    """The sentence says where keys are found."""
    with pytest.raises(StartupProblem, match=f"{reason}.*OR_CALLER_KEYS"):
        connected(cluster, tmp_path, "vscode", key=key)


@pytest.mark.parametrize("key", ["a b", "a\r\nx: y", "ключ"])
def test_a_key_that_is_none(tmp_path: Path, key: str) -> None:
    """Refused before it is sent to anybody, and not repeated."""
    with pytest.raises(StartupProblem, match="no key has") as caught:
        connect(Wish("vscode", "http://localhost:1", key), Machine("linux", tmp_path), print)
    assert key not in caught.value.message


def test_nobody_answers(tmp_path: Path) -> None:
    """By the command line: one sentence and status 2."""
    command = [executable, "-m", "orcestator", "connect", "vscode", "--url", f"http://127.0.0.1:{free_port()}"]
    done = run_process(
        command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "nothing listens there" in done.stderr
    assert "orcestator up" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_somebody_else_answers(tmp_path: Path) -> None:
    """A server with other models is not configured as orcestator."""

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"data": [{"id": "gpt-4o"}]}'
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(StartupProblem, match="not orcestator"):
            connect(Wish("vscode", f"http://127.0.0.1:{server.server_port}"), Machine("linux", tmp_path), print)
        thread.join(5)


@pytest.mark.parametrize("url", ["localhost:8000", "http://", "ftp://x", "http://user:secret@localhost:8000"])
def test_an_address_that_is_none(tmp_path: Path, url: str) -> None:
    """Refused before anybody is asked; a secret in it is not repeated."""
    with pytest.raises(StartupProblem) as caught:
        connect(Wish("vscode", url), Machine("linux", tmp_path), print)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({}, "http://localhost:8000"),
        ({"OR_PORT": "8123"}, "http://localhost:8123"),
        ({"OR_HOST": "::1", "OR_PORT": "8123"}, "http://localhost:8123"),
        ({"OR_HOST": "10.0.0.5", "OR_API_BASE_PATH": "/llm"}, "http://10.0.0.5:8000/llm"),
        ({"OR_HOST": "fd00::5"}, "http://[fd00::5]:8000"),
    ],
)
def test_a_client_is_pointed_at_the_configured_port(environ: dict[str, str], address: str) -> None:
    assert client_address(load(environ, dotenv_path=None, with_providers=False)) == address
