"""Asks a server what it offers, without the caller key first: whether it wants one is part of the answer."""

from dataclasses import dataclass
from typing import Any

from orcestator.connect.offer import OfferedModel, models_in
from orcestator.dialects.failures import error_detail
from orcestator.errors import Overloaded, StartupProblem, UpstreamError
from orcestator.json_text import loads
from orcestator.upstream.http.client import UpstreamClient
from orcestator.upstream.http.origin import Origin
from orcestator.upstream.http.timeouts import Timeouts

_CAUSES = {"refused": "nothing listens there", "dns": "no such name", "connect_timeout": "no answer in time"}
PATIENCE = Timeouts(connect=3.0, tls=5.0, first_byte=10.0, idle=10.0, total=20.0)


@dataclass(frozen=True, slots=True)
class Listing:
    """The models of a server, and whether it asks callers for a key."""

    models: tuple[OfferedModel, ...]
    wants_key: bool


def base_of(url: str) -> str:
    """A server's address without path; ``…/v1``, which clients are given, is understood. Raises StartupProblem."""
    base = url.strip().rstrip("/").removesuffix("/v1")
    Origin.from_url(base, private=True)
    return base


async def ask(base: str, key: str) -> Listing:
    """What the server at ``base`` offers. Raises StartupProblem: nobody answers, or not orcestator, or it refuses us."""
    client = UpstreamClient()
    try:
        status, body = await _get(client, base, "")
        wants_key = status == 401
        if wants_key and not key:
            raise StartupProblem(f"The server at {base} asks for a caller key: give one of OR_CALLER_KEYS with --key.")
        if wants_key:
            status, body = await _get(client, base, key)
    finally:
        await client.close()
    if status != 200:
        raise StartupProblem(f"The server at {base} answered {status}: {_reason(body)}")
    try:
        return Listing(tuple(models_in(loads(body))), wants_key)
    except ValueError:
        raise StartupProblem(
            f"What answers at {base} is not orcestator: GET /v1/models lists no model 'orcestator'. Name its address"
            " with --url."
        ) from None


async def _get(client: UpstreamClient, base: str, key: str) -> tuple[int, bytes]:
    origin, prefix = Origin.from_url(base, private=True)
    headers = b"Accept: application/json\r\n" + (f"Authorization: Bearer {key}\r\n".encode() if key else b"")
    try:
        response = await client.send(origin, b"GET", f"{prefix}/v1/models".encode(), headers, b"", PATIENCE)
        try:
            return response.status, await response.read_all()
        finally:
            response.close()
    except (UpstreamError, Overloaded) as fault:
        raise StartupProblem(
            f"No orcestator answers at {base} ({_CAUSES.get(getattr(fault, 'cause', ''), fault)}), so the models and their limits are not known. Start it with"
            " 'orcestator up', or name its address with --url."
        ) from None


def _reason(body: bytes) -> str:
    detail: dict[str, Any] = error_detail(body)
    message = detail.get("message")
    return message if isinstance(message, str) and message else "no reason given."
