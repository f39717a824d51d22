"""The server itself: HTTP edges, what it remembers, who left when, its control routes, its end."""

import argparse
import asyncio
import json
import shutil
import socket
import ssl
import subprocess
import sys
import urllib.request
from typing import Any

import pytest

from orcestator.errors import StartupProblem
from orcestator.sandbox.command import add_arguments, run
from orcestator.sandbox.server import SandboxServer, tls_context
from orcestator.sandbox.settings import SandboxSettings
from orcestator.sandbox.wire.records import BODIES_KEPT_BYTES, RecordLog
from tests.sandbox.running_sandbox import RunningSandbox, StartSandbox
from tests.sandbox.sandbox_wire import ask, chat, connect, read_answer, read_to_end, request

PATH = "/v1/chat/completions"


def first_event(connection: socket.socket) -> bytes:
    received = b""
    while b"\n\n" not in received:
        received += connection.recv(65536)
    return received


def test_a_connection_serves_one_request_after_another(sandbox: RunningSandbox) -> None:
    with connect(sandbox.base_url) as connection:
        for number in (1, 2, 3):
            connection.sendall(request(PATH, chat("echo"), headers=""))
            assert read_answer(connection).json["id"] == f"chatcmpl-{number}"


def test_a_chunked_request_body_with_extension_and_trailer(sandbox: RunningSandbox) -> None:
    content = json.dumps(chat("echo")).encode()
    framed = b"%x;a=b\r\n%s\r\n5\r\n     \r\n0\r\nx-t: 1\r\n\r\n" % (len(content), content)
    head = f"POST {PATH} HTTP/1.1\r\nhost: s\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    with connect(sandbox.base_url) as connection:
        connection.sendall(head.encode() + framed)
        assert read_to_end(connection).status == 200
    assert sandbox.last().body == content + b"     "


def test_expect_100_continue_is_answered_before_the_body_comes(sandbox: RunningSandbox) -> None:
    content = json.dumps(chat("echo")).encode()
    head, _ = request(PATH, content, headers="expect: 100-continue\r\nconnection: close\r\n").split(b"\r\n\r\n", 1)
    with connect(sandbox.base_url) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(content)
        assert read_to_end(connection).status == 200


def test_http10_is_answered_and_closed(sandbox: RunningSandbox) -> None:
    with connect(sandbox.base_url) as connection:
        connection.sendall(b"GET /v1/models HTTP/1.0\r\n\r\n")
        wire = read_to_end(connection)
    assert wire.status == 200
    assert wire.header("connection") == ["close"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /v1/models HTTP/1.1\r\nx: " + b"y" * 70_000 + b"\r\n\r\n", 431),
        (b"POST " + PATH.encode() + b" HTTP/1.1\r\ncontent-length: 67108865\r\n\r\n", 413),
        (b"POST " + PATH.encode() + b" HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n4000001\r\n", 413),
        (b"POST " + PATH.encode() + b" HTTP/1.1\r\ncontent-length: +7\r\n\r\n", 400),
        (b"POST " + PATH.encode() + b" HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET /v1/models HTTP/1.1\r\nbad header : x\r\n\r\n", 400),
    ],
    ids=["431", "413", "413-chunked", "400-length", "400-chunk", "400-line", "400-header"],
)
def test_what_is_not_http_or_too_large_is_refused_and_closed(sandbox: RunningSandbox, sent: bytes, status: int) -> None:
    with connect(sandbox.base_url) as connection:
        connection.sendall(sent)
        wire = read_to_end(connection)
    assert wire.status == status
    assert wire.json["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (PATH, b"{", 400),
        (PATH, b"[]", 400),
        (PATH, b'{"model": 7}', 400),
        (PATH, {"model": "echo"}, 400),
        (PATH, {"model": "echo", "messages": ["x"]}, 400),
        (PATH, chat("echo", n=1000), 400),
        (PATH, chat("echo", stop=7, max_tokens="x", response_format={"type": "json_schema", "json_schema": 7}), 400),
        (PATH, chat("tools", tools=[{"type": "function", "function": 7}]), 400),
        (PATH, None, 405),
        ("/v1/models", {}, 405),
        ("/v1/models/none", None, 404),
        ("/v1/none", {}, 404),
        ("/sandbox/none", None, 404),
        ("/sandbox/reset", None, 405),
        ("/sandbox/log?since=x", None, 400),
        ("/v1/embeddings", {"model": "embed"}, 400),
        ("/v1/embeddings", {"model": "embed", "input": "x", "dimensions": 5000}, 400),
        ("/v1/images/generations", {"model": "image"}, 400),
        ("/v1/audio/transcriptions", {"model": "transcribe"}, 400),
        ("/v1/completions", {"model": "echo"}, 400),
    ],
)
def test_bad_requests_get_an_openai_error(sandbox: RunningSandbox, path: str, body: Any, status: int) -> None:
    wire = ask(sandbox.base_url, path, body)
    assert wire.status == status
    assert set(wire.json["error"]) == {"message", "type", "param", "code"}


def test_translations_take_a_form(sandbox: RunningSandbox) -> None:
    form = (
        b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\ntranscribe\r\n'
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n\x00\xff\x01\r\n--b--\r\n'
    )
    headers = "connection: close\r\ncontent-type: multipart/form-data; boundary=b\r\n"
    wire = ask(sandbox.base_url, "/v1/audio/translations", form, headers=headers)
    assert wire.json == {"text": "A sound of 3 bytes."}


def test_a_peer_that_leaves_before_the_first_token(sandbox: RunningSandbox) -> None:
    with connect(sandbox.base_url) as connection:
        connection.sendall(request(PATH, chat("echo?ttft=3600")))
        sandbox.wait_for(lambda records: bool(records) and records[0].model != "")
    (record,) = sandbox.wait_for(lambda records: records[0].peer_closed_at is not None)
    assert (record.finished, record.sent_bytes) == (False, 0)
    assert (record.peer_closed_at or 0) >= record.started_at


@pytest.mark.parametrize(("model", "events"), [("echo?tokens=5&tps=0.001", 1), ("fault:S5:stall", 4)])
def test_a_peer_that_leaves_in_the_middle_of_a_stream(sandbox: RunningSandbox, model: str, events: int) -> None:
    with connect(sandbox.base_url) as connection:
        connection.sendall(request(PATH, chat(model, stream=True)))
        assert b"data: " in first_event(connection)
        sandbox.wait_for(lambda records: records[0].sent_events == events)
    (record,) = sandbox.wait_for(lambda records: records[0].peer_closed_at is not None)
    assert (record.finished, record.sent_events) == (False, events)


def test_a_plain_answer_waits_for_its_tokens(sandbox: RunningSandbox) -> None:
    with connect(sandbox.base_url) as connection:
        connection.sendall(request(PATH, chat("echo?tokens=5&tps=0.001")))
        sandbox.wait_for(lambda records: bool(records) and records[0].model != "")
    (record,) = sandbox.wait_for(lambda records: records[0].peer_closed_at is not None)
    assert record.sent_bytes == 0


def test_a_peer_that_leaves_after_the_answer_has_stayed(sandbox: RunningSandbox) -> None:
    with connect(sandbox.base_url) as connection:
        connection.sendall(request(PATH, chat("echo"), headers=""))
        read_answer(connection)
    ask(sandbox.base_url, "/v1/models")  # a later connection: the end of the first one has been seen
    record = sandbox.server.records[0]
    assert (record.finished, record.peer_closed_at) == (True, None)


def test_the_log_over_http_redacts_credentials_and_keeps_them_in_process(sandbox: RunningSandbox) -> None:
    canary = "sk-canary-7"
    headers = f"connection: close\r\nauthorization: Bearer {canary}\r\nx-api-key: {canary}\r\nx-other: seen\r\n"
    ask(sandbox.base_url, f"/v1/models?key={canary}", headers=headers)
    ask(sandbox.base_url, PATH, chat("echo"), headers=headers)
    record = sandbox.last()
    assert record.headers["authorization"] == f"Bearer {canary}"
    assert canary not in repr(record)
    log = ask(sandbox.base_url, "/sandbox/log")
    assert canary.encode() not in log.raw
    first, second = log.json["records"]
    assert (first["path"], second["headers"]["x-other"]) == ("/v1/models", "seen")
    assert json.loads(second["body"])["model"] == second["model"] == "echo"
    assert second["finished"] is True
    assert second["sent_bytes"] > 0


def test_log_since_and_reset(sandbox: RunningSandbox) -> None:
    for _ in range(3):
        ask(sandbox.base_url, "/v1/models")
    assert [one["number"] for one in ask(sandbox.base_url, "/sandbox/log?since=1").json["records"]] == [2, 3]
    assert ask(sandbox.base_url, "/sandbox/reset", {}).status == 200
    assert ask(sandbox.base_url, "/sandbox/log").json["records"] == []
    ask(sandbox.base_url, "/v1/models")
    assert sandbox.last().number == 1


def test_old_bodies_make_room_and_their_size_stays() -> None:
    log = RecordLog()
    size = BODIES_KEPT_BYTES // 3
    for _ in range(5):
        log.open(method="POST", path="/", headers={}, body=bytes(size), port=1)
    assert [len(record.body) for record in log.records] == [0, 0, size, size, size]
    assert {record.body_bytes for record in log.records} == {size}


def test_wait_for_says_what_it_saw_when_the_deadline_passes(sandbox: RunningSandbox) -> None:
    ask(sandbox.base_url, "/v1/models")
    with pytest.raises(TimeoutError, match="/v1/models"):
        sandbox.run(sandbox.server.wait_for(lambda records: len(records) == 2, deadline_seconds=0.05))


def test_close_ends_running_answers() -> None:
    async def scenario() -> bytes:
        server = SandboxServer()
        await server.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request(PATH, chat("fault:S5", stream=True)))
        await reader.readuntil(b"\n\n")
        await server.close()
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    assert b"[DONE]" not in asyncio.run(scenario())


def test_close_leaves_no_task_behind() -> None:
    async def scenario() -> set[asyncio.Task[Any]]:
        async with SandboxServer() as server:
            writers = [(await asyncio.open_connection("127.0.0.1", server.port))[1] for _ in range(3)]
        for writer in writers:
            writer.close()
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(scenario()) == set()


@pytest.mark.parametrize(
    "wrong", [{"ttft_seconds": -1}, {"tokens_per_second": float("nan")}, {"tokens": 0}, {"ttft_seconds": float("inf")}]
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SandboxSettings(**wrong)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A self-signed certificate for localhost and its key."""
    if not shutil.which("openssl"):
        pytest.skip("needs the openssl command")
    folder = tmp_path_factory.mktemp("tls")
    paths = str(folder / "certificate.pem"), str(folder / "key.pem")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subprocess.run(
        ["openssl", "req", *kind, *subject, "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True
    )
    return paths


def test_u6_a_self_signed_certificate(start_sandbox: StartSandbox, certificate: tuple[str, str]) -> None:
    secure = start_sandbox(ssl=tls_context(*certificate))
    assert secure.base_url.startswith("https://")
    with connect(secure.base_url) as connection, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(connection, server_hostname="localhost")
    trusting = ssl.create_default_context(cafile=certificate[0])
    with trusting.wrap_socket(connect(secure.base_url), server_hostname="localhost") as connection:
        connection.sendall(request(PATH, chat("echo", stream=True)))
        assert read_to_end(connection).data[-1] == "[DONE]"


def test_a_reset_under_tls_is_no_orderly_close(start_sandbox: StartSandbox, certificate: tuple[str, str]) -> None:
    secure = start_sandbox(ssl=tls_context(*certificate))
    trusting = ssl.create_default_context(cafile=certificate[0])
    plain = connect(secure.base_url)
    with trusting.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False) as connection:
        connection.sendall(request(PATH, chat("fault:U3:rst")))
        # Which of the two depends on the version of Python; an orderly close would be neither.
        with pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
            connection.recv(65536)


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


PROGRAM = (
    "import argparse; from orcestator.sandbox.command import add_arguments, run; "
    "parser = argparse.ArgumentParser(); add_arguments(parser); run(parser.parse_args(), print)"
)


def test_the_command_serves_and_says_where() -> None:
    words = ["--port", "0", "--answer", "I heard {text}"]
    with subprocess.Popen([sys.executable, "-c", PROGRAM, *words], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            base_url = said.split(" at ")[1].split(";")[0]
            with urllib.request.urlopen(f"{base_url}/models", timeout=20) as answer:
                assert json.load(answer)["data"][0]["id"] == "echo"
            assert ask(base_url, PATH, chat("echo", text="you")).message["content"] == "I heard you"
        finally:
            process.terminate()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tokens", "0"], "tokens must be"),
        (["--tls-cert", "missing.pem"], "need each other"),
        (["--tls-cert", "missing.pem", "--tls-key", "missing.pem"], "No such file"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(words: list[str], said: str) -> None:
    with pytest.raises(StartupProblem, match=said):
        run(arguments("--port", "0", *words), print)


def test_a_taken_port_is_one_clear_sentence(sandbox: RunningSandbox) -> None:
    with pytest.raises(StartupProblem, match=r"The sandbox cannot start: .*in use"):
        run(arguments("--port", str(sandbox.server.port)), print)
