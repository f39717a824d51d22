"""Which calls go through a proxy, and how one is written."""

import base64

import pytest

from orcestator.upstream.http.origin import Origin, Proxy
from orcestator.upstream.http.proxies import proxy_at, proxy_for

CLOUD = "https://api.groq.com/openai/v1"
GENERAL = "http://proxy:3128"


def used(url: str = CLOUD, *, own: str = "", general: str = GENERAL, spared: tuple[str, ...] = ()) -> str:
    """Where a call goes through, "" for nothing."""
    proxy = proxy_for(Origin.from_url(url)[0], own=own, general=general, spared=spared)
    return "" if proxy is None else f"{proxy.host}:{proxy.port}"


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://proxy:3128", Proxy("proxy", 3128)),
        ("proxy:3128", Proxy("proxy", 3128)),
        ("http://proxy", Proxy("proxy", 80)),
        ("http://[::1]:3128/", Proxy("::1", 3128)),
        ("none", None),
        ("http://ada:p%40ss@proxy:1", Proxy("proxy", 1, b"Basic " + base64.b64encode(b"ada:p@ss"))),
        ("http://ada@proxy:1", Proxy("proxy", 1, b"Basic " + base64.b64encode(b"ada:"))),
    ],
)
def test_a_proxy_is_read(text: str, proxy: Proxy | None) -> None:
    """With or without a scheme, a port, a user."""
    assert proxy_at(text) == proxy


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("socks5://u:secret@proxy:1080", "SOCKS"), ("socks5h://secret:1", "SOCKS"), ("https://u:secret@proxy", "http://HOST"),
        ("http://u:secret@proxy:99999", "http://HOST"), ("http://proxy/secret", "http://HOST"), ("http://", "http://HOST"),
        ("http://secret:0", "http://HOST"), ("http://u:secret@[::1", "http://HOST"), ("socks5://u:secret@[::1", "SOCKS"),
    ],
)  # fmt: skip
def test_what_is_no_proxy_is_refused_without_showing_it(text: str, word: str) -> None:
    """With the remedy, and without the password that may be in it."""
    with pytest.raises(ValueError, match=word) as refused:
        proxy_at(text)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:11434",
        "http://localhost:1234/v1",
        "http://ollama:11434",
        "https://10.0.0.9/v1",
        "https://llm.lan/v1",
    ],
)
def test_what_is_near_is_called_directly(url: str) -> None:
    """Unless its own provider says otherwise."""
    assert used(url) == ""
    assert used(url, own="http://other:1") == "other:1"


def test_a_provider_may_say_otherwise() -> None:
    """A proxy of its own, or none."""
    assert used() == "proxy:3128"
    assert used(own="none") == ""
    assert used(own="other:1") == "other:1"
    assert used(own="other:1", spared=("*",)) == "other:1"
    assert used(general="none") == used(general="") == ""


@pytest.mark.parametrize(
    ("entry", "is_spared"),
    [
        ("api.groq.com", True), ("groq.com", True), (".groq.com", True), ("*.groq.com", True), ("GROQ.com ", True), ("*", True),
        ("groq.com:443", True), ("groq.com:8443", False), ("q.com", False), ("roq.com", False), ("", False), (".", False),
        ("10.0.0.0/8", False), ("localhost .groq.com 10.0.0.0/8", True), ("localhost 10.0.0.0/8", False),
    ],
)  # fmt: skip
def test_no_proxy(entry: str, is_spared: bool) -> None:
    """Names and all below them, and never a part of a name."""
    assert (used(spared=("elsewhere.example", entry)) == "") is is_spared


@pytest.mark.parametrize(
    ("entry", "is_spared"), [("8.8.0.0/16", True), ("8.8.8.8", True), ("8.8.4.4", False), ("8.8.8.8:443", True)]
)
def test_no_proxy_by_address(entry: str, is_spared: bool) -> None:
    """Addresses and networks."""
    assert (used("https://8.8.8.8/v1", spared=(entry,)) == "") is is_spared
