"""The bytes of an answer, taken apart without any kindness."""

import http.client
import json
import select
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orcestator.json_text import Json


@dataclass(frozen=True)
class Wire:
    """An answer as it came. ``is_whole``: the body ended as HTTP says it should."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def dropped(self) -> set[str]:
        """What had to be left out of the request."""
        return set(filter(None, self.headers.get("x-orcestator-dropped", "").split(",")))


class Door:
    """One connection to a cluster, kept open: a thousand requests must not cost a thousand handshakes."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None, method: str = "POST") -> Wire:
        """Ask and read the answer to its end; a body that is bytes goes out as it is."""
        data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        sent = {"content-type": "application/json", **(headers or {})}
        if self._is_left():
            self._connection.close()
        try:
            self._connection.request(method, path, data, sent)
            response = self._connection.getresponse()
        except (OSError, http.client.HTTPException):
            # One failure must not be everybody's who asks after it.
            self._connection.close()
            raise
        try:
            read, is_whole = response.read(), True
        except http.client.IncompleteRead as cut:
            read, is_whole = cut.partial, False
            self._connection.close()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Wire(response.status, found, read, is_whole)

    def _is_left(self) -> bool:
        """The server closes what was idle for long, as any client has to expect: nothing may be readable between two answers."""
        return self._connection.sock is not None and bool(select.select([self._connection.sock], [], [], 0)[0])


def events(body: bytes) -> Iterator[tuple[str, str]]:
    """Name (empty for none) and data of each server-sent event; nothing else may be there."""
    text = body.decode("utf-8", "strict")
    assert text.endswith("\n\n"), text[-200:]
    for frame in text.split("\n\n")[:-1]:
        if not frame:
            continue
        lines = frame.split("\n")
        name = lines.pop(0).removeprefix("event: ") if lines[0].startswith("event: ") else ""
        (data,) = lines
        assert data.startswith("data: "), frame
        yield name, data[6:]


def typed_events(body: bytes) -> list[Json]:
    """The events of a dialect that names each in its JSON and before it."""
    found = []
    for name, data in events(body):
        event = json.loads(data)
        assert name == event["type"], f"{name} over {data[:80]}"
        found.append(event)
    return found
