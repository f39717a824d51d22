"""The controller dies, comes back, or is lied to: requests are served all the while, and nobody gets what is not his."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster.harness import (
    Program,
    SandboxThread,
    chat,
    clean_environment,
    events_of,
    free_port,
    local_request,
    text_of,
    until,
)
from tests.cluster.test_contracts import (
    ECHO_WORKER,
    models_of,
    our_api,
    our_worker,
    registered,
    start,
    stock_controller,
)
from tests.cluster.test_transport_faults import Listener

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a program is killed with SIGKILL")
SECRET = {"OR_WORKER_SECRET": "the-worker-secret"}


@pytest.fixture
def sandbox() -> Iterator[SandboxThread]:
    """An upstream for our worker."""
    with SandboxThread() as running:
        yield running


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Ends every program of a test."""
    with ExitStack() as programs:
        yield programs


class Controller:
    """Our controller as a process that can be killed and started again at its address."""

    def __init__(self, stack: ExitStack, directory: Path, **more: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.directory = directory
        arguments = ["orcestator.controller", "--host", "127.0.0.1", "--port", str(port)]
        self.program: Program = start(stack, directory, arguments, f"{self.url}/test_connection", **more)

    def kill(self) -> None:
        """As a crash would."""
        self.program.stop(signal.SIGKILL)

    def start_again(self) -> None:
        """The same command once more."""
        self.program.start().wait_ready(f"{self.url}/test_connection")

    def workers(self, **headers: str) -> list[dict[str, Any]]:
        """Its table."""
        answer = local_request("GET", f"{self.url}/orcestator/workers", headers=headers)
        rows: list[dict[str, Any]] = answer.raise_for_status().json()["workers"]
        return rows

    @property
    def table(self) -> Path:
        """Where it keeps its table."""
        return self.directory / ".orcestator" / "workers.json"


def ask(api: str, model: str = "orcestator", text: str = "nonce:fig") -> httpx.Response:
    """A plain request that must be served."""
    answer = local_request("POST", f"{api}/v1/chat/completions", json=chat(text, model), timeout=30)
    assert answer.status_code == 200, answer.text
    return answer


def ask_streamed(api: str, model: str = "orcestator") -> str:
    """The text of a stream that must be whole."""
    call = chat("nonce:fig", model, stream=True)
    with (
        httpx.Client(timeout=30, trust_env=False, verify=False) as client,
        client.stream("POST", f"{api}/v1/chat/completions", json=call) as response,
    ):
        events = list(events_of(response))
    assert events[-1] == "[DONE]"
    return text_of(events)


def reaches_controller(api: str) -> bool:
    """What ``/health`` says of it."""
    health = local_request("GET", f"{api}/health")
    assert health.status_code == 200, health.text
    reached: bool = health.json()["components"]["controller"]["reached"]
    return reached


def test_requests_are_served_while_the_controller_is_gone(
    stack: ExitStack, tmp_path: Path, sandbox: SandboxThread
) -> None:
    """The last plan serves on; the controller comes back with its table, long before any heart-beat."""
    controller = Controller(stack, tmp_path)
    worker = our_worker(stack, tmp_path, controller.url, sandbox)
    api = our_api(stack, tmp_path, controller.url)
    until(lambda: "sandbox/echo" in models_of(api), "the worker's models are listed")
    until(lambda: controller.table.exists() and worker in controller.table.read_text(), "the table is saved")
    controller.kill()
    until(lambda: not reaches_controller(api), "the API server has noticed")
    for _ in range(20):
        assert "fig" in ask(api).json()["choices"][0]["message"]["content"]
    assert "fig" in ask_streamed(api)
    assert "sandbox/echo" in models_of(api)
    assert local_request("GET", f"{api}/ready").status_code == 200
    controller.start_again()
    assert [row["worker_name"] for row in controller.workers()] == [worker]
    until(lambda: reaches_controller(api), "the API server has found it again")
    assert "fig" in ask(api).json()["choices"][0]["message"]["content"]


def stock_worker(stack: ExitStack, directory: Path, controller: str) -> None:
    """An unmodified FastChat worker that sends a heart-beat each second (45 by default)."""
    environment = clean_environment(FASTCHAT_WORKER_HEART_BEAT_INTERVAL="1")
    environment["PYTHONPATH"] += os.pathsep + str(ECHO_WORKER.parent)
    arguments = [ECHO_WORKER.stem, "--port", str(free_port()), "--controller-address", controller]
    stack.callback(Program([*arguments, "--model", "echo-model"], directory, environment).start().stop)


def test_a_stock_worker_rejoins_a_controller_that_forgot_it(stack: ExitStack, tmp_path: Path) -> None:
    """Without its file the controller knows nobody: a heart-beat tells the worker, and it registers again by itself."""
    controller = Controller(stack, tmp_path)
    stock_worker(stack, tmp_path, controller.url)
    api = our_api(stack, tmp_path, controller.url)
    until(lambda: "fastchat/echo-model" in models_of(api), "the stock worker's model is listed", 30)
    until(controller.table.exists, "the table is saved")
    controller.kill()
    assert "fig" in ask_streamed(api, "fastchat/echo-model")
    controller.table.unlink()
    controller.start_again()
    until(lambda: registered(controller.url, "echo-model"), "the worker is back", 30)
    assert "fig" in ask(api, "fastchat/echo-model").json()["choices"][0]["message"]["content"]


REGISTRATIONS = {
    "same model, idle and fast": {"model_names": ["orcestator", "sandbox/echo"], "speed": 1000, "queue_length": 0},
    "a queue below zero": {"model_names": ["orcestator"], "speed": 1, "queue_length": -1e9},
    "no speed": {"model_names": ["orcestator"], "speed": 0, "queue_length": 0},
    "an offer of ours": {
        "model_names": ["orcestator"], "speed": 1, "queue_length": 0,
        "orcestator": {
            "offers": [{
                "provider": "sandbox", "order": 0, "endpoints": ["chat"], "models": {"echo": {}},
                "default_model": "echo", "prefixes": [], "takes_any": True,
            }],
        },
    },
    "call me back": None,
}  # fmt: skip


def test_a_stranger_gets_no_prompt_and_no_connection(stack: ExitStack, tmp_path: Path, sandbox: SandboxThread) -> None:
    """With a worker secret, whoever registers without it is in quarantine, whatever it claims."""
    controller = Controller(stack, tmp_path, **SECRET)
    with Listener() as stranger:
        our_worker_with_secret(stack, tmp_path, controller, sandbox)
        api = our_api_with_secret(stack, tmp_path, controller)
        until(lambda: "sandbox/echo" in models_of(api), "the worker's models are listed")
        for claim, status in REGISTRATIONS.items():
            for headers in ({}, {"x-orcestator-worker-secret": "a-guess"}):
                body = {
                    "worker_name": f"http://127.0.0.1:{stranger.port}",
                    "check_heart_beat": False,
                    "worker_status": status,
                    "multimodal": False,
                }
                told = local_request("POST", f"{controller.url}/register_worker", json=body, headers=headers)
                assert told.status_code in (200, 400), claim
        secret = {"x-orcestator-worker-secret": SECRET["OR_WORKER_SECRET"]}
        assert len(controller.workers(**secret)) == 1
        pending = local_request("GET", f"{controller.url}/orcestator/pending", headers=secret).json()["pending"]
        assert [row["worker_name"] for row in pending] == [f"http://127.0.0.1:{stranger.port}"]
        sandbox.reset()
        for number in range(30):
            ask(api, "orcestator" if number % 2 else "sandbox/echo", f"nonce:n{number}")
        assert len([record for record in sandbox.records if record.path.endswith("/chat/completions")]) == 30
        assert stranger.connections == 0


def our_worker_with_secret(stack: ExitStack, directory: Path, controller: Controller, sandbox: SandboxThread) -> None:
    """Our worker, which proves that it belongs here."""
    port = free_port()
    arguments = ["orcestator.proxy_worker", "--controller", controller.url, "--port", str(port)]
    ready = f"http://127.0.0.1:{port}/health"
    start(stack, directory, [*arguments, "--provider", "sandbox"], ready, SANDBOX_BASE_URL=sandbox.base_url, **SECRET)


def our_api_with_secret(stack: ExitStack, directory: Path, controller: Controller) -> str:
    """Our API server, which may ask this controller for its offers."""
    port = free_port()
    arguments = ["orcestator.api_server", "--host", "127.0.0.1", "--port", str(port), "--controller", controller.url]
    start(stack, directory, arguments, f"http://127.0.0.1:{port}/ready", **SECRET)
    return f"http://127.0.0.1:{port}"


def test_listing_models_never_makes_a_stock_controller_refresh(
    stack: ExitStack, tmp_path: Path, sandbox: SandboxThread
) -> None:
    """A stock controller that refreshes its workers stands still and forgets them meanwhile."""
    log = tmp_path / "controller"
    controller = stock_controller(stack, log)
    our_worker(stack, tmp_path, controller, sandbox)
    until(lambda: registered(controller, "orcestator"), "the worker is registered")
    api = our_api(stack, tmp_path, controller)
    until(lambda: "sandbox/echo" in models_of(api), "its models are listed", 30)
    for _ in range(10):
        assert "sandbox/echo" in models_of(api)
        assert local_request("GET", f"{api}/v1/models/sandbox/echo").status_code == 200
    (output,) = log.glob("output-*.txt")
    assert "/list_models" in output.read_text("utf-8")
    assert "/refresh_all_workers" not in output.read_text("utf-8")
    local_request("POST", f"{controller}/refresh_all_workers", timeout=30)
    until(lambda: "/refresh_all_workers" in output.read_text("utf-8"), "its log would have told")
