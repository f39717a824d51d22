"""The port: free, ours already, or somebody else's."""

import socket
from dataclasses import dataclass
from typing import Any

from orcestator.doctor.finding import OK, PROBLEM, WARNING, Finding
from orcestator.errors import Overloaded, UpstreamError
from orcestator.json_text import loads
from orcestator.settings import Settings
from orcestator.upstream.http.client import UpstreamClient
from orcestator.upstream.http.origin import Origin
from orcestator.upstream.http.timeouts import Timeouts

PATIENCE = Timeouts(connect=2.0, tls=2.0, first_byte=5.0, idle=5.0, total=10.0)
ANYWHERE = ("0.0.0.0", "::", "")


@dataclass(frozen=True, slots=True)
class Server:
    """Our own server, if it runs: its address without path, else ""."""

    base: str
    finding: Finding


async def ask(settings: Settings) -> Server:
    """Ask whoever listens at the port; when nobody does, see whether it can be had."""
    host = "127.0.0.1" if settings.host in ANYWHERE else settings.host
    shown = f"[{host}]" if ":" in host else host
    base = f"http://{shown}:{settings.port}"
    subject = f"port {settings.port}"
    if not settings.port:
        return Server("", Finding(subject, OK, "a free one is taken at every start"))
    try:
        status, body = await _health(base)
    except (Overloaded, UpstreamError) as fault:
        if getattr(fault, "cause", "") == "refused":
            return Server("", _free(subject, settings))
        return Server("", _foreign(subject, f"something listens at {base} and does not answer"))
    if not _is_ours(body):
        return Server("", _foreign(subject, f"something else listens at {base} (it answers {status})"))
    return Server(base, _own(subject, base, body))


async def _health(base: str) -> tuple[int, Any]:
    client = UpstreamClient()
    try:
        origin, _ = Origin.from_url(base, private=True)
        response = await client.send(origin, b"GET", b"/health", b"Accept: application/json\r\n", b"", PATIENCE)
        try:
            return response.status, loads(await response.read_all())
        except ValueError:
            return response.status, None
        finally:
            response.close()
    finally:
        await client.close()


def _is_ours(body: Any) -> bool:
    return isinstance(body, dict) and {"status", "version", "components"} <= body.keys()


def _own(subject: str, base: str, body: dict[str, Any]) -> Finding:
    says = f"orcestator {body['version']} answers at {base}: {body['status']}"
    parts = body["components"] if isinstance(body["components"], dict) else {}
    down = [name for name, facts in parts.items() if isinstance(facts, dict) and facts.get("status") == "down"]
    if not down:
        return Finding(subject, OK, says)
    return Finding(subject, WARNING, f"{says}; down: {', '.join(down)}", "See the log of the server.")


def _foreign(subject: str, says: str) -> Finding:
    return Finding(subject, PROBLEM, says, "Stop that program, or set OR_PORT to another port.")


def _free(subject: str, settings: Settings) -> Finding:
    """Nobody answers; whether we may listen is found out by listening for a moment."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((settings.host, settings.port))
    except OSError as fault:
        says = f"cannot be listened on at {settings.host}: {fault.strerror or fault}"
        return Finding(subject, PROBLEM, says, "Set OR_PORT (or OR_HOST) to what this machine allows.")
    return Finding(subject, OK, "free; the server is not running (orcestator up starts it)")
