"""A reload of a split cluster: once in each process, with what ``.env`` says now, whoever asks for it."""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.cluster.harness import Cluster, SandboxThread, chat, until
from tests.cluster.test_supervisor import children_of, is_running

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

ADMIN = {"authorization": "Bearer admin-token-of-the-test"}
BEFORE = {"ALPHA_SECRET": "alpha-key-1", "OR_ATTEMPTS": "3"}
AFTER = {"ALPHA_SECRET": "alpha-key-2", "OR_ATTEMPTS": "1"}
PROGRAMS = {"orcestator", "orcestator.proxy_worker", "orcestator.api_server"}
"""Those that read the configuration again; the controller has nothing that can change while it runs."""
PROCESSES = 4
"""Of them: the supervisor, a worker and two API servers."""
DONE = "the configuration was reloaded"
EVER = datetime(2000, 1, 1, tzinfo=UTC)
"""A process tells people of the same thing once in a long while; two that both did would be two lines."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxThread]:
    with SandboxThread() as running:
        yield running


@pytest.fixture(scope="module")
def cluster(sandbox: SandboxThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("reload_split")
    write_env(directory, BEFORE)
    text = config(sandbox.base_url)
    environment = {"OR_ADMIN_TOKEN": "admin-token-of-the-test", "OR_LOG_LEVEL": "info"}
    with Cluster(directory, text, "split", environment, ("--api-workers", "2")) as running:
        yield running


@pytest.fixture(autouse=True)
def as_it_was(cluster: Cluster, sandbox: SandboxThread) -> Iterator[None]:
    yield
    write_env(cluster.directory, BEFORE)
    write(cluster.directory / "config.yaml", config(sandbox.base_url))
    assert reloaded(cluster).status_code == 200


def config(address: str) -> str:
    return f"""
providers:
  alpha: {{base_url: "{address}", api_key: "${{ALPHA_SECRET}}", default_model: echo}}
"""


def write(path: Path, text: str) -> None:
    written = path.with_name(f"{path.name}.new")
    written.write_text(text, "utf-8")
    written.replace(path)


def write_env(directory: Path, variables: Mapping[str, str]) -> None:
    write(directory / ".env", "".join(f"{name}={value}\n" for name, value in variables.items()))


def reloaded(cluster: Cluster) -> httpx.Response:
    return cluster.post("/admin/reload", {}, headers=ADMIN)


def said(cluster: Cluster, since: datetime, what: str) -> int:
    """How many lines of the log that were written by any process after a moment have this in them.

    A line may reach the file later than the answer it is about, so that to count all lines would count those of before, too.
    """
    lines = [json.loads(line) for line in cluster.program.output().splitlines() if line.startswith("{")]
    later = [line for line in lines if datetime.fromisoformat(line["ts"]) > since]
    return sum(what in (line["message"], line.get("kind")) or line["message"].startswith(what) for line in later)


def now() -> datetime:
    """In whole milliseconds, as the log has it."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def attempts(cluster: Cluster) -> set[int]:
    """What API servers say; each request may reach another one."""
    answers = [cluster.get("/admin/config", headers=ADMIN) for _ in range(12)]
    assert all(answer.status_code == 200 for answer in answers), answers[-1].text
    return {answer.json()["settings"]["attempts"] for answer in answers}


def key_used(cluster: Cluster, sandbox: SandboxThread) -> str:
    """The key with which the worker calls its upstream."""
    assert cluster.post("/v1/chat/completions", chat(model="alpha/echo")).status_code == 200
    shown: str = sandbox.last_call.headers["authorization"]
    return shown.removeprefix("Bearer ")


def children(cluster: Cluster, program: str) -> list[int]:
    """The processes of one of the programs."""
    process = cluster.program.process
    assert process is not None
    return [pid for pid in children_of(process.pid) if program in Path(f"/proc/{pid}/cmdline").read_text("utf-8")]


def test_one_request_is_one_reload_in_each_process(cluster: Cluster, sandbox: SandboxThread) -> None:
    """The answer tells of the whole cluster, keys included, and by then it is in force in all of it."""
    assert key_used(cluster, sandbox) == "alpha-key-1"
    began = now()
    write_env(cluster.directory, AFTER)
    answer = reloaded(cluster)
    assert answer.status_code == 200, answer.text
    assert {change["name"] for change in answer.json()["applied"]} == {"attempts", "providers.alpha.keys"}
    assert answer.json()["needs_restart"] == answer.json()["problems"] == []
    assert "alpha-key" not in answer.text
    assert attempts(cluster) == {1}
    assert key_used(cluster, sandbox) == "alpha-key-2"
    until(lambda: said(cluster, began, DONE) >= PROCESSES, "each process has said so")
    assert reloaded(cluster).json()["applied"] == []
    until(lambda: said(cluster, began, DONE) >= 2 * PROCESSES, "each process has said so again")
    assert said(cluster, began, DONE) == 2 * PROCESSES


def test_a_signal_does_the_same(cluster: Cluster, sandbox: SandboxThread) -> None:
    began = now()
    write_env(cluster.directory, AFTER)
    cluster.program.process.send_signal(signal.SIGHUP)  # type: ignore[union-attr]
    until(lambda: said(cluster, began, DONE) >= PROCESSES, "each process has said so")
    assert attempts(cluster) == {1}
    assert key_used(cluster, sandbox) == "alpha-key-2"


@pytest.mark.parametrize("program", ["orcestator.api_server", "orcestator.proxy_worker"])
def test_a_signal_to_a_child_is_for_all(cluster: Cluster, program: str) -> None:
    began = now()
    os.kill(children(cluster, program)[0], signal.SIGHUP)
    until(lambda: said(cluster, began, DONE) >= PROCESSES, "each process has said so")


@pytest.mark.parametrize(
    ("bad_env", "bad_config"), [({**AFTER, "OR_ATTEMPTS": "many"}, ""), (AFTER, "\nroutign: {maxRetries: 5}\n")]
)
def test_a_bad_one_changes_nothing_anywhere(
    cluster: Cluster, sandbox: SandboxThread, bad_env: Mapping[str, str], bad_config: str
) -> None:
    began = now()
    write_env(cluster.directory, bad_env)
    write(cluster.directory / "config.yaml", config(sandbox.base_url) + bad_config)
    answer = reloaded(cluster)
    assert answer.status_code == 400
    (problem,) = answer.json()["problems"]
    assert ("routign" if bad_config else "OR_ATTEMPTS") in problem
    assert attempts(cluster) == {3}
    assert key_used(cluster, sandbox) == "alpha-key-1"
    until(lambda: said(cluster, EVER, "reload_failed") == 1, "one process has told people")
    assert said(cluster, began, DONE) == 0


def test_several_at_once_come_one_after_the_other(cluster: Cluster, sandbox: SandboxThread) -> None:
    """The change is told to the first; to all the others there is nothing new."""
    write_env(cluster.directory, AFTER)
    began = now()
    answers: list[httpx.Response] = []
    askers = [threading.Thread(target=lambda: answers.append(reloaded(cluster))) for _ in range(5)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert [answer.status_code for answer in answers] == [200] * 5
    assert sorted(len(answer.json()["applied"]) for answer in answers) == [0, 0, 0, 0, 2]
    until(lambda: said(cluster, began, DONE) >= 5 * PROCESSES, "each process has said so five times")
    assert attempts(cluster) == {1}
    assert key_used(cluster, sandbox) == "alpha-key-2"


def test_a_child_that_dies_comes_back_with_the_new_one(cluster: Cluster, sandbox: SandboxThread) -> None:
    write_env(cluster.directory, AFTER)
    assert reloaded(cluster).status_code == 200
    dead = [*children(cluster, "orcestator.api_server"), *children(cluster, "orcestator.proxy_worker")]
    assert len(dead) == 3
    for pid in dead:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(map(is_running, dead)), "they are dead")
    until(lambda: len(children(cluster, "orcestator.")) == PROCESSES, "as many have been started")
    cluster.program.wait_ready(f"{cluster.url}/ready")
    until(lambda: served(cluster), "requests are served again", 30)
    assert attempts(cluster) == {1}
    assert key_used(cluster, sandbox) == "alpha-key-2"


def served(cluster: Cluster) -> bool:
    try:
        return cluster.post("/v1/chat/completions", chat(model="alpha/echo")).status_code == 200
    except httpx.HTTPError:
        return False


def test_a_worker_takes_over_what_only_it_acts_on(cluster: Cluster) -> None:
    """The patience with an upstream is the worker's; an API server waits longer, for its better explained failure."""
    call = chat(model="alpha/echo?ttft=2")
    assert cluster.post("/v1/chat/completions", call).status_code == 200
    write_env(cluster.directory, {**BEFORE, "OR_WHOLE_REPLY_TIMEOUT_SECONDS": "0.5", "OR_ATTEMPTS": "1"})
    worker = children(cluster, "orcestator.proxy_worker")
    answer = reloaded(cluster).json()
    assert "whole_reply_timeout_seconds" in {change["name"] for change in answer["applied"]}
    assert cluster.post("/v1/chat/completions", call).status_code == 504
    assert children(cluster, "orcestator.proxy_worker") == worker


def test_keys_stay_where_they_are_needed(cluster: Cluster, sandbox: SandboxThread) -> None:
    """No process but the worker ever holds the new key; looked for in its memory."""
    write_env(cluster.directory, {**AFTER, "ALPHA_SECRET": "alpha-key-that-is-looked-for"})
    assert reloaded(cluster).status_code == 200
    assert key_used(cluster, sandbox) == "alpha-key-that-is-looked-for"
    assert not any(holds(pid, b"alpha-key-that-is-looked-for") for pid in children(cluster, "orcestator.api_server"))
    assert not any(holds(pid, b"alpha-key-that-is-looked-for") for pid in children(cluster, "orcestator.controller"))
    assert all(holds(pid, b"alpha-key-that-is-looked-for") for pid in children(cluster, "orcestator.proxy_worker"))


def test_nobody_is_sent_to_a_provider_that_was_taken_out(cluster: Cluster, sandbox: SandboxThread) -> None:
    """From the moment the reload is answered, although its worker may end its work later."""
    both = f'{config(sandbox.base_url)}  beta: {{base_url: "{sandbox.base_url}", api_key: k, default_model: echo, order: 900}}\n'
    for _ in range(2):
        write(cluster.directory / "config.yaml", both)
        assert reloaded(cluster).status_code == 200
        until(lambda: asked(cluster) == "alpha", "the first one is used")
        write(cluster.directory / "config.yaml", both.replace("  alpha: {", "  alpha: {enabled: false, "))
        assert reloaded(cluster).status_code == 200
        # Where it is still known, its worker refuses as it ends, or even answers.
        gone = {cluster.post("/v1/chat/completions", chat(model="alpha/echo")).status_code for _ in range(20)}
        assert gone == {404}
        assert asked(cluster) == "beta"


def asked(cluster: Cluster) -> str | None:
    return cluster.post("/v1/chat/completions", chat(model="orcestator")).headers.get("x-orcestator-provider")


def holds(pid: int, secret: bytes) -> bool:
    """Whether the memory of a process has these bytes somewhere."""
    with Path(f"/proc/{pid}/maps").open(encoding="utf-8") as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in maps:
            span, access, *_ = line.split()
            if "rw" not in access:
                continue
            start, end = (int(text, 16) for text in span.split("-"))
            memory.seek(start)
            try:
                if secret in memory.read(end - start):
                    return True
            except OSError:
                continue
    return False


def test_who_calls_during_reloads_that_replace_a_provider_is_answered(cluster: Cluster, sandbox: SandboxThread) -> None:
    """The names of a configuration hold when the workers that they lead to are known, in every API server."""
    texts = [
        config(sandbox.base_url) + "aliases: {both: alpha/echo}\n",
        f'providers: {{gamma: {{base_url: "{sandbox.base_url}", api_key: k}}}}\naliases: {{both: gamma/echo}}\n',
    ]
    write(cluster.directory / "config.yaml", texts[0])
    assert reloaded(cluster).status_code == 200
    answers: list[httpx.Response] = []
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            answers.append(cluster.post("/v1/chat/completions", chat(model="both")))

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    try:
        for place in (1, 0, 1, 0):
            write(cluster.directory / "config.yaml", texts[place])
            assert reloaded(cluster).status_code == 200
            so_far = len(answers)
            until(lambda so_far=so_far: len(answers) > so_far + 9, "callers have asked")  # type: ignore[misc]
    finally:
        is_over.set()
        for asker in askers:
            asker.join()
    assert {answer.status_code for answer in answers} == {200}, next(a.text for a in answers if a.status_code != 200)
    assert {answer.headers["x-orcestator-provider"] for answer in answers} == {"alpha", "gamma"}
