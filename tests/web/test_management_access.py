"""Who may manage: the admin token where there is one, this machine alone where there is none."""

from typing import Any

import pytest

from orcestator.errors import Forbidden, Unauthorized
from orcestator.providers.secret import Secret
from orcestator.web.admission import header_map
from orcestator.web.management_access import ManagementAccess

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
        ("127.0.0.1", {"host": "localhost", "origin": "https://evil.example"}),
        ("127.0.0.1", {"host": "localhost", "origin": "null"}),
        ("127.0.0.1", {"host": "localhost", "x_forwarded_for": "203.0.113.9"}),
        ("127.0.0.1", {"host": "localhost", "forwarded": "for=203.0.113.9"}),
    ],
)
def test_without_a_token_strangers_are_refused(client: str, headers: dict[str, str]) -> None:
    """Other machines, rebound names, other sites' pages, and whoever a proxy speaks for."""
    with pytest.raises(Forbidden, match="OR_ADMIN_TOKEN"):
        admit(LOCAL, client, **headers)


@pytest.mark.parametrize(
    "headers", [{"host": "localhost:8000"}, {"host": "[::1]:8000", "origin": "http://localhost:8000"}]
)
def test_without_a_token_this_machine_may(headers: dict[str, str]) -> None:
    """A person's own shell and browser."""
    admit(LOCAL, **headers)
