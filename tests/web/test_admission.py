"""Who may come in."""

from typing import Any

import pytest

from orcestator.errors import Forbidden, Unauthorized
from orcestator.providers.secret import Secret
from orcestator.web.admission import Admission, AdmissionPolicy, header_map

KEYED = AdmissionPolicy(caller_keys=(Secret("first-key-123"), Secret("second-key-456")))
LOCAL = AdmissionPolicy(allowed_hosts=frozenset({"gateway.lan"}))
OPEN = AdmissionPolicy(allow_anonymous=True)


def admit(policy: AdmissionPolicy, client: str | None = "127.0.0.1", **headers: str) -> str:
    """The caller's id."""
    scope: dict[str, Any] = {"client": (client, 5000) if client else None}
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Admission(policy).admit(scope, header_map(raw))


@pytest.mark.parametrize(
    "header",
    [
        {"authorization": "Bearer second-key-456"},
        {"authorization": "bearer  second-key-456 "},
        {"x_api_key": "second-key-456"},
        {"api_key": "second-key-456"},
        {"authorization": "Bearer ", "x_api_key": "second-key-456"},
    ],
)
def test_a_key_in_any_of_the_usual_places(header: dict[str, str]) -> None:
    """VS Code sends an empty Bearer when it has no key, beside which another header may count."""
    assert admit(KEYED, "203.0.113.9", host="anything.example", **header) == "caller-2"


@pytest.mark.parametrize(
    "header",
    [{}, {"authorization": "Bearer first-key-12"}, {"authorization": "Basic first-key-123"}, {"x_api_key": ""}],
)
def test_a_wrong_or_missing_key(header: dict[str, str]) -> None:
    """Also from this machine: where there are keys, everybody needs one."""
    with pytest.raises(Unauthorized) as caught:
        admit(KEYED, host="localhost", **header)
    assert "OR_CALLER_KEYS" in caught.value.message
    assert "first-key" not in caught.value.message


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", None])
def test_this_machine_needs_no_key(client: str | None) -> None:
    """None is a Unix socket."""
    assert admit(LOCAL, client, host="localhost:8000") == ""


@pytest.mark.parametrize("client", ["192.168.1.5", "203.0.113.9", "::ffff:10.0.0.1", "fe80::1", "not an address"])
def test_other_machines_do(client: str) -> None:
    with pytest.raises(Forbidden) as caught:
        admit(LOCAL, client, host="localhost:8000")
    assert "OR_ALLOW_ANONYMOUS" in caught.value.message


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8000",
        "127.0.0.1:8000",
        "[::1]:8000",
        "host.docker.internal",
        "gateway.lan:80",
        "localhost.",
    ],
)
def test_local_host_names(host: str) -> None:
    assert admit(LOCAL, host=host) == ""


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[::1", "", "a@b:80"]
)
def test_a_rebound_host_name_is_refused(host: str) -> None:
    """A web page whose name was made to point here is not this machine."""
    with pytest.raises(Forbidden) as caught:
        admit(LOCAL, host=host)
    assert "OR_ALLOWED_HOSTS" in caught.value.message


@pytest.mark.parametrize(
    "origin", ["http://localhost:3000", "https://127.0.0.1", "vscode-webview://panel", "null-scheme:x"]
)
def test_local_origins(origin: str) -> None:
    """An editor's own pages are no web pages of others."""
    assert admit(LOCAL, host="localhost", origin=origin) == ""


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost.evil.example", "null"])
def test_foreign_origins_are_refused(origin: str) -> None:
    """``null`` is what a sandboxed frame of any page sends."""
    with pytest.raises(Forbidden):
        admit(LOCAL, host="localhost", origin=origin)


def test_everybody_when_it_is_wished() -> None:
    assert admit(OPEN, "203.0.113.9", host="evil.example", origin="https://evil.example") == ""


def test_the_memory_of_hosts_is_bounded() -> None:
    """Callers invent names; after the table is full each is judged anew, and rightly."""
    admission = Admission(LOCAL)
    for number in range(3000):
        with pytest.raises(Forbidden):
            admission.admit({"client": None}, {b"host": b"h%d.example" % number})
    assert len(admission._known_hosts) <= 1024
    assert admission.admit({"client": None}, {b"host": b"localhost"}) == ""
