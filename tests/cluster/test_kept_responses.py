"""A conversation by ``previous_response_id`` goes on whichever API server gets the next turn, and after a restart."""

import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from orcestator.json_text import Json
from tests.cluster.dialects import FIRST, SECOND, bearer, body_of, events_in, provider, received
from tests.cluster.harness import REPLICAS, Cluster, SandboxThread, until
from tests.cluster.server_processes import connected, servers_of

RESPONSES = "/v1/responses"
KEYS = {"OR_CALLER_KEYS": f"{FIRST},{SECOND}", "OR_DB_PATH": "rows.db"}


class Keyed(Cluster):
    """A cluster whose harness asks with the first key."""

    def get(self, path: str, **more: Any) -> httpx.Response:
        return super().get(path, **{"headers": bearer(FIRST), **more})


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxThread]:
    """The upstream of both providers."""
    with SandboxThread() as running:
        yield running


@pytest.fixture(scope="module")
def config(sandbox: SandboxThread) -> str:
    """One provider that a Responses caller is translated for, and one that it is relayed to."""
    lines = [provider("chats", sandbox.base_url), provider("codexes", sandbox.base_url, "responses")]
    return "\n".join(["providers:", *lines])


@pytest.fixture(scope="module", params=["split", REPLICAS])
def callers(
    request: pytest.FixtureRequest, config: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[httpx.Client]]:
    """One caller at each of two API servers."""
    if sys.platform != "linux":
        pytest.skip("looks at the processes where Linux shows them")
    arguments = ("--api-workers", "2") if request.param == "split" else ()
    directory = tmp_path_factory.mktemp("kept")
    with ExitStack() as stack:
        cluster = stack.enter_context(Keyed(directory, config, request.param, dict(KEYS), arguments))
        yield [connected(cluster, pid, stack) for pid in servers_of(cluster)]


def ask(caller: httpx.Client, text: str, previous: str | None = None, key: str = FIRST, **more: Any) -> Json:
    """One turn; the response, or the error."""
    body = {"model": "chats/echo", "input": text, "previous_response_id": previous, **more}
    answer = caller.post(RESPONSES, json=body, headers=bearer(key))
    if not more.get("stream") or answer.status_code != 200:
        found: Json = answer.json()
        return found
    last = list(events_in(answer))[-1]
    assert last["type"] == "response.completed"
    return dict(last["response"])


def code_of(answer: Json) -> str:
    """The code of an error."""
    return str(answer["error"]["code"])


def heard(sandbox: SandboxThread, name: str) -> str:
    """All that a provider was told last."""
    return json.dumps(body_of(received(sandbox, name)[-1]))


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", ["chats", "codexes"])
def test_twenty_turns_at_two_servers(
    callers: list[httpx.Client], sandbox: SandboxThread, name: str, streams: bool
) -> None:
    """In turns, each as soon as the one before has ended; the model hears all of it."""
    previous = None
    for number in range(20):
        answer = ask(callers[number % 2], f"turn-{number}.", previous, model=f"{name}/echo", stream=streams)
        assert answer.get("status") == "completed", answer
        previous = answer["id"]
    told = heard(sandbox, name)
    assert [number for number in range(20) if f"turn-{number}." not in told] == []
    assert told.count('"role": "assistant"') == 19
    for caller in callers:
        assert caller.get(f"{RESPONSES}/{previous}", headers=bearer(FIRST)).json() == answer


@pytest.mark.parametrize("name", ["chats", "codexes"])
def test_a_caller_that_leaves_after_the_last_event(callers: list[httpx.Client], name: str) -> None:
    """It has seen that the response is whole, so that it may go on from it, at whichever server."""
    previous = None
    for _ in range(6):
        body = {"model": f"{name}/echo", "input": "hello", "stream": True, "previous_response_id": previous}
        url = f"{callers[0].base_url}{RESPONSES}"
        with httpx.stream("POST", url, json=body, headers=bearer(FIRST), timeout=30) as answer:
            assert answer.status_code == 200, answer.read()
            last = next(event for event in events_in(answer) if event["type"] == "response.completed")
        previous = last["response"]["id"]


def test_what_is_removed_at_one_server_is_gone_at_the_other(callers: list[httpx.Client]) -> None:
    """Although the other has it in memory; nobody removes or sees another's."""
    one, other = callers
    answer = ask(one, "hello")
    place = f"{RESPONSES}/{answer['id']}"
    assert other.get(place, headers=bearer(FIRST)).json() == answer
    for method in ("GET", "DELETE"):
        assert other.request(method, place, headers=bearer(SECOND)).status_code == 404
    assert code_of(ask(other, "mine?", answer["id"], SECOND)) == "previous_response_not_found"
    assert one.delete(place, headers=bearer(FIRST)).json()["deleted"] is True
    for caller in callers:
        assert caller.get(place, headers=bearer(FIRST)).status_code == 404
        assert code_of(ask(caller, "go on", answer["id"])) == "previous_response_not_found"


def test_an_item_of_the_other_server(callers: list[httpx.Client]) -> None:
    """Some clients name each item that the API has stored."""
    answer = ask(callers[0], "hello")
    reference: Any = [{"type": "item_reference", "id": answer["output"][0]["id"]}, {"role": "user", "content": "and?"}]
    assert ask(callers[1], reference)["status"] == "completed"


def test_a_locked_database_and_a_restart(config: str, tmp_path: Path, sandbox: SandboxThread) -> None:
    """A database that takes nothing fails no request. What it took later is there for the next process, and belongs to
    who has the key, whatever place the key has in the list now."""
    rows, environment = tmp_path / "rows.db", dict(KEYS)
    with Keyed(tmp_path, config, environment=environment) as cluster, client(cluster) as caller:
        with locked(rows):
            first = ask(caller, "My name is Ada.")
            second = ask(caller, "Remember it.", first["id"])
            assert second["status"] == "completed"
            assert code_of(ask(caller, "go on", "resp_unknown")) == "previous_response_not_found"
        until(lambda: len(kept_in(rows)) == 2, "both responses are written")
    environment["OR_CALLER_KEYS"] = f"{SECOND},{FIRST}"
    with Keyed(tmp_path, config, environment=environment) as cluster, client(cluster) as caller:
        assert code_of(ask(caller, "mine?", second["id"], SECOND)) == "previous_response_not_found"
        assert ask(caller, "Who am I?", second["id"])["status"] == "completed"
        assert "My name is Ada." in heard(sandbox, "chats")
        assert caller.get(f"{RESPONSES}/{first['id']}", headers=bearer(FIRST)).json() == first
        caller.delete(f"{RESPONSES}/{first['id']}", headers=bearer(FIRST))
    assert [removed for _, _, removed in kept_in(rows)] == [1, 0, 0]
    assert FIRST not in str(kept_in(rows))


def client(cluster: Cluster) -> httpx.Client:
    """A caller of a cluster."""
    return httpx.Client(base_url=cluster.url, timeout=20, trust_env=False, verify=False)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """While nobody else may write to this database."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def kept_in(path: Path) -> list[tuple[str, str, int]]:
    """The owner and the name of each turn, and whether it was removed."""
    with closing(sqlite3.connect(path, timeout=10)) as connection:
        return connection.execute("SELECT owner, response_id, removed FROM kept_response ORDER BY id").fetchall()
