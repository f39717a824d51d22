"""Which addresses may be connected to, and what a base URL means."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.errors import StartupProblem
from orcestator.upstream.http.addresses import is_allowed
from orcestator.upstream.http.origin import Origin

NEVER = [
    "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1", "224.0.0.1", "239.255.255.255", "255.255.255.255",
    "::", "fe80::1", "fe80::1%1", "febf::1", "ff02::1", "fec0::1", "::ffff:169.254.169.254", "::ffff:0.0.0.0",
    "64:ff9b::169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "64:ff9b:1::7f00:1", "2001:0:1::1",
    "2001:db8::1", "3fff::1", "100::1", "::7f00:1", "5f00::1",
    "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.01", "\uff11\uff12\uff17.0.0.1", "\u2460.1.1.1", "127.0.0.1 ", "localhost", "",
    "[::1]", "1.1.1.1:80",
]  # fmt: skip
PRIVATE_ONLY = [
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
    "100.127.255.255", "192.0.0.8", "198.18.0.1", "198.19.255.255", "192.0.2.1", "203.0.113.9", "240.0.0.1",
    "::1", "fc00::1", "fdff::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:7f00:1", "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1", "2002:7f00:1::", "2002:c0a8:101::1",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "192.0.1.1", "198.17.0.1",
    "223.255.255.255", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1",
]  # fmt: skip


@pytest.mark.parametrize("address", NEVER)
def test_no_administrator_can_name_these(address: str) -> None:
    assert not is_allowed(address, private=True)
    assert not is_allowed(address, private=False)


@pytest.mark.parametrize("address", PRIVATE_ONLY)
def test_only_an_administrator_can_name_these(address: str) -> None:
    assert is_allowed(address, private=True)
    assert not is_allowed(address, private=False)


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_internet_is_open(address: str) -> None:
    assert is_allowed(address, private=True)
    assert is_allowed(address, private=False)


@given(st.ip_addresses())
def test_whatever_python_knows_to_be_special_is_not_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    carries_v4 = isinstance(address, ipaddress.IPv6Address) and (
        address.ipv4_mapped or address.sixtofour or address in ipaddress.ip_network("64:ff9b::/96")
    )
    if is_allowed(str(address), private=False) and not carries_v4:
        assert address.is_global
        assert not address.is_multicast


@pytest.mark.parametrize(
    ("url", "origin", "prefix"),
    [
        ("https://api.openai.com/v1", Origin("https", "api.openai.com", 443, private=False), "/v1"),
        ("https://API.example:8443", Origin("https", "api.example", 8443, private=False), ""),
        ("https://api.example/a/b/", Origin("https", "api.example", 443, private=False), "/a/b"),
        ("HTTP://127.0.0.1:9100/v1/", Origin("http", "127.0.0.1", 9100, private=True), "/v1"),
        ("http://localhost:11434/v1", Origin("http", "localhost", 11434, private=True), "/v1"),
        ("http://[::1]:8000", Origin("http", "::1", 8000, private=True), ""),
        ("http://ollama", Origin("http", "ollama", 80, private=True), ""),
        ("http://gpu.lan:8000", Origin("http", "gpu.lan", 8000, private=True), ""),
        ("https://bücher.example/v1", Origin("https", "xn--bcher-kva.example", 443, private=False), "/v1"),
        ("https://127.1/v1", Origin("https", "127.1", 443, private=False), "/v1"),
        ("https://2130706433", Origin("https", "2130706433", 443, private=False), ""),
        ("https://8.8.8.8", Origin("https", "8.8.8.8", 443, private=False), ""),
    ],
)
def test_a_base_url_is_an_origin_and_a_prefix(url: str, origin: Origin, prefix: str) -> None:
    assert Origin.from_url(url) == (origin, prefix)


def test_private_can_be_said_and_denied() -> None:
    assert Origin.from_url("http://gpu.example:8000", private=True)[0].private
    assert not Origin.from_url("https://localhost", private=False)[0].private


@pytest.mark.parametrize(
    "url",
    [
        "", "api.openai.com/v1", "ftp://x.example", "https://", "https:///v1", "https://:443", "https://x.example:0",
        "https://x.example:99999", "https://x.example:port", "https://user@x.example", "https://u:p@x.example/v1",
        "https://x.example/v1?key=1", "https://x.example/#a", "https://x.example/a b", "https://x.example\r\nX: y",
        "https://[::1", "http://api.openai.com/v1", "http://8.8.8.8", "file:///etc/passwd", "https://" + "ü" * 99,
        "https://@x.example",
    ],
)  # fmt: skip
def test_a_url_that_cannot_be_used_stops_the_start(url: str) -> None:
    with pytest.raises(StartupProblem):
        Origin.from_url(url)


def test_a_password_in_a_url_is_not_repeated() -> None:
    with pytest.raises(StartupProblem) as caught:
        Origin.from_url("https://user:hunter2@x.example/v1")
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("origin", "authority", "host_and_port"),
    [
        (Origin("https", "a.example", 443, private=False), "a.example", "a.example:443"),
        (Origin("http", "a.example", 443, private=False), "a.example:443", "a.example:443"),
        (Origin("http", "::1", 80, private=True), "[::1]", "[::1]:80"),
    ],
)
def test_an_origin_names_itself_as_http_wants_it(origin: Origin, authority: str, host_and_port: str) -> None:
    assert (origin.authority, origin.host_and_port) == (authority, host_and_port)
