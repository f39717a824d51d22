"""Our controller's dispatch for who asks it for one address: a worker in trouble is passed over."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from orcestator.json_text import Json
from tests.cluster.harness import SandboxThread, chat, free_port, local_request, until
from tests.cluster.test_contracts import our_controller, start, stock_api


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Ends every program of a test."""
    with ExitStack() as programs:
        yield programs


def worker(stack: ExitStack, directory: Path, controller: str, upstream: str, **settings: str) -> str:
    port = free_port()
    arguments = ["orcestator.proxy_worker", "--controller", controller, "--port", str(port), "--provider", "sandbox"]
    settings = {"OR_BREAKER_CONSECUTIVE_FAILURES": "1", "SANDBOX_BASE_URL": upstream, **settings}
    start(stack, directory, arguments, f"http://127.0.0.1:{port}/health", **settings)
    return f"http://127.0.0.1:{port}"


def rows(controller: str) -> dict[str, Json]:
    answer = local_request("GET", f"{controller}/orcestator/workers").json()
    return {row["worker_name"]: row for row in answer["workers"]}


def addresses(controller: str, model: str = "orcestator") -> set[str]:
    """What the controller answers to the stock question, asked several times."""
    answers = [local_request("POST", f"{controller}/get_worker_address", json={"model": model}) for _ in range(6)]
    return {answer.json()["address"] for answer in answers}


def asked(api: str) -> tuple[int, str]:
    """(status, text) of one chat."""
    answer = local_request("POST", f"{api}/v1/chat/completions", json=chat("nonce:fig"), timeout=30)
    return answer.status_code, answer.text


def test_a_stock_api_server_is_answered_by_the_worker_that_is_well(stack: ExitStack, tmp_path: Path) -> None:
    """The other one's background checks find that its upstream is gone."""
    controller = our_controller(stack, tmp_path / "controller")
    first = SandboxThread()
    with SandboxThread() as second:
        first.__enter__()
        address = first.base_url
        every_second = {"OR_HEALTH_CHECK_INTERVAL_SECONDS": "1"}
        doomed = worker(stack, tmp_path / "first", controller, address, **every_second)
        well = worker(stack, tmp_path / "second", controller, second.base_url, **every_second)
        until(lambda: set(rows(controller)) == {doomed, well}, "both workers are registered")
        api = stock_api(stack, tmp_path, controller)
        until(lambda: addresses(controller) == {doomed, well}, "both are given out")
        first.__exit__()

        until(lambda: down(rows(controller)[doomed]), "its checks say down", 30)
        assert addresses(controller) == {well}
        for _ in range(4):
            status, text = asked(api)
            assert status == 200, text
            assert "fig" in text


def down(row: Json) -> bool:
    return [offer["check"].get("status") for offer in row["offer"]["offers"]] == ["down"]


def test_trouble_that_requests_saw_is_reported_for_that_model(stack: ExitStack, tmp_path: Path) -> None:
    """No background check has been made yet: what the worker's own breaker knows comes with its heart-beat, and soon."""
    controller = our_controller(stack, tmp_path / "controller")
    first = SandboxThread()
    with SandboxThread() as second:
        first.__enter__()
        sick = worker(stack, tmp_path / "first", controller, first.base_url, OR_BREAKER_OPEN_SECONDS="300")
        well = worker(stack, tmp_path / "second", controller, second.base_url)
        until(lambda: set(rows(controller)) == {sick, well}, "both workers are registered")
        other = next(
            name for name in rows(controller)[sick]["model_names"] if name not in {"orcestator", "sandbox/echo"}
        )
        first.__exit__()
        call = {"model": "sandbox/echo", "prompt": "hello"}
        local_request("POST", f"{sick}/worker_generate", json=call, timeout=30)
        until(lambda: "sandbox/echo" in rows(controller)[sick]["out"], "the trouble is reported", 20)
        assert not down(rows(controller)[sick])
        assert addresses(controller, "sandbox/echo") == {well}
        # All of them: what was handed out just now makes the other one busier.
        assert addresses(controller, other) == {sick}


def test_the_stock_methods_and_ours_are_taken(stack: ExitStack, tmp_path: Path) -> None:
    for method in ("lottery", "shortest_queue", "score", "adaptive"):
        port = free_port()
        arguments = ["orcestator.controller", "--host", "127.0.0.1", "--port", str(port), "--dispatch-method", method]
        start(stack, tmp_path / method, arguments, f"http://127.0.0.1:{port}/test_connection")
