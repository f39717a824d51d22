"""Contracts C1 to C4: ours and the real stock programs of fschat, in every mixture that is promised."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import openai
import pytest

from tests.cluster.harness import Program, SandboxThread, chat, clean_environment, free_port, local_request, until

ECHO_WORKER = Path(__file__).resolve().parents[1] / "bridge" / "stock" / "stock_echo_worker.py"


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


def start(stack: ExitStack, directory: Path, arguments: list[str], ready: str, **more: str) -> Program:
    """A program that answers at ``ready``."""
    environment = clean_environment(OR_METRICS_PORT="0", FASTCHAT_WORKER_HEART_BEAT_INTERVAL="1", **more)
    program = Program(arguments, directory, environment).start()
    stack.callback(program.stop)
    program.wait_ready(ready)
    return program


def models_of(base: str) -> list[str]:
    """The listed model ids."""
    return [card["id"] for card in local_request("GET", f"{base}/v1/models").json()["data"]]


def stock_controller(stack: ExitStack, directory: Path) -> str:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    start(
        stack,
        directory,
        ["fastchat.serve.controller", "--host", "127.0.0.1", "--port", str(port)],
        f"{url}/test_connection",
    )
    return url


def our_controller(stack: ExitStack, directory: Path) -> str:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    start(
        stack,
        directory,
        ["orcestator.controller", "--host", "127.0.0.1", "--port", str(port)],
        f"{url}/test_connection",
    )
    return url


def our_worker(stack: ExitStack, directory: Path, controller: str, sandbox: SandboxThread) -> str:
    port = free_port()
    arguments = ["orcestator.proxy_worker", "--model-id", "orcestator", "--controller", controller]
    start(
        stack,
        directory,
        [*arguments, "--port", str(port), "--provider", "sandbox"],
        f"http://127.0.0.1:{port}/health",
        SANDBOX_BASE_URL=sandbox.base_url,
    )
    return f"http://127.0.0.1:{port}"


def our_api(stack: ExitStack, directory: Path, controller: str) -> str:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    arguments = ["orcestator.api_server", "--host", "127.0.0.1", "--port", str(port), "--controller", controller]
    start(stack, directory, arguments, f"{url}/ready")
    return url


def stock_api(stack: ExitStack, directory: Path, controller: str) -> str:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    start(
        stack,
        directory,
        [
            "fastchat.serve.openai_api_server", "--host", "127.0.0.1", "--port", str(port),
            "--controller-address", controller,
        ],
        f"{url}/v1/models",
    )  # fmt: skip
    return url


def stock_worker(stack: ExitStack, directory: Path, controller: str) -> None:
    port = free_port()
    name = ECHO_WORKER.stem
    environment = {"PYTHONPATH": f"{clean_environment()['PYTHONPATH']}{_SEPARATOR}{ECHO_WORKER.parent}"}
    arguments = [name, "--port", str(port), "--controller-address", controller, "--model", "echo-model"]
    program = Program(arguments, directory, clean_environment() | environment).start()
    stack.callback(program.stop)


_SEPARATOR = ";" if sys.platform == "win32" else ":"


def registered(controller: str, model: str) -> bool:
    """Whether the controller lists the model."""
    listed = local_request("POST", f"{controller}/list_models").json()["models"]
    return model in listed


def test_c1_our_worker_serves_a_stock_api_server(stack: ExitStack, tmp_path: Path, sandbox: SandboxThread) -> None:
    """Stock controller, our worker, stock API server: chat, roles kept, and embeddings."""
    controller = stock_controller(stack, tmp_path)
    our_worker(stack, tmp_path, controller, sandbox)
    until(lambda: registered(controller, "orcestator"), "the worker is registered")
    api = stock_api(stack, tmp_path, controller)
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": "nonce:kiwi"},
    ]
    answer = local_request(
        "POST",
        f"{api}/v1/chat/completions",
        json={"model": "orcestator", "messages": messages},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    assert "kiwi" in answer.json()["choices"][0]["message"]["content"]
    assert answer.json()["choices"][0]["finish_reason"] == "stop"
    received = openai_body(sandbox)
    assert [(m["role"], m["content"]) for m in received["messages"]] == [(m["role"], m["content"]) for m in messages]


def openai_body(sandbox: SandboxThread) -> dict[str, object]:
    """The last chat call the sandbox received."""
    records = [record for record in sandbox.records if record.path.endswith("/chat/completions")]
    body: dict[str, object] = json.loads(records[-1].body)
    return body


def test_c1_a_failure_is_an_answer_of_the_stock_protocol(
    stack: ExitStack, tmp_path: Path, sandbox: SandboxThread
) -> None:
    """An upstream that refuses does not cost the worker a permit, and the next request is served."""
    controller = stock_controller(stack, tmp_path)
    worker = our_worker(stack, tmp_path, controller, sandbox)
    for model, error_code in [("sandbox/fault:H1:500", True), ("orcestator", False)]:
        frames = local_request(
            "POST", f"{worker}/worker_generate_stream", json={"model": model, "prompt": "hello"}, timeout=30
        ).content.split(b"\0")
        last = httpx.Response(200, content=frames[-2]).json()
        assert (last["error_code"] != 0) is error_code


@pytest.mark.parametrize("kind", ["ours", "stock"])
def test_before_a_worker_is_known_nothing_is_not_found(
    kind: str, stack: ExitStack, tmp_path: Path, sandbox: SandboxThread
) -> None:
    """A 404 would tell callers that the name is wrong, and clients do not ask again."""
    controller = (our_controller if kind == "ours" else stock_controller)(stack, tmp_path)
    port = free_port()
    api = f"http://127.0.0.1:{port}"
    arguments = ["orcestator.api_server", "--host", "127.0.0.1", "--port", str(port), "--controller", controller]
    start(stack, tmp_path, arguments, f"{api}/v1/models")
    for path in ("/ready", "/health"):
        assert local_request("GET", f"{api}{path}").status_code == 503
    assert int(local_request("GET", f"{api}/ready").headers["retry-after"]) > 0
    for model in ("orcestator", "sandbox/echo", "no-such-model"):
        refused = local_request("POST", f"{api}/v1/chat/completions", json=chat(model=model))
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "no_worker")
        assert refused.headers["retry-after"] == "1"
    assert local_request("GET", f"{api}/v1/models/sandbox/echo").status_code == 503
    our_worker(stack, tmp_path, controller, sandbox)
    until(lambda: local_request("GET", f"{api}/ready").status_code == 200, "it is ready", 30)
    served = local_request("POST", f"{api}/v1/chat/completions", json=chat(model="sandbox/echo"), timeout=30)
    assert served.status_code == 200
    unknown = local_request("POST", f"{api}/v1/chat/completions", json=chat(model="sandbx/echo"))
    assert unknown.status_code == 404


def test_c2_a_stock_worker_on_our_controller_is_served_by_our_api(stack: ExitStack, tmp_path: Path) -> None:
    """An unmodified BaseModelWorker: chat, streamed chat, and a clear refusal of tools."""
    controller = our_controller(stack, tmp_path)
    stock_worker(stack, tmp_path, controller)
    api = our_api(stack, tmp_path, controller)
    until(lambda: any("echo" in name for name in models_of(api)), "the stock worker's model is listed", 30)
    model = next(name for name in models_of(api) if name.startswith("fastchat/"))
    whole = local_request("POST", f"{api}/v1/chat/completions", json=chat("hello", model), timeout=30)
    assert whole.status_code == 200, whole.text
    assert whole.json()["choices"][0]["message"]["content"]
    client = stack.enter_context(openai.OpenAI(base_url=f"{api}/v1", api_key="any", max_retries=0))
    pieces = list(
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hello"}], stream=True)
    )
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    assert [piece.choices[0].finish_reason for piece in pieces if piece.choices][-1] == "stop"
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    refused = local_request("POST", f"{api}/v1/chat/completions", json=chat("hello", model, tools=tools), timeout=30)
    assert refused.status_code == 400
    assert "tools" in refused.json()["error"]["message"]


def test_c3_our_api_server_works_on_the_stock_controller(
    stack: ExitStack, tmp_path: Path, sandbox: SandboxThread
) -> None:
    """Both kinds of workers behind a stock controller, which is never asked to refresh its workers."""
    controller = stock_controller(stack, tmp_path / "controller")
    our_worker(stack, tmp_path, controller, sandbox)
    until(lambda: registered(controller, "orcestator"), "the worker is registered")
    api = our_api(stack, tmp_path, controller)
    until(lambda: "sandbox/echo" in models_of(api), "our worker's models are listed", 30)
    answer = local_request("POST", f"{api}/v1/chat/completions", json=chat("nonce:plum"), timeout=30)
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"] == "orcestator"
    assert "plum" in answer.json()["choices"][0]["message"]["content"]


def test_c4_the_stock_routes_are_kept(stack: ExitStack, tmp_path: Path, sandbox: SandboxThread) -> None:
    """``/api/v1/token_check`` and ``/v1/engines/{model}/embeddings`` answer through the stock app behind ours."""
    controller = our_controller(stack, tmp_path)
    our_worker(stack, tmp_path, controller, sandbox)
    api = our_api(stack, tmp_path, controller)
    until(lambda: "sandbox/echo" in models_of(api), "our worker's models are listed")
    checked = local_request(
        "POST",
        f"{api}/api/v1/token_check",
        json={"prompts": [{"model": "orcestator", "prompt": "hello there", "max_tokens": 10}]},
        timeout=30,
    )
    assert checked.status_code == 200, checked.text
    assert checked.json()["prompts"][0]["fits"] is True
    embedded = local_request(
        "POST",
        f"{api}/v1/engines/orcestator/embeddings",
        json={"input": ["hello"]},
        timeout=30,
    )
    assert embedded.status_code == 200, embedded.text
    assert embedded.json()["data"][0]["embedding"]
