"""Small questions between the parts of the cluster: the secret rides along, and no answer is an answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from orcestator.bridge.control import NO_ANSWER, ControlClient
from orcestator.bridge.registration_policy import SECRET_HEADER
from orcestator.providers.secret import Secret
from tests.upstream.scripted_upstream import ScriptedUpstream, answers, hang_up, plain, upstream_client

Asked = Callable[[ControlClient, str], Awaitable[Any]]


def ask(script: Any, question: Asked, secret: str = "") -> tuple[Any, list[bytes]]:
    """(what the client made of the answer, what the peer received)."""

    async def scenario() -> tuple[Any, list[bytes]]:
        async with asyncio.timeout(20), ScriptedUpstream(script) as peer, upstream_client() as client:
            control = ControlClient(client, Secret(secret) if secret else None)
            answer = await question(control, f"http://127.0.0.1:{peer.port}")
            return answer, peer.requests

    return asyncio.run(scenario())


def post(control: ControlClient, address: str) -> Awaitable[Any]:
    return control.post(f"{address}/register_worker?a=1", {"worker_name": "w"}, {"authorization": "Basic abc"})


def test_a_question_carries_its_body_its_headers_and_the_secret() -> None:
    answer, requests = ask(answers(plain(b'{"exist":true}')), post, "s3cret")
    assert answer == (200, {"exist": True})
    head, _, body = requests[0].partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"post /register_worker?a=1 http/1.1"
    assert f"{SECRET_HEADER}: s3cret".encode() in lines
    assert b"authorization: basic abc" in lines
    assert body == b'{"worker_name":"w"}'


def test_without_a_secret_none_is_sent() -> None:
    _, requests = ask(answers(plain(b"{}")), lambda control, address: control.get(f"{address}/health"))
    assert SECRET_HEADER.encode() not in requests[0].lower()


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (answers(plain(b'{"detail":"Not Found"}', status=b"404 Not Found")), (404, {"detail": "Not Found"})),
        (answers(plain(b"null")), (200, {})),
        (answers(plain(b"[1]")), (200, {})),
        (answers(plain(b"")), (200, {})),
        (answers(plain(b"<html>")), (NO_ANSWER, {})),
        (hang_up, (NO_ANSWER, {})),
        (answers(plain(status=b"302 Found", headers=b"Location: http://127.0.0.1:1/\r\n", body=b"{}")), (302, {})),
    ],
    ids=["status", "null", "list", "empty", "page", "gone", "redirect"],
)
def test_whatever_comes_back_is_a_status_and_an_object(script: Any, expected: Any) -> None:
    answer, _ = ask(script, lambda control, address: control.get(f"{address}/x"))
    assert answer == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense/worker_get_status",
        "http://[::bad/x",
        "http://:8/x",
        "ftp://127.0.0.1:1/x",
        "http://127.0.0.1:1/a b",
    ],
)
def test_an_address_that_is_none_gives_no_answer(url: str) -> None:
    """Anybody may register any address at a stock controller, and our API server asks it."""
    answer, _ = ask(hang_up, lambda control, _address: control.post(url))
    assert answer == (NO_ANSWER, {})


def test_a_page_and_whether_it_is_there() -> None:
    async def both(control: ControlClient, address: str) -> tuple[bytes, bool]:
        return await control.text(address + "/metrics"), await control.is_up(address + "/health")

    assert ask(answers(plain(b"a 1\n")), both)[0] == (b"a 1\n", True)
    assert ask(answers(plain(b"oops", status=b"500 Oops")), both)[0] == (b"", False)
