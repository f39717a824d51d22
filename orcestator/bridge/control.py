"""JSON over HTTP between the parts of the cluster: small questions to a controller or a worker, never raising.

Uses the upstream client, so that one HTTP client serves the whole program.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from orcestator.bridge.registration_policy import SECRET_HEADER
from orcestator.errors import OrcestatorError
from orcestator.json_text import Json, dumps, loads
from orcestator.providers.secret import Secret
from orcestator.upstream.http.client import UpstreamClient
from orcestator.upstream.http.origin import Origin
from orcestator.upstream.http.timeouts import Timeouts

PATIENCE = Timeouts(connect=2.0, tls=5.0, first_byte=5.0, idle=5.0, total=8.0)
NO_ANSWER = 0
"""The status of a peer that gave no answer."""


class ControlClient:
    """Asks controllers and workers. A dead peer is status 0, not an exception: the cluster lives on without it."""

    def __init__(self, client: UpstreamClient, secret: Secret | None) -> None:
        self._client = client
        self._header_block = b"Content-Type: application/json\r\n"
        if secret:
            self._header_block += f"{SECRET_HEADER}: {secret.reveal()}\r\n".encode("latin-1")

    async def get(self, url: str) -> tuple[int, Json]:
        """(status, JSON object); (0, {}) when there was no answer."""
        return await self._ask(b"GET", url, b"", {})

    async def post(
        self, url: str, body: Json | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Json]:
        """(status, JSON object); (0, {}) when there was no answer."""
        return await self._ask(b"POST", url, dumps(body or {}), headers or {})

    async def text(self, url: str) -> bytes:
        """The body of a page, b"" when there is none."""
        status, body = await self._fetch(b"GET", url, b"", {})
        return body if status == 200 else b""

    async def is_up(self, url: str) -> bool:
        """Whether the page answers 200."""
        return (await self._fetch(b"GET", url, b"", {}))[0] == 200

    async def _ask(self, method: bytes, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, Json]:
        status, text = await self._fetch(method, url, body, headers)
        try:
            answer = loads(text or b"{}")
        except ValueError:
            return NO_ANSWER, {}
        return status, answer if isinstance(answer, dict) else {}

    async def _fetch(self, method: bytes, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        lines = self._header_block + "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
        try:
            # Inside: an address may be whatever somebody registered at a stock controller.
            parts = urlsplit(url)
            origin, _ = Origin.from_url(f"{parts.scheme}://{parts.netloc}", private=True)
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            response = await self._client.send(origin, method, path.encode(), lines, body, PATIENCE)
            try:
                return response.status, await response.read_all()
            finally:
                response.close()
        except (OrcestatorError, ValueError):
            return NO_ANSWER, b""
