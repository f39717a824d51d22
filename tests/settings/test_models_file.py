"""A list of models at an address: fetched at every load, its last good copy kept for when that fails."""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from orcestator.settings import load

LIST = "models: [{name: a, provider: openai, model: x}]\n"


class ListServer(HTTPServer):
    """Serves one text; ``status`` and ``text`` may be changed."""

    status = 200
    text = LIST
    asked = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/free.yaml"


class _Handler(BaseHTTPRequestHandler):
    server: ListServer

    def do_GET(self) -> None:
        self.server.asked += 1
        content = self.server.text.encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def server() -> Iterator[ListServer]:
    with ListServer(("127.0.0.1", 0), _Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def given(server: ListServer, tmp_path: Path) -> dict[str, str]:
    return {
        "OR_MODELS_FILE": server.url,
        "OR_MODELS_FILE_ALLOW_PRIVATE": "yes",
        "OR_STATE_DIR": str(tmp_path / "state"),
    }


def names(settings):
    return [entry.name for entry in settings.models]


def test_it_is_fetched_and_comes_after_the_files_own(loaded, given, server):
    found = loaded(given, yaml="models: [{name: own, provider: groq}]\n")
    assert (names(found), server.asked) == (["own", "a"], 1)
    assert not [notice for notice in found.notices if "list" in notice]


def test_an_address_in_a_file_in_another_folder_stays_as_it_is(given, server, tmp_path):
    (tmp_path / "inner").mkdir()
    path = tmp_path / "inner" / "c.yaml"
    path.write_text(f"modelsFile: {given.pop('OR_MODELS_FILE')}\n")
    assert names(load(given, dotenv_path=None, config_path=str(path))) == ["a"]


@pytest.mark.parametrize(
    ("status", "text", "reason"),
    [
        (500, "", "/free.yaml answered 500"),
        (301, "", "answered 301 and redirects are not followed"),
        (200, "models: {", ": this is not YAML"),
        (200, "models: [{name: a, weight: 500}]\n", "free.yaml, line 1: models[0].weight must be a whole number"),
        (200, "port: 1\n", "free.yaml, line 1: port is not a key that is known here"),
        (
            200,
            "models: [{name: '${OPENAI_API_KEY}'}]\n",
            "models[0].name refers to ${OPENAI_API_KEY}, which is not set",
        ),
    ],
)
def test_the_last_good_copy_is_used_and_said(loaded, refusal, given, server, status, text, reason):
    given["OPENAI_API_KEY"] = "sk-canary"
    server.status, server.text = status, text
    sentence = refusal(given)
    assert sentence.startswith("environment: OR_MODELS_FILE cannot be used, and no copy is kept: ")
    assert reason in sentence
    server.status, server.text = 200, LIST
    assert names(loaded(given)) == ["a"]
    server.status, server.text = status, text
    found = loaded(given)
    assert names(found) == ["a"]
    (notice,) = found.notices
    assert notice.startswith("The models are those of 20")
    assert reason in notice
    # A bad list never takes the place of the good copy.
    assert names(loaded(given)) == ["a"]


def test_a_server_that_is_gone(loaded, given, server):
    assert names(loaded(given)) == ["a"]
    server.shutdown()
    server.server_close()
    found = loaded(given)
    assert names(found) == ["a"]
    assert "because the list at http://127.0.0.1:" in found.notices[0]


def test_without_leave_a_private_address_is_refused(refusal, given):
    del given["OR_MODELS_FILE_ALLOW_PRIVATE"]
    said = refusal(given)
    assert said.startswith("environment: OR_MODELS_FILE is not an address that can be used: ")
    assert said.endswith("models_file_allow_private: true allows one in your own network.")
    given["OR_MODELS_FILE"] = given["OR_MODELS_FILE"].replace("http:", "https:")
    assert "leads to a private or special address" in refusal(given)


def test_a_copy_that_cannot_be_kept_is_said(loaded, given, tmp_path):
    (tmp_path / "state").write_text("a file is in the way")
    found = loaded(given)
    assert names(found) == ["a"]
    assert [notice for notice in found.notices if "cannot be kept in" in notice]


def test_it_can_be_loaded_while_an_event_loop_runs(given, server):
    async def inside() -> list[str]:
        return names(load(given, dotenv_path=None))

    assert asyncio.run(inside()) == ["a"]
