"""Who may come in, at running clusters: through proxies and browsers, with keys that change, and at the doors between the parts."""

import json
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from orcestator.json_text import Json
from tests.cluster.harness import WIRINGS, Cluster, clean_environment, free_port, local_request, until

FIRST, SECOND = "first-caller-key-0123", "second-caller-key-4567"
CHAT: Json = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "hi"}]}
MANAGEMENT = [
    ("GET", "/admin/config", None),
    ("GET", "/orchestrator/decisions", None),
    ("GET", "/metrics", None),
    ("POST", "/admin/reload", {}),
    ("POST", "/api/v1/admin/reload", {}),
    ("POST", "/orchestrator/providers", {"name": "net", "base_url": "https://collector.example/v1", "priority": 0}),
    ("POST", "/orchestrator/routing-rules", {"condition": {}, "provider": "sandbox", "priority": 0}),
]


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def kept_token(cluster: Cluster) -> str:
    return (cluster.directory / ".orcestator" / "management_token").read_text().strip()


@pytest.fixture(scope="module", params=WIRINGS)
def keyed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Callers have keys, and there is no admin token."""
    cluster = Team(tmp_path_factory.mktemp("doors"), wiring=request.param)
    cluster.environment = {
        "OR_WEBHOOK_SECRET": "webhook-secret-canary",
        "OR_DATABASE_URL": "postgres://u:canary-password@h/d",
    }
    cluster.arguments = ["--env-file", "keys.env"]
    cluster.keys(f"OR_CALLER_KEYS={FIRST},{SECOND}")
    with cluster:
        yield cluster


class Team(Cluster):
    """A cluster that lists its models to whoever has the first key."""

    def keys(self, text: str) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "keys.env").write_text(text)

    def models(self) -> list[Json]:
        found: list[Json] = self.get("/v1/models", headers=bearer(FIRST)).json().get("data", [])
        return found

    def manage(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return local_request(method, self.url + path, json=body, headers={"x-admin-token": kept_token(self), **headers})


@pytest.mark.parametrize(("method", "path", "body"), MANAGEMENT)
def test_where_callers_have_keys_an_address_opens_nothing(keyed: Team, method: str, path: str, body: Any) -> None:
    """A plain ``proxy_pass`` makes every stranger a local peer with a local Host. The token in the state folder opens; a caller's key does not."""
    for headers in ({}, bearer(FIRST), {"x-admin-token": "guess"}):
        answer = local_request(method, keyed.url + path, json=body, headers=headers)
        assert answer.status_code == 401, answer.text
    if method == "GET":
        assert keyed.manage(method, path).status_code == 200


def test_the_token_is_its_owners_alone(keyed: Team) -> None:
    """Whoever may read the folder may manage."""
    if sys.platform != "win32":
        path = keyed.directory / ".orcestator"
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert stat.S_IMODE((path / "management_token").stat().st_mode) == 0o600
        assert stat.S_IMODE((keyed.directory / "logs").stat().st_mode) == 0o700


def test_our_commands_need_no_configuration(keyed: Team) -> None:
    """They read the token in the folder where the server was started."""
    said = [
        subprocess.run(
            [sys.executable, "-m", "orcestator", *arguments],
            cwd=keyed.directory,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        for arguments in (
            ["reload", "--url", keyed.url],
            ["explain", "--model", "sandbox/echo", "--prompt", "hi", "--url", keyed.url],
            ["explain", "--model", "sandbox/echo", "--url", keyed.url, "--token-file", ".orcestator/management_token"],
        )
    ]
    assert [one.returncode for one in said] == [0, 0, 0], [one.stderr for one in said]


def test_no_page_and_no_form_manages(keyed: Team) -> None:
    """Not even with the token; and a text that is JSON is no JSON."""
    for headers in ({"origin": "http://localhost:3000"}, {"origin": "null"}, {"sec-fetch-site": "same-origin"}):
        assert keyed.manage("GET", "/admin/config", **headers).status_code == 403
    told = local_request(
        "POST",
        keyed.url + "/admin/reload",
        content=b"{}",
        headers={"x-admin-token": kept_token(keyed), "content-type": "text/plain"},
    )
    assert told.status_code == 415
    twice = [("x-admin-token", kept_token(keyed)), ("x-admin-token", kept_token(keyed))]
    assert local_request("GET", keyed.url + "/admin/config", headers=twice).status_code == 400
    asked = local_request(
        "OPTIONS",
        keyed.url + "/admin/reload",
        headers={"origin": "http://localhost:3000", "access-control-request-method": "POST"},
    )
    assert asked.status_code == 403
    assert not [name for name in asked.headers if name.startswith("access-control")]


def test_guesses_and_changes_leave_a_trace(keyed: Team) -> None:
    """A warning with the address, a metric with bounded labels, and who changed what: never a secret."""
    for number in range(20):
        local_request("GET", keyed.url + "/admin/config", headers={"x-admin-token": f"guessed-token-{number}"})
        local_request("GET", keyed.url + "/v1/models", headers=bearer(f"guessed-key-{number}"))
    rule = {"id": "audited", "condition": {}, "provider": "sandbox", "priority": 0}
    assert keyed.manage("POST", "/orchestrator/routing-rules", rule).status_code == 201
    assert keyed.manage("DELETE", "/orchestrator/routing-rules/audited").status_code == 200
    secret = "sk-added-canary-0123456789"
    refused = {"name": "added", "base_url": "http://169.254.169.254/v1", "api_key": secret}
    assert keyed.manage("POST", "/orchestrator/providers", refused).status_code == 400
    until(lambda: "POST /orchestrator/providers by" in keyed.program.output(), "the changes are in the log")
    told = keyed.program.output()
    assert "refused at the management's door: wrong_key from 127.0.0.1" in told
    assert "refused at the caller's door" in told
    assert "POST /orchestrator/routing-rules by the local token from 127.0.0.1: 201 (audited)" in told
    assert "POST /orchestrator/providers by the local token from 127.0.0.1: 400" in told
    for text in (secret, "guessed-token", "guessed-key", kept_token(keyed)):
        assert text not in told
    counted = keyed.metrics()
    assert counted['orcestator_refused_access_total{door="management",reason="wrong_key"}'] >= 20
    assert counted['orcestator_refused_access_total{door="caller",reason="wrong_key"}'] >= 20
    assert not [name for name in counted if "refused_access" in name and "127.0.0.1" in name]


def test_children_have_the_secrets_they_need(keyed: Team) -> None:
    """The controller and the workers know nothing of callers, notices and databases."""
    if keyed.wiring != "split" or sys.platform != "linux":
        pytest.skip("one process has one environment")
    parent = keyed.program.process.pid if keyed.program.process else 0
    seen = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            status = (process / "stat").read_text().rpartition(")")[2].split()
            if int(status[1]) == parent:
                arguments = (process / "cmdline").read_bytes().decode()
                seen[arguments.split("\0")[2]] = (process / "environ").read_bytes()
        except (OSError, IndexError):
            continue
    assert {"orcestator.controller", "orcestator.proxy_worker", "orcestator.api_server"} <= seen.keys()
    for name in ("orcestator.controller", "orcestator.proxy_worker"):
        for secret in (FIRST, "webhook-secret-canary", "canary-password"):
            assert secret.encode() not in seen[name], name
    assert FIRST.encode() in seen["orcestator.api_server"]


def test_a_key_goes_in_and_out_of_force_with_a_reload(keyed: Team) -> None:
    """At once, also for the stock routes; the admin token, too, and with it the kept one. Asked last of this cluster."""

    def status(key: str, path: str = "/v1/models") -> int:
        return local_request("GET", keyed.url + path, headers=bearer(key)).status_code

    def admin(token: str) -> int:
        return local_request("GET", keyed.url + "/admin/config", headers={"x-admin-token": token}).status_code

    assert (status(FIRST), status(SECOND)) == (200, 200)
    kept = kept_token(keyed)
    keyed.keys(f"OR_CALLER_KEYS={FIRST},third-caller-key-89\nOR_ADMIN_TOKEN=admin-token-0123456789\n")
    told = keyed.manage("POST", "/admin/reload", {}).json()
    assert {change["name"] for change in told["applied"]} == {"caller_keys", "admin_token"}
    assert told["needs_restart"] == []
    assert (status(FIRST), status(SECOND), status("third-caller-key-89")) == (200, 401, 200)
    assert (admin(kept), admin("admin-token-0123456789")) == (401, 200)
    keyed.keys(f"OR_CALLER_KEYS={FIRST}\nOR_ADMIN_TOKEN=another-token-0123456789\n")
    again = local_request(
        "POST", keyed.url + "/admin/reload", json={}, headers={"x-admin-token": "admin-token-0123456789"}
    )
    assert again.status_code == 200
    assert (admin("admin-token-0123456789"), admin("another-token-0123456789")) == (401, 200)
    assert status("third-caller-key-89") == 401


@pytest.fixture(scope="module")
def open_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """As the compose file sets it up, with one page that is let in."""
    environment = {"OR_ALLOW_ANONYMOUS": "true", "OR_CORS_ORIGINS": "https://chat.example.org"}
    environment |= {"OR_BODY_TIMEOUT_SECONDS": "3"}
    with Cluster(tmp_path_factory.mktemp("open"), environment=environment) as cluster:
        yield cluster


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "192.168.1.5:8000"}, 200),
        ({"origin": "http://localhost:5173"}, 200),
        ({"origin": "app://obsidian.md"}, 200),
        ({"origin": "https://chat.example.org"}, 200),
        ({"origin": "https://evil.example", "content-type": "text/plain"}, 403),
        ({"host": "evil.example:8000", "origin": "http://evil.example:8000"}, 403),
        ({"host": "evil.example:8000"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_everybody_is_no_web_page(open_door: Cluster, headers: dict[str, str], status: int) -> None:
    """A page may read what it is answered, or learns that it may not; also an error."""
    origin = headers.get("origin")
    for body, wanted in ((CHAT, status), ({**CHAT, "model": "nobody-has-this"}, 404 if status == 200 else status)):
        answer = local_request(
            "POST", open_door.url + "/v1/chat/completions", content=json.dumps(body), headers={"content-type": "application/json", **headers}
        )  # fmt: skip
        assert answer.status_code == wanted, answer.text
        is_let_in = status == 200 and origin is not None
        assert answer.headers.get("access-control-allow-origin") == (origin if is_let_in else None)
        assert ("vary" in answer.headers) == (origin is not None)
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/api/chat", "/v1/models", "/v1/responses/x"])
def test_a_preflight_is_answered(open_door: Cluster, path: str) -> None:
    """With what is asked for, to a page that may call, and to no other."""
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    for origin in ("http://localhost:5173", "https://chat.example.org", "vscode-webview://abc"):
        answer = local_request("OPTIONS", open_door.url + path, headers={"origin": origin, **asked})
        assert answer.status_code == 204, answer.text
        assert answer.headers["access-control-allow-origin"] == origin
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert answer.headers["access-control-allow-headers"] == "authorization,content-type"
        assert answer.headers["vary"] == "origin"
    for origin in ("https://evil.example", "null", "chrome-extension://abcdefghijklmnop"):
        answer = local_request("OPTIONS", open_door.url + path, headers={"origin": origin, **asked})
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
    # Without an Origin it is no page's question.
    assert local_request("OPTIONS", open_door.url + path, headers=asked).status_code in (404, 405)


@pytest.mark.parametrize(
    ("status", "head", "body"),
    [
        (413, "content-length: 999999999\r\n", b""),
        (431, "x-filler: a\r\n" * 200 + "content-length: 0\r\n", b""),
        (408, "content-length: 100\r\n", b"{"),
    ],
)
def test_a_page_may_read_why_its_request_was_refused(open_door: Cluster, status: int, head: str, body: bytes) -> None:
    """Also before it reached the application, or while its body came; a foreign one may not."""
    for origin, may_read in (
        ("https://chat.example.org", True),
        ("http://localhost:3000", True),
        ("https://evil.example", False),
    ):
        with socket.create_connection(("127.0.0.1", open_door.port), timeout=30) as connection:
            start = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\n{head}\r\n"
            connection.sendall(start.encode() + body)
            answer = connection.makefile("rb").read().split(b"\r\n\r\n")[0].decode().lower().split("\r\n")
        if origin == "https://evil.example" and status == 408:
            # It was refused for what it is, before its body was waited for.
            assert answer[0].startswith("http/1.1 403 ")
        else:
            assert answer[0].startswith(f"http/1.1 {status} "), answer
        assert (f"access-control-allow-origin: {origin}" in answer) == may_read
        assert "vary: origin" in answer


def test_a_stream_is_readable_and_not_held_back(open_door: Cluster) -> None:
    """By the page, and by a proxy in between."""
    answer = local_request(
        "POST",
        open_door.url + "/v1/chat/completions",
        json={**CHAT, "stream": True},
        headers={"origin": "http://127.0.0.1:3000"},
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["access-control-allow-origin"] == "http://127.0.0.1:3000"
    assert answer.headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize("mark", ["via", "x-forwarded-host", "cf-connecting-ip", "x-real-ip"])
def test_without_keys_what_a_proxy_passed_on_is_refused(
    tmp_path_factory: pytest.TempPathFactory, local: Cluster, mark: str
) -> None:
    """At both doors."""
    headers = {mark: "203.0.113.9"}
    assert local_request("POST", local.url + "/v1/chat/completions", json=CHAT, headers=headers).status_code == 403
    assert local_request("GET", local.url + "/admin/config", headers=headers).status_code == 403


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """With nothing set."""
    with Cluster(tmp_path_factory.mktemp("local")) as cluster:
        yield cluster


def test_without_keys_http_1_0_is_refused(local: Cluster) -> None:
    """nginx's own, which says nothing else of itself."""
    for path in ("/v1/models", "/admin/config"):
        with socket.create_connection(("127.0.0.1", local.port), timeout=10) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{local.port}\r\n\r\n".encode())
            answer = connection.makefile("rb").read()
        assert b" 403 " in answer.split(b"\r\n", 1)[0], answer


def test_strangers_see_the_status_alone(local: Cluster) -> None:
    """Of ``/health``; and a page that rebinds its name sees no metrics."""
    assert "components" in local.get("/health").json()
    for headers in ({"host": "evil.example"}, {"x-forwarded-for": "203.0.113.9"}, {"origin": "https://evil.example"}):
        assert local_request("GET", local.url + "/health", headers=headers).json() == {"status": "healthy"}
    page = f"http://127.0.0.1:{local.metrics_port}/metrics"
    assert local_request("GET", page).status_code == 200
    assert local_request("GET", page, headers={"host": f"localhost:{local.metrics_port}"}).status_code == 200
    for host in (f"evil.example:{local.metrics_port}", "localhost.evil.example", "127.0.0.1.evil.example"):
        assert local_request("GET", page, headers={"host": host}).status_code == 403


def test_programs_of_this_machine_need_nothing(local: Cluster) -> None:
    """The laptop's way: chat and management alike."""
    assert local.post("/v1/chat/completions", CHAT).status_code == 200
    assert local.get("/admin/config").status_code == 200
    assert local.post("/admin/reload", {}).status_code == 200


def test_nobody_registers_at_a_controller_that_is_alone(local: Cluster) -> None:
    """Another account of this machine would receive everybody's prompts."""
    port = free_port()
    status = {"model_names": ["gpt-4o", "echo"], "speed": 1, "queue_length": 0}
    body = {"worker_name": f"http://127.0.0.1:{port}", "check_heart_beat": True, "worker_status": status}
    address = f"http://127.0.0.1:{local.controller_port}"
    assert local_request("POST", f"{address}/register_worker", json=body).status_code == 200
    assert local_request("POST", f"{address}/list_models").json()["models"] == []
    assert "gpt-4o" not in {model["id"] for model in local.models()}


def test_a_secret_or_the_flag_lets_workers_register(tmp_path: Path) -> None:
    """Both are a person's word."""
    port = free_port()
    status = {"model_names": ["thief"], "speed": 1, "queue_length": 0}
    body = {"worker_name": f"http://127.0.0.1:{port}", "check_heart_beat": True, "worker_status": status}
    for number, environment in enumerate(
        ({"OR_WORKER_SECRET": "s3cret-s3cret"}, {"OR_INSECURE_OPEN_REGISTRATION": "true"})
    ):
        with Cluster(tmp_path / str(number), environment=environment) as cluster:
            address = f"http://127.0.0.1:{cluster.controller_port}"
            headers = {"x-orcestator-worker-secret": "s3cret-s3cret"}
            local_request("POST", f"{address}/register_worker", json=body, headers=headers)
            models = local_request("POST", f"{address}/list_models", headers=headers).json()["models"]
            assert models == ["thief"]
            guess = {"x-orcestator-worker-secret": "guessed-secret"}
            local_request("POST", f"{address}/register_worker", json=body, headers=guess)
            if "OR_WORKER_SECRET" in environment:
                told = "refused at the controller's door: wrong_key from 127.0.0.1"
                until(lambda cluster=cluster, told=told: told in cluster.program.output(), "the guess is in the log")  # type: ignore[misc]
                assert "guessed-secret" not in cluster.program.output()


def test_a_worker_that_others_reach_needs_a_secret(tmp_path: Path) -> None:
    """As the controller does."""
    arguments = [sys.executable, "-m", "orcestator.proxy_worker", "--host", "0.0.0.0", "--port", "0"]
    told = subprocess.run(
        arguments, cwd=tmp_path, env=clean_environment(OPENAI_API_KEY="sk-x"), capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    assert told.returncode == 2
    assert "OR_WORKER_SECRET" in told.stderr
