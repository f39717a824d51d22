"""The controller against real stock programs, and against those who would steal its traffic."""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn

from orcestator.bridge.controller_app import ControllerApp
from orcestator.bridge.registration_policy import SECRET_HEADER, RegistrationPolicy
from orcestator.bridge.registry import WorkerRegistry
from orcestator.bridge.stock.fastchat import (
    Gates,
    ProxyModelWorker,
    keep_registered,
    mount_stock_api,
    register,
    registration_payload,
    send_heart_beat,
)
from orcestator.bridge.stock.frames import StockStream, stock_reply
from orcestator.bridge.stock.prompt import conv_template, fit_to_context, prompt_params
from orcestator.store.documents import Document, open_documents
from tests.cluster.harness import free_port, local_request

ECHO_WORKER = Path(__file__).with_name("stock_echo_worker.py")
DEADLINE_SECONDS = 30.0
SECRET = "worker-s3cret"
OPEN_HERE = RegistrationPolicy()
SECURED = RegistrationPolicy(on_loopback=True, secret=SECRET)


def wait_until(fact, what: str):
    """Poll until ``fact()`` is true and give its value; its OSErrors and HTTP errors mean "not yet"."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            if value := fact():
                return value
        except (OSError, httpx.HTTPError):
            pass
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def listens(address: str) -> bool:
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))):
        return True


@pytest.fixture
def spawn(tmp_path):
    """Start real programs; they are killed at the end and their output is shown when a test fails."""
    running = []

    def start(*arguments, **environment) -> subprocess.Popen:
        output = (tmp_path / f"process-{len(running)}.log").open("wb+")
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "LOGDIR": "", **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        running.append((process, output))
        return process

    yield start
    for process, output in running:
        process.kill()
        process.wait()
        output.seek(0)
        print(" ".join(process.args), output.read().decode("utf-8", "replace")[-4000:], sep="\n")
        output.close()


async def fetch_status(address: str):
    async with httpx.AsyncClient(verify=False, timeout=DEADLINE_SECONDS) as client:
        try:
            answer = await client.post(f"{address}/worker_get_status")
        except httpx.HTTPError as error:
            raise OSError(str(error)) from error
    return answer.json()


async def post_json(url, body, headers):
    async with httpx.AsyncClient(verify=False, timeout=DEADLINE_SECONDS) as client:
        try:
            answer = await client.post(url, json=body, headers=dict(headers))
        except httpx.HTTPError as error:
            raise OSError(str(error)) from error
    return answer.status_code, answer.json()


class Running:
    """A controller of ours behind uvicorn in a thread of its own."""

    def __init__(self, port: int, policy: RegistrationPolicy, *, heart_beat_seconds: float, **parts) -> None:
        version = time.time_ns() // 1_000_000
        registry = WorkerRegistry(draw=lambda: 0.5, first_version=version, heart_beat_seconds=heart_beat_seconds)
        self.app = ControllerApp(registry, policy, **parts)
        self.app.restore()
        self.address = f"http://127.0.0.1:{port}"
        self._client = httpx.Client(base_url=self.address, verify=False, timeout=DEADLINE_SECONDS)
        self._server = uvicorn.Server(
            uvicorn.Config(
                self.app, "127.0.0.1", port, lifespan="off", proxy_headers=False, log_config=None, access_log=False
            )
        )
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(),))
        self._thread.start()
        wait_until(lambda: self._server.started, "our controller")

    async def _run(self) -> None:
        stop = asyncio.Event()
        maintenance = asyncio.create_task(self.app.run_maintenance(stop))
        await self._server.serve()
        stop.set()
        await maintenance

    def stop(self) -> None:
        self._client.close()
        self._server.should_exit = True
        self._thread.join()

    def post(self, path: str, body=None, **more) -> httpx.Response:
        return self._client.post(path, **({"json": body} if "content" not in more else {}), **more)

    def get(self, path: str, **more) -> httpx.Response:
        return self._client.get(path, **more)

    def models(self) -> list[str]:
        return self.post("/list_models").json()["models"]

    def pending(self, **more) -> list[str]:
        return [row["worker_name"] for row in self.get("/orcestator/pending", **more).json()["pending"]]


@contextmanager
def our_controller(policy=OPEN_HERE, *, port=0, heart_beat_seconds=45.0, **parts):
    parts = {"kept_table": None, "fetch_status": fetch_status, "clock": time.monotonic, **parts}
    running = Running(port or free_port(), policy, heart_beat_seconds=heart_beat_seconds, **parts)
    try:
        yield running
    finally:
        running.stop()


def kept_at(path) -> Document:
    return Document(open_documents(str(path.parent)), path.name)


def registration(name="http://127.0.0.1:9001", models=("m",), *, beats=True, **status) -> dict:
    return {
        "worker_name": name,
        "check_heart_beat": beats,
        "worker_status": {"model_names": list(models), "speed": 1, "queue_length": 0, **status},
        "multimodal": False,
    }


def proxy_worker(controller_address: str, address="http://127.0.0.1:9100", **changes) -> ProxyModelWorker:
    gates = Gates(
        stream=lambda params: iter(()),
        generate=lambda params: {"text": "", "error_code": 0},
        embed=lambda params: {},
        count_tokens=lambda params: len(params["prompt"]),
        in_flight=lambda: 3,
    )
    return ProxyModelWorker(
        controller_address=controller_address,
        worker_address=address,
        worker_id="w",
        model_names=["orcestator"],
        permits=8,
        context_length=1000,
        gates=gates,
        offer={"provider": "p"},
        **changes,
    )


# Our worker and the stock controller.


def test_our_registration_is_taken_by_the_stock_controller(spawn):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    spawn("-m", "fastchat.serve.controller", "--host", "127.0.0.1", "--port", port)
    wait_until(lambda: local_request("GET", f"{address}/test_connection").json() == "success", "the stock controller")
    worker = proxy_worker(address)

    async def live() -> list:
        known = [await send_heart_beat(worker, post_json), await register(worker, post_json)]
        return [*known, await send_heart_beat(worker, post_json)]

    assert asyncio.run(live()) == [False, True, True]
    assert local_request("POST", f"{address}/list_models").json() == {"models": ["orcestator"]}
    found = local_request("POST", f"{address}/get_worker_address", json={"model": "orcestator"}).json()
    assert found == {"address": "http://127.0.0.1:9100"}


def test_a_worker_outlives_its_controller():
    """Refused, forgotten and found again; the pauses that it would make are recorded in place of being slept."""
    pauses: list[float] = []
    answers: list = [OSError("refused")] * 7 + [(500, None)] + [(200, None), (200, {"exist": True})]
    answers += [OSError("gone"), (200, {"exist": False}), (200, None)]

    async def post(url, body, headers):
        if not answers:
            raise asyncio.CancelledError
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def live() -> None:
        await keep_registered(proxy_worker("http://127.0.0.1:1"), post, draw=lambda: 0.0, sleep=sleep)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(live())
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30, 45, 45, 1, 45]


def test_our_worker_class_has_none_of_the_stock_traps():
    worker = proxy_worker("http://127.0.0.1:1")
    payload = registration_payload(worker)
    assert payload["worker_status"] == {
        "model_names": ["orcestator"],
        "speed": 1,
        "queue_length": 3,
        "orcestator": {"provider": "p"},
    }
    assert worker.get_conv_template() == {"conv": conv_template()}
    assert worker.model_details() == {"context_length": 1000}
    assert worker.count_token({"prompt": "four"}) == {"count": 4, "error_code": 0}
    assert worker.heart_beat_thread is None
    with pytest.raises(NotImplementedError):
        worker.init_heart_beat()


@pytest.mark.parametrize("way", ["header", "userinfo", "path"])
def test_our_worker_shows_its_secret(way):
    with our_controller(SECURED) as controller:
        addresses = {
            "header": controller.address,
            "userinfo": controller.address.replace("//", f"//w1:{SECRET}@"),
            "path": f"{controller.address}/w/{SECRET}",
        }
        worker = proxy_worker(addresses[way])
        secret = SECRET if way == "header" else ""
        assert asyncio.run(register(worker, post_json, secret=secret))
        assert asyncio.run(send_heart_beat(worker, post_json, secret=secret))
        assert controller.models() == ["orcestator"]


# Stock workers and our controller.


def echo_worker(spawn, controller_address: str, model: str, **environment) -> tuple[subprocess.Popen, str]:
    port = free_port()
    process = spawn(
        ECHO_WORKER, "--port", port, "--controller-address", controller_address, "--model", model, **environment
    )
    return process, f"http://127.0.0.1:{port}"


def test_a_stock_worker_registers_and_is_served(spawn):
    with our_controller() as controller:
        _, address = echo_worker(spawn, controller.address, "echo")
        wait_until(lambda: controller.models() == ["echo"], "the registration")
        wait_until(lambda: listens(address), "the stock worker")
        assert controller.post("/get_worker_address", {"model": "echo"}).json() == {"address": address}
        [row] = controller.get("/orcestator/workers").json()["workers"]
        assert (row["worker_name"], row["kind"], row["offer"]) == (address, "stock", None)

        conv = local_request("POST", f"{address}/worker_get_conv_template", json={}).json()["conv"]
        params = prompt_params({"messages": [{"role": "user", "content": "привет 🙂"}]}, conv, "echo")
        count = local_request("POST", f"{address}/count_token", json=params).json()["count"]
        length = local_request("POST", f"{address}/model_details", json={}).json()["context_length"]
        params = fit_to_context(params, length, count)
        stream = StockStream("echo", "id", 1)
        chunks = []
        url = f"{address}/worker_generate_stream"
        with httpx.stream("POST", url, json=params, trust_env=False, verify=False, timeout=DEADLINE_SECONDS) as answer:
            for piece in answer.iter_raw():
                chunks += stream.feed(piece)
        chunks += stream.end()
        texts = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"]]
        assert "".join(texts) == "echo: привет 🙂"
        assert len([text for text in texts if text]) == 2
        assert chunks[-1]["usage"]["total_tokens"] == 10
        reply = stock_reply(local_request("POST", f"{address}/worker_generate", json=params).json(), "echo", "id", 1)
        assert reply["choices"][0]["message"]["content"] == "echo: привет 🙂"


def test_stock_workers_show_a_secret_unchanged(spawn, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login by-netrc password {SECRET}\n")
    netrc.chmod(0o600)
    with our_controller(SECURED) as controller:
        bare = controller.address.removeprefix("http://")
        echo_worker(spawn, f"http://w1:{SECRET}@{bare}", "by-basic")
        echo_worker(spawn, f"http://{bare}/w/{SECRET}", "by-path")
        echo_worker(spawn, f"http://{bare}", "by-netrc", NETRC=str(netrc))
        stranger, address = echo_worker(spawn, f"http://{bare}", "by-nothing", FASTCHAT_WORKER_HEART_BEAT_INTERVAL="1")
        wait_until(lambda: controller.models() == ["by-basic", "by-netrc", "by-path"], "three registrations")
        shown = {"headers": {SECRET_HEADER: SECRET}}
        wait_until(lambda: controller.pending(**shown) == [address], "the quarantine")
        wait_until(lambda: listens(address), "the quarantined worker")
        assert controller.post("/orcestator/pending/approve", {"worker_name": address}).status_code == 401
        assert controller.post("/orcestator/pending/approve", {"worker_name": address}, **shown).is_success
        assert "by-nothing" in controller.models()
        assert stranger.poll() is None


def test_a_stock_worker_finds_a_controller_that_forgot_everything(spawn):
    port = free_port()
    with our_controller(port=port) as controller:
        _, address = echo_worker(spawn, controller.address, "echo", FASTCHAT_WORKER_HEART_BEAT_INTERVAL="1")
        wait_until(lambda: controller.models() == ["echo"], "the registration")
        wait_until(lambda: listens(address), "the stock worker")
    with our_controller(port=port) as controller:
        wait_until(lambda: controller.models() == ["echo"], "the second registration")


def test_the_stock_register_script_is_called_back(spawn):
    with our_controller() as controller, our_controller() as elsewhere:
        _, address = echo_worker(spawn, elsewhere.address, "echo")
        wait_until(lambda: listens(address), "the stock worker")
        script = ("-m", "fastchat.serve.register_worker", "--controller-address", controller.address)
        assert spawn(*script, "--worker-name", address).wait(DEADLINE_SECONDS) == 0
        assert controller.models() == ["echo"]


# The stock API server's routes.


# Stock code calls pydantic by its old names.
@pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecatedSince20")
def test_stock_routes_are_mounted_behind_the_callers_key(spawn):
    with our_controller() as controller:
        _, address = echo_worker(spawn, controller.address, "echo")
        wait_until(lambda: listens(address), "the stock worker")
        wait_until(lambda: controller.models() == ["echo"], "the registration")
        app = mount_stock_api(controller.address, ["k1"])

        async def ask(method: str, path: str, key: str, body=None) -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, json=body, headers={"authorization": f"Bearer {key}"})

        check = {"prompts": [{"model": "echo", "prompt": "a b c", "max_tokens": 10}]}
        answer = asyncio.run(ask("POST", "/api/v1/token_check", "k1", check))
        assert answer.json() == {"prompts": [{"fits": True, "tokenCount": 3, "contextLength": 4096}]}
        assert asyncio.run(ask("POST", "/api/v1/token_check", "wrong", check)).status_code == 401
        check["prompts"][0]["model"] = "unknown"
        assert asyncio.run(ask("POST", "/api/v1/token_check", "k1", check)).status_code == 400
        assert asyncio.run(ask("POST", "/api/v1/token_check", "k1", {"prompts": 1})).status_code == 400
        chat = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
        answer = asyncio.run(ask("POST", "/api/v1/chat/completions", "k1", chat))
        assert answer.json()["choices"][0]["message"]["content"] == "echo: hi"
        for path in ("/v1/models", "/v1/models/", "/docs", "/openapi.json"):
            assert asyncio.run(ask("GET", path, "k1")).status_code == 404
        assert asyncio.run(ask("POST", "/v1/chat/completions", "k1", chat)).status_code == 404


# Attacks.


@pytest.mark.parametrize("silly", [{"queue_length": -1e9}, {"speed": 0}, {"speed": -1}, {"queue_length": True}])
def test_silly_numbers_change_nothing_for_the_honest(silly):
    with our_controller() as controller:
        controller.post("/register_worker", registration("http://127.0.0.1:1"))
        answer = controller.post("/register_worker", registration("http://127.0.0.1:2", **silly))
        assert answer.status_code == 400
        assert answer.json()["error"]["type"] == "invalid_request_error"
        chosen = [controller.post("/get_worker_address", {"model": "m"}) for _ in range(20)]
        assert {answer.json()["address"] for answer in chosen} == {"http://127.0.0.1:1"}
        beat = {"worker_name": "http://127.0.0.1:1", "queue_length": -1e9}
        assert controller.post("/receive_heart_beat", beat).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"null",
        b'{"worker_name": NaN}',
        b'{"worker_name": 1e999}',
        b"[" * 100_000,
        b"\xff",
        b"9" * 5000,
        b'{"worker_name": "\\ud800"}',
        "{}".encode("utf-16"),
    ],
    ids=range(12),
)
@pytest.mark.parametrize("path", ["/register_worker", "/receive_heart_beat", "/get_worker_address"])
def test_bad_bodies_are_400(path, body):
    """One server per case would be slow: the application is called directly, through the real HTTP client."""
    app = ControllerApp(WorkerRegistry(draw=lambda: 0.5), OPEN_HERE, None, fetch_status, time.monotonic)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.post(path, content=body)

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_a_stranger_is_quarantined_and_never_called():
    asked = []

    async def fetch(address: str):
        asked.append(address)
        return await fetch_status(address)

    with socket.create_server(("127.0.0.1", 0)) as listener, our_controller(SECURED, fetch_status=fetch) as controller:
        listener.setblocking(False)
        target = f"http://127.0.0.1:{listener.getsockname()[1]}"
        call_me = {"worker_name": target, "check_heart_beat": True, "worker_status": None}
        answer = controller.post("/register_worker", call_me)
        assert (answer.status_code, answer.json()) == (200, None)
        beat = {"worker_name": target, "queue_length": 0}
        assert controller.post("/receive_heart_beat", beat).json() == {"exist": True}
        assert controller.models() == []
        known = {"headers": {SECRET_HEADER: SECRET}}
        controller.post("/register_worker", registration("http://127.0.0.1:1"), **known)
        controller.post("/refresh_all_workers")
        wait_until(lambda: asked, "the status check of the known worker")
        wait_until(
            lambda: controller.get("/orcestator/workers", **known).json()["workers"][0]["stale"], "the end of the check"
        )
        assert asked == ["http://127.0.0.1:1"]
        assert controller.pending(**known) == [target]
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize(
    "name", ["http://169.254.169.254:80", "http://10.0.0.1:80", "http://internal.example:80", "http://2130706433:80"]
)
def test_foreign_addresses_are_quarantined_without_a_look_up(name):
    async def never(value: str):
        raise AssertionError(f"looked up or called {value}")

    with our_controller(fetch_status=never, resolve=never) as controller:
        assert controller.post("/register_worker", registration(name)).status_code == 200
        assert controller.models() == []
        assert controller.pending() == [name]
        denied = controller.post("/orcestator/pending/deny", {"worker_name": name})
        assert denied.json() == {"denied": name}
        assert controller.pending() == []
        assert controller.post("/orcestator/pending/approve", {"worker_name": name}).status_code == 404


def test_a_peer_behind_a_proxy_is_not_loopback():
    with our_controller() as controller:
        controller.post("/register_worker", registration(), headers={"x-forwarded-for": "127.0.0.1"})
        assert controller.models() == []


@pytest.mark.parametrize("headers", [{"origin": "http://evil.example"}, {"host": "evil.example:21001"}])
def test_web_pages_are_refused(headers):
    with our_controller() as controller:
        assert controller.post("/register_worker", registration(), headers=headers).status_code == 403
        assert controller.get("/orcestator/workers", headers=headers).status_code == 403
        assert controller.models() == []


def test_who_does_not_know_the_secret_reads_no_offers():
    with our_controller(SECURED) as controller:
        for path in ("/orcestator/workers", "/orcestator/pending"):
            assert controller.get(path).status_code == 401
            assert controller.get(path, headers={SECRET_HEADER: "wrong"}).status_code == 401
            assert controller.get(path, headers={SECRET_HEADER: SECRET}).status_code == 200
            assert controller.get(f"/w/{SECRET}{path}").status_code == 200
            assert controller.get(path, auth=("api", SECRET)).status_code == 200
        assert controller.get("/health").json()["workers"] == 0
    with our_controller(RegistrationPolicy(on_loopback=False, secret=SECRET)) as controller:
        for path in ("/list_models", "/refresh_all_workers", "/worker_get_status"):
            assert controller.post(path).status_code == 401
            assert controller.post(path, headers={SECRET_HEADER: SECRET}).status_code == 200


def test_a_refresh_freezes_nothing_and_empties_nothing():
    asking: set[str] = set()
    most = 0

    async def black_hole(address: str):
        nonlocal most
        asking.add(address)
        most = max(most, len(asking))
        try:
            await asyncio.Event().wait()
        finally:
            asking.discard(address)

    with our_controller(fetch_status=black_hole) as controller:
        for number in range(1, 21):
            controller.post("/register_worker", registration(f"http://127.0.0.1:{number}", [f"m{number}"]))
        assert controller.post("/refresh_all_workers").json() is None
        controller.post("/register_worker", registration("http://127.0.0.1:21", ["m21"]))
        assert controller.post("/refresh_all_workers").json() is None
        wait_until(lambda: asking, "the first check")
        assert len(controller.models()) == len(controller.models()) == 21
        assert most == 8


def test_one_refresh_runs_at_a_time():
    asked: list[str] = []

    async def black_hole(address: str):
        asked.append(address)
        await asyncio.Event().wait()

    with our_controller(fetch_status=black_hole) as controller:
        controller.post("/register_worker", registration())
        for _ in range(3):
            controller.post("/refresh_all_workers")
        wait_until(lambda: controller.get("/health").json()["stale"], "the end of the round")
        assert len(asked) == 1


def test_a_refresh_removes_what_gives_no_other_sign_of_life():
    with our_controller() as controller:
        controller.post("/register_worker", registration("http://127.0.0.1:1", ["dead"], beats=False))
        controller.post("/register_worker", registration("http://127.0.0.1:2", ["starting"]))
        controller.post("/refresh_all_workers")
        wait_until(lambda: controller.models() == ["starting"], "the removal")


def test_a_relay_is_off_unless_it_is_asked_for():
    async def relay(address: str, params: dict):
        yield json.dumps({"text": f"{address} {params['prompt']}", "error_code": 0}).encode() + b"\0"
        raise OSError("gone")

    call = {"model": "m", "prompt": "hi"}
    with our_controller() as controller:
        assert controller.post("/worker_generate_stream", call).status_code == 403
    with our_controller(relay=relay) as controller:
        [frame] = controller.post("/worker_generate_stream", call).content.split(b"\0")[:-1]
        assert json.loads(frame)["error_code"] == 50005
        controller.post("/register_worker", registration())
        first, last = controller.post("/worker_generate_stream", call).content.split(b"\0")[:-1]
        assert json.loads(first)["text"] == "http://127.0.0.1:9001 hi"
        assert json.loads(last)["error_code"] == 50006


# The wire.


def test_stock_shapes():
    with our_controller() as controller:
        assert controller.post("/register_worker", registration()).json() is None
        controller.post("/register_worker", {**registration("http://127.0.0.1:2", ["v"]), "multimodal": True})
        assert controller.post("/list_multimodal_models").json() == {"models": ["v"]}
        assert controller.post("/list_language_models").json() == {"models": ["m"]}
        assert controller.post("/get_worker_address", {"model": "none"}).json() == {"address": ""}
        unknown = {"worker_name": "http://127.0.0.1:3", "queue_length": 0}
        assert controller.post("/receive_heart_beat", unknown).json() == {"exist": False}
        assert controller.post("/worker_get_status").json() == {
            "model_names": ["m", "v"],
            "speed": 2,
            "queue_length": 0,
        }
        assert controller.get("/test_connection").json() == "success"


def test_routes_methods_and_sizes():
    with our_controller() as controller:
        assert controller.get("/nothing").status_code == 404
        wrong = controller.get("/list_models")
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
        assert controller.post("/register_worker", {"x": "y" * (2 << 20)}).status_code == 413


def test_a_body_without_a_length_has_the_same_limit():
    with our_controller() as controller:
        answer = controller.post("/register_worker", content=iter([b"[" + b" " * (1 << 20)] * 3))
        assert answer.status_code == 413


def test_an_unchanged_table_is_not_sent_again():
    with our_controller() as controller:
        offer = {"provider": "p", "models": {"m": {}}}
        controller.post("/register_worker", registration(orcestator=offer))
        table = controller.get("/orcestator/workers").json()
        assert [(row["kind"], row["offer"]) for row in table["workers"]] == [("proxy", offer)]
        again = controller.get("/orcestator/workers", params={"version": table["version"]})
        assert again.json() == {"version": table["version"], "unchanged": True}
        controller.post("/register_worker", registration("http://127.0.0.1:2"))
        again = controller.get("/orcestator/workers", params={"version": table["version"]}).json()
        assert again["version"] > table["version"]
        assert len(again["workers"]) == 2


# Restarts.


def test_the_table_survives_a_restart(tmp_path):
    path = tmp_path / "state" / "workers.json"
    with our_controller(kept_table=kept_at(path)) as controller:
        controller.post("/register_worker", registration())
        version = controller.get("/health").json()["version"]
        # Written while it runs, so that a kill loses no more than the last moment.
        wait_until(lambda: path.exists() and b"127.0.0.1:9001" in path.read_bytes(), "the first save")
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["workers.json"]
    with our_controller(kept_table=kept_at(path)) as controller:
        assert controller.models() == ["m"]
        assert controller.post("/get_worker_address", {"model": "m"}).json()["address"] == "http://127.0.0.1:9001"
        table = controller.get("/orcestator/workers").json()
        assert table["version"] > version
        beat = {"worker_name": "http://127.0.0.1:9001", "queue_length": 0}
        assert controller.post("/receive_heart_beat", beat).json() == {"exist": True}
        assert not controller.get("/orcestator/workers").json()["workers"][0]["stale"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 99}'])
def test_a_broken_file_does_not_stop_the_start(tmp_path, content):
    path = tmp_path / "workers.json"
    path.write_bytes(content)
    with our_controller(kept_table=kept_at(path)) as controller:
        assert controller.models() == []
        controller.post("/register_worker", registration())
        wait_until(lambda: b"127.0.0.1:9001" in path.read_bytes(), "the next save")


def test_silent_workers_expire_by_the_clock_that_was_handed_in():
    now = 1000.0
    with our_controller(clock=lambda: now) as controller:
        controller.post("/register_worker", registration("http://127.0.0.1:1", ["old"]))
        assert controller.models() == ["old"]
        now += 90.1
        controller.post("/register_worker", registration("http://127.0.0.1:2", ["new"]))
        wait_until(lambda: controller.models() == ["new"], "the expiry")


def test_a_killed_stock_worker_expires(spawn):
    with our_controller(heart_beat_seconds=0.75) as controller:
        process, _ = echo_worker(spawn, controller.address, "echo", FASTCHAT_WORKER_HEART_BEAT_INTERVAL="1")
        wait_until(lambda: controller.models() == ["echo"], "the registration")
        process.kill()
        wait_until(lambda: controller.models() == [], "the expiry")
