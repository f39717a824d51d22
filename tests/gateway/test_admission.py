"""Who may come in."""

from collections import Counter
from typing import Any

import pytest

from orcestator.errors import Forbidden, QuotaExceeded, Unauthorized
from orcestator.gateway.admission import Admission, AdmissionPolicy
from orcestator.gateway.caller import ANONYMOUS, Caller
from orcestator.providers.secret import Secret
from orcestator.server.asgi import header_map
from orcestator.server.failed_logins import WRONG_KEYS_A_WINDOW, FailedLogins

KEYED = AdmissionPolicy(caller_keys=(Secret("first-key-123"), Secret("second-key-456")))
LOCAL = AdmissionPolicy(allowed_hosts=frozenset({"gateway.lan"}))
OPEN = AdmissionPolicy(allow_anonymous=True)


def admit(policy: AdmissionPolicy, client: str | None = "127.0.0.1", **headers: str) -> Caller:
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
    assert admit(KEYED, "203.0.113.9", host="anything.example", **header) == Caller.of(Secret("second-key-456"))


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
    assert admit(LOCAL, client, host="localhost:8000") == ANONYMOUS


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
    assert admit(LOCAL, host=host) == ANONYMOUS


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[::1", "", "a@b:80"]
)
def test_a_rebound_host_name_is_refused(host: str) -> None:
    """A web page whose name was made to point here is not this machine."""
    with pytest.raises(Forbidden) as caught:
        admit(LOCAL, host=host)
    assert "OR_ALLOWED_HOSTS" in caught.value.message


@pytest.mark.parametrize(
    "origin",
    [
        *("http://localhost:3000", "https://127.0.0.1", "http://[::1]:5173", "http://0.0.0.0:8080"),
        *("vscode-webview://panel", "app://obsidian.md", "tauri://localhost", "file://", "http://gateway.lan"),
    ],
)
def test_local_origins(origin: str) -> None:
    """An editor's own pages are no web pages of others."""
    assert admit(LOCAL, host="localhost", origin=origin) == ANONYMOUS


@pytest.mark.parametrize(
    "origin",
    [
        *("https://evil.example", "http://localhost.evil.example", "null", "null-scheme:x", "javascript:alert(1)"),
        *("chrome-extension://abcdefghijklmnop", "moz-extension://x", "https://app.evil.example", "app", ""),
        *("http://localhost:3000 https://evil.example", "http://localhost, https://evil.example", "http://a@localhost"),
    ],
)
def test_foreign_origins_are_refused(origin: str) -> None:
    """``null`` is what a sandboxed frame of any page sends."""
    with pytest.raises(Forbidden):
        admit(LOCAL, host="localhost", origin=origin)


@pytest.mark.parametrize(
    "host", ["192.168.1.5:8000", "[fd00::1]:8000", "orcestator:8000", "box.local", "localhost:8000"]
)
def test_everybody_when_it_is_wished(host: str) -> None:
    """From any address, by any name that no web page can have."""
    assert admit(OPEN, "203.0.113.9", host=host) == ANONYMOUS
    assert admit(OPEN, "203.0.113.9", host=host, x_forwarded_for="198.51.100.1", via="1.1 proxy") == ANONYMOUS


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:8000"},
        {"host": "evil.example:8000", "origin": "http://evil.example:8000"},
        {"host": "localhost:8000", "origin": "https://evil.example"},
        {"host": "192.168.1.5:8000", "origin": "null"},
        {"host": "localhost:8000", "sec_fetch_site": "cross-site"},
        {"host": "localhost:8000", "sec_fetch_site": "what-comes-next"},
    ],
)
def test_everybody_is_still_no_web_page(headers: dict[str, str]) -> None:
    """A page spends nobody's money through a visitor's browser, nor by rebinding its own name to this machine."""
    with pytest.raises(Forbidden):
        admit(OPEN, **headers)
    named = AdmissionPolicy(
        allow_anonymous=True,
        allowed_hosts=frozenset({"evil.example"}),
        origins=frozenset({"https://evil.example", "null"}),
    )
    if "sec_fetch_site" not in headers:
        assert admit(named, **headers) == ANONYMOUS


@pytest.mark.parametrize(
    "mark",
    [
        *(
            "via",
            "forwarded",
            "x_forwarded_for",
            "x_forwarded_host",
            "x_forwarded_proto",
            "x_real_ip",
            "cf_connecting_ip",
        ),
        *("true_client_ip", "cf_ray", "x_forwarded_port", "x_amzn_trace_id", "fly_client_ip"),
    ],
)
def test_what_a_proxy_passed_on_is_nobodys_of_this_machine(mark: str) -> None:
    """Unless its name is one that a proxy serves on purpose."""
    with pytest.raises(Forbidden, match="proxy"):
        admit(LOCAL, host="localhost:8000", **{mark: "203.0.113.9"})
    assert admit(LOCAL, host="gateway.lan", **{mark: "203.0.113.9"}) == ANONYMOUS
    assert admit(KEYED, host="localhost", authorization="Bearer first-key-123", **{mark: "x"}) != ""


def test_nor_is_what_came_by_http_1_0() -> None:
    """Which is how nginx speaks to what is behind it."""
    scope: dict[str, Any] = {"client": ("127.0.0.1", 5000), "http_version": "1.0"}
    with pytest.raises(Forbidden, match="proxy"):
        Admission(LOCAL).admit(scope, {b"host": b"localhost"})
    assert Admission(LOCAL).admit(scope, {b"host": b"gateway.lan"}) == ANONYMOUS


def test_another_policy_counts_from_the_next_request_on() -> None:
    """A key that was taken out opens nothing; one that was put in does; names stay with their keys."""
    admission = Admission(KEYED)
    name = admission.admit({}, {b"x-api-key": b"second-key-456"})
    admission.use(AdmissionPolicy(caller_keys=(Secret("second-key-456"), Secret("third-key-789"))))
    assert admission.admit({}, {b"x-api-key": b"second-key-456"}) == name
    assert admission.admit({}, {b"x-api-key": b"third-key-789"}) != name
    with pytest.raises(Unauthorized):
        admission.admit({}, {b"x-api-key": b"first-key-123"})
    assert "second" not in name


def test_guessing_is_slowed_down_and_locks_nobody_out() -> None:
    """Of one address; a right key from there is taken at any time, and a wrong one from elsewhere is a plain 401."""
    now = [0.0]
    counted: Counter[tuple[str, str]] = Counter()
    refusals = FailedLogins(lambda door, reason: counted.update([(door, reason)]), lambda: now[0])
    admission = Admission(KEYED, refusals)

    def guess(key: bytes, client: str = "203.0.113.9") -> Caller:
        return admission.admit({"client": (client, 1)}, {b"x-api-key": key})

    for number in range(WRONG_KEYS_A_WINDOW):
        with pytest.raises(Unauthorized):
            guess(b"wrong-%d" % number)
    with pytest.raises(QuotaExceeded) as caught:
        guess(b"wrong-again")
    assert 0 < int(caught.value.headers["retry-after"]) <= 60
    assert guess(b"first-key-123") == Caller.of(Secret("first-key-123"))
    with pytest.raises(Unauthorized):
        guess(b"wrong", "203.0.113.10")
    now[0] = 61.0
    with pytest.raises(Unauthorized):
        guess(b"wrong-again")
    assert counted == {("caller", "wrong_key"): WRONG_KEYS_A_WINDOW + 2, ("caller", "throttled"): 1}


def test_a_guess_that_only_looks_is_counted_too() -> None:
    """``/health`` tells more to whoever has a key, and so whether a key is right."""
    counted: Counter[tuple[str, str]] = Counter()
    admission = Admission(KEYED, FailedLogins(lambda door, reason: counted.update([(door, reason)])))
    stranger = {"client": ("203.0.113.9", 1)}
    assert admission.is_insider(stranger, {b"x-api-key": b"first-key-123", b"host": b"localhost"})
    assert not admission.is_insider(stranger, {b"host": b"localhost"})
    assert not counted
    assert not admission.is_insider(stranger, {b"x-api-key": b"wrong", b"host": b"localhost"})
    assert counted == {("caller", "wrong_key"): 1}


def test_guesses_are_told_without_flooding_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The first, the tenth, the hundredth of an address; and of many addresses only so many."""
    refusals = FailedLogins(now=lambda: 0.0)
    admission = Admission(KEYED, refusals)
    for _ in range(150):
        with pytest.raises((Unauthorized, QuotaExceeded)):
            admission.admit({"client": ("203.0.113.9", 1)}, {b"x-api-key": b"wrong-secret"})
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 3
    assert all("203.0.113.9" in line and "wrong_key" in line and "wrong-secret" not in line for line in told)
    for number in range(5000):
        with pytest.raises(Unauthorized):
            admission.admit({"client": (f"2001:db8:{number:x}::1", 1)}, {b"x-api-key": b"wrong-secret"})
    assert len(caplog.records) <= 61
    assert len(refusals._peers) <= 1024


def test_the_memory_of_hosts_is_bounded() -> None:
    """Callers invent names; after the table is full each is judged anew, and rightly."""
    admission = Admission(LOCAL)
    for number in range(3000):
        with pytest.raises(Forbidden):
            admission.admit({"client": None}, {b"host": b"h%d.example" % number})
    assert len(admission._known_hosts) <= 1024
    assert admission.admit({"client": None}, {b"host": b"localhost"}) == ANONYMOUS
