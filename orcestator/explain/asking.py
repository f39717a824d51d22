"""One question to the management endpoints of a running server, and its JSON answer or one sentence."""

from orcestator.dialects.failures import error_detail
from orcestator.errors import Overloaded, StartupProblem, UpstreamError
from orcestator.json_text import Json, dumps, loads
from orcestator.upstream.http.client import UpstreamClient
from orcestator.upstream.http.origin import Origin
from orcestator.upstream.http.timeouts import Timeouts

PATIENCE = Timeouts(connect=3.0, tls=5.0, first_byte=10.0, idle=10.0, total=20.0)
_CAUSES = {"refused": "nothing listens there", "dns": "no such name", "connect_timeout": "no answer in time"}


async def ask(url: str, token: str, path: str, body: Json | None = None) -> Json:
    """GET a path (with its names percent-encoded), or POST ``body`` to it. Raises StartupProblem: nobody answers, not orcestator, or it refuses.

    A refusal that lists its ``problems`` is an answer: the asker knows better how to show them.
    """
    base = url.strip().rstrip("/").removesuffix("/v1")
    origin, prefix = Origin.from_url(base, private=True)
    client = UpstreamClient()
    try:
        response = await client.send(
            origin,
            b"GET" if body is None else b"POST",
            (prefix + path).encode(),
            _headers(token),
            b"" if body is None else dumps(body),
            PATIENCE,
        )
        try:
            status, answer = response.status, await response.read_all()
        finally:
            response.close()
    except (UpstreamError, Overloaded) as fault:
        cause = _CAUSES.get(getattr(fault, "cause", ""), str(fault))
        raise StartupProblem(
            f"No orcestator answers at {base} ({cause}). Start it with 'orcestator up', or name its address with --url."
        ) from None
    finally:
        await client.close()
    return _read(base, status, answer)


def _headers(token: str) -> bytes:
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise StartupProblem("The admin token has characters that no token has: a space, a line end, or beyond ASCII.")
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"Accept: application/json\r\nContent-Type: application/json\r\n{authorization}".encode()


def _read(base: str, status: int, answer: bytes) -> Json:
    try:
        found = loads(answer)
    except ValueError:
        found = None
    if status not in (200, 201) and not (isinstance(found, dict) and "problems" in found):
        message = error_detail(answer).get("message")
        said = message if isinstance(message, str) and message else "no reason given."
        hint = " Give the token with --token-file." if status == 401 else ""
        raise StartupProblem(f"The server at {base} answered {status}: {said}{hint}")
    if not isinstance(found, dict):
        raise StartupProblem(f"What answers at {base} is not orcestator. Name its address with --url.")
    return found
