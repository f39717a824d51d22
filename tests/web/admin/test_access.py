"""Who may manage: the admin token where there is one, this machine alone where there is none."""

from typing import Any

import pytest

from orcestator.errors import Forbidden, Unauthorized, UnsupportedBody
from orcestator.providers.secret import Secret
from orcestator.server.asgi import header_map
from orcestator.web.admin.access import ManagementAccess

KEYED = ManagementAccess(Secret("the-admin-token"))
LOCAL = ManagementAccess(None)


def admit(access: ManagementAccess, client: str = "127.0.0.1", **headers: str) -> None:
    """Raises what a refusal is."""
    scope: dict[str, Any] = {"client": (client, 5000)}
    access.admit(
        scope, header_map((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    )


@pytest.mark.parametrize(
    "header",
    [
        {"authorization": "Bearer the-admin-token"},
        {"authorization": "bearer  the-admin-token "},
        {"x_admin_token": "the-admin-token"},
    ],
)
def test_the_token_opens_from_anywhere(header: dict[str, str]) -> None:
    """In either header, whatever the peer and the Host."""
    admit(KEYED, "203.0.113.9", host="gateway.example", **header)


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"authorization": "Bearer the-admin-toke"},
        {"authorization": "Bearer "},
        {"authorization": "Basic the-admin-token"},
        {"x_admin_token": "the-admin-token2"},
        {"authorization": "Bearer wrong", "x_admin_token": "the-admin-token"},
        {"x_api_key": "the-admin-token"},
    ],
)
def test_without_it_not_even_this_machine(header: dict[str, str]) -> None:
    """The refusal names the setting; a caller's key is no admin token."""
    with pytest.raises(Unauthorized, match="OR_ADMIN_TOKEN"):
        admit(KEYED, host="localhost", **header)


def test_an_empty_token_is_none() -> None:
    """A setting that is not set opens nothing for an empty token."""
    access = ManagementAccess(Secret(""))
    admit(access, host="localhost")
    with pytest.raises(Forbidden, match="OR_ADMIN_TOKEN"):
        admit(access, "203.0.113.9", host="localhost", authorization="Bearer ")


@pytest.mark.parametrize(
    ("client", "headers"),
    [
        ("203.0.113.9", {"host": "localhost"}),
        ("192.168.1.7", {"host": "127.0.0.1"}),
        ("127.0.0.1", {"host": "rebound.example"}),
        ("127.0.0.1", {"host": "localhost", "x_forwarded_for": "203.0.113.9"}),
        ("127.0.0.1", {"host": "localhost", "forwarded": "for=203.0.113.9"}),
        ("127.0.0.1", {"host": "localhost", "via": "1.1 proxy"}),
        ("127.0.0.1", {"host": "localhost", "x_forwarded_anything": "x"}),
        ("127.0.0.1", {"host": "localhost", "cf_new_header": "x"}),
        ("127.0.0.1", {"host": "localhost", "true_client_ip": "203.0.113.9"}),
    ],
)
def test_without_a_token_strangers_are_refused(client: str, headers: dict[str, str]) -> None:
    """Other machines, rebound names, other sites' pages, and whoever a proxy speaks for."""
    with pytest.raises(Forbidden, match="OR_ADMIN_TOKEN"):
        admit(LOCAL, client, **headers)


@pytest.mark.parametrize(
    "headers", [{"host": "localhost:8000"}, {"host": "[::1]:8000", "sec_fetch_site": "none"}, {"host": "127.0.0.1"}]
)
def test_without_a_token_this_machine_may(headers: dict[str, str]) -> None:
    """A person's own shell and browser."""
    admit(LOCAL, **headers)


@pytest.mark.parametrize(
    "headers",
    [
        *(
            {"origin": origin}
            for origin in (
                *(
                    "https://evil.example",
                    "null",
                    "http://localhost:3000",
                    "http://127.0.0.1:8888",
                    "file://",
                    "app://x",
                ),
                *("chrome-extension://abcdefghijklmnop", "moz-extension://x", "vscode-webview://x"),
            )
        ),
        *({"sec_fetch_site": site} for site in ("cross-site", "same-site", "same-origin", "anything")),
    ],
)
def test_no_web_page_manages(headers: dict[str, str]) -> None:
    """Of whatever origin, with the token or without: nothing here serves a page."""
    with pytest.raises(Forbidden, match="web pages"):
        admit(LOCAL, host="localhost", **headers)
    with pytest.raises(Forbidden, match="web pages"):
        admit(KEYED, host="localhost", authorization="Bearer the-admin-token", **headers)


def test_http_1_0_is_a_proxys() -> None:
    """nginx speaks it unless told otherwise."""
    scope = {"client": ("127.0.0.1", 5000), "http_version": "1.0"}
    with pytest.raises(Forbidden, match="proxy"):
        LOCAL.admit(scope, {b"host": b"localhost"})
    KEYED.admit(scope, {b"host": b"localhost", b"x-admin-token": b"the-admin-token"})


def test_where_others_come_in_an_address_proves_nothing() -> None:
    """The token in the state folder is wanted, and without one nobody is let in."""
    access = ManagementAccess(None, local_token=Secret("kept-token"), wants_token=True)
    for headers in ({}, {"x_admin_token": "wrong"}, {"authorization": "Bearer kept-toke"}):
        with pytest.raises(Unauthorized, match="OR_STATE_DIR"):
            admit(access, host="localhost", **headers)
    admit(access, host="localhost", x_admin_token="kept-token")
    nobody = ManagementAccess(None, wants_token=True)
    for headers in ({}, {"x_admin_token": ""}, {"authorization": "Bearer "}):
        with pytest.raises(Unauthorized):
            admit(nobody, host="localhost", **headers)


def test_the_kept_token_counts_only_where_there_is_no_admin_token() -> None:
    """One token at a time; another one counts from the next request on."""
    access = ManagementAccess(Secret("admin-token"), local_token=Secret("kept-token"))
    with pytest.raises(Unauthorized):
        admit(access, host="localhost", x_admin_token="kept-token")
    access.use(Secret("another-token"))
    with pytest.raises(Unauthorized):
        admit(access, host="localhost", x_admin_token="admin-token")
    admit(access, host="localhost", x_admin_token="another-token")
    access.use(None, local_token=Secret("kept-token"))
    admit(access, host="localhost", x_admin_token="kept-token")
    admit(access, host="localhost")


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_what_a_page_can_send_unasked_is_no_order(kind: str | None) -> None:
    """Only JSON is, which no page sends to another origin without a preflight."""
    scope = {"client": ("127.0.0.1", 5000), "method": "POST"}
    headers = {b"host": b"localhost", b"content-length": b"2", **({b"content-type": kind.encode()} if kind else {})}
    with pytest.raises(UnsupportedBody):
        LOCAL.admit(scope, headers)
    LOCAL.admit(scope, {**headers, b"content-type": b"application/json; charset=utf-8"})
    LOCAL.admit(scope, {b"host": b"localhost", b"content-length": b"0"})
