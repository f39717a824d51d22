"""The controller on the stock wire: a raw ASGI application around the worker table.

Stock routes answer in the stock shapes (fschat 0.2.36 ``serve/controller.py``, checked 2026-11), so that stock
workers and stock API servers need no change. A stock worker asserts that its registration got 200, so every
registration with sane content gets it, whatever becomes of it. Must never call a worker that was not let in, and
must never hold a request up for a worker that does not answer.
"""

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qs

import orjson

from orcestator.bridge.registration_policy import (
    UNPROVEN,
    Decision,
    Registration,
    RegistrationPolicy,
    Speaker,
    WorkerStatus,
    credential_id,
    is_loopback,
    judge_registration,
    may_administer,
    may_list_offers,
    may_read,
    needs_resolving,
    presented_credential,
    read_heart_beat,
    read_registration,
    read_status,
    worker_host,
)
from orcestator.bridge.registry import WorkerRegistry
from orcestator.bridge.stock.frames import no_worker_frame, worker_timeout_frame
from orcestator.errors import (
    BodyTooLarge,
    Forbidden,
    InvalidRequest,
    MethodNotAllowed,
    OrcestatorError,
    RequestTooSlow,
    RouteNotFound,
    Unauthorized,
)
from orcestator.json_text import Json

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
FetchStatus = Callable[[str], Awaitable[Any]]
"""Asks a worker for its status: ``POST {address}/worker_get_status``, to that address only, without redirects, at
most 64 KiB (2 MiB for a worker of ours). Raises OSError, ValueError or OrcestatorError when it cannot."""
Relay = Callable[[str, Json], AsyncIterator[bytes]]
"""Streams ``/worker_generate_stream`` of one worker: its address and the parameters to its frames."""
Resolve = Callable[[str], Awaitable[frozenset[str]]]

LEAVE_PATH = "/orcestator/workers/leave"
BODY_LIMIT_BYTES = 2 << 20
BODY_SECONDS = 10.0
CHECK_SECONDS = 2.0
CHECKS_AT_ONCE = 8
TICK_SECONDS = 2.0
DEBOUNCE_SECONDS = 0.2
_FORWARDED = (
    *("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "true-client-ip"),
    *("cf-connecting-ip", "x-client-ip"),
)

log = logging.getLogger("orcestator.controller")


class Asked(NamedTuple):
    """One request, as far as it was read before its handler runs."""

    path: str
    query: Mapping[str, list[str]]
    speaker: Speaker
    receive: Receive

    async def json(self) -> Any:
        """The body. Raises InvalidRequest, BodyTooLarge or RequestTooSlow."""
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read_body(self.receive)
        except TimeoutError:
            raise RequestTooSlow("The body did not arrive within 10 seconds.") from None
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise InvalidRequest(f"The body is not JSON: {error}") from None


class Frames(NamedTuple):
    """An answer that is streamed as it comes."""

    frames: AsyncIterator[bytes]


Handler = Callable[[Asked], Awaitable[Any]]


class TableDocument(Protocol):
    """Where the worker table is kept over a restart. All methods block."""

    def get(self) -> bytes | None:
        """The content, None where there is none. Raises OSError."""

    def put(self, content: bytes) -> object:
        """Keep the content, lastingly. Raises OSError, and then nothing changed."""

    def place(self) -> str:
        """Where a person finds it."""


@dataclass(frozen=True, slots=True)
class Route:
    """A handler, its method, and who may use it: ``anyone``, a ``reader``, a ``router`` of requests, an ``admin``."""

    method: str
    access: str
    handler: Handler


@dataclass(slots=True, eq=False)
class ControllerApp:
    """The ASGI application. Call ``restore`` before serving and run ``run_maintenance`` beside it.

    Serve it without a proxy-header middleware: the peer's address is a credential here. ``clock`` is monotonic
    seconds. ``relay`` switches ``/worker_generate_stream`` on, which FastChat leaves open to everyone
    (CVE-2024-10044).
    """

    registry: WorkerRegistry
    policy: RegistrationPolicy
    kept_table: TableDocument | None
    fetch_status: FetchStatus
    clock: Callable[[], float]
    relay: Relay | None = None
    resolve: Resolve = field(default_factory=lambda: resolve_host)
    on_wrong_secret: Callable[[Scope], object] = lambda _scope: None
    """Is told of every request that shows a worker secret which is not the one."""
    registrations: Counter[str] = field(init=False, default_factory=Counter)
    """Registrations so far by outcome, for the metrics."""
    _routes: dict[str, Route] = field(init=False)
    _changed: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _checking: asyncio.Task[None] | None = field(init=False, default=None)
    _saved_version: int = field(init=False, default=-1)

    def __post_init__(self) -> None:
        self._routes = {
            "/register_worker": Route("POST", "anyone", self._register_worker),
            "/receive_heart_beat": Route("POST", "anyone", self._receive_heart_beat),
            "/test_connection": Route("GET", "anyone", self._test_connection),
            "/health": Route("GET", "anyone", self._health),
            "/refresh_all_workers": Route("POST", "reader", self._refresh_all_workers),
            "/list_models": Route("POST", "reader", self._list_models),
            "/list_multimodal_models": Route("POST", "reader", self._list_multimodal_models),
            "/list_language_models": Route("POST", "reader", self._list_language_models),
            "/get_worker_address": Route("POST", "reader", self._get_worker_address),
            "/worker_get_status": Route("POST", "reader", self._worker_get_status),
            "/worker_generate_stream": Route("POST", "reader", self._worker_generate_stream),
            "/orcestator/workers": Route("GET", "router", self._workers),
            LEAVE_PATH: Route("POST", "anyone", self._leave),
            "/orcestator/pending": Route("GET", "admin", self._pending),
            "/orcestator/pending/approve": Route("POST", "admin", self._approve),
            "/orcestator/pending/deny": Route("POST", "admin", self._deny),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request. Other scopes are refused, which servers take as "no lifespan here"."""
        if scope["type"] != "http":
            raise NotImplementedError(f"the controller has no {scope['type']} protocol")
        try:
            answer = await self._answer(scope, receive)
        except ConnectionResetError:
            return
        except OrcestatorError as error:
            await _send_json(send, error.http_status, error.body(), error.headers)
            return
        if isinstance(answer, Frames):
            await _send_frames(send, answer.frames)
        else:
            await _send_json(send, 200, answer)

    def restore(self) -> None:
        """Take over the table of an earlier process. One that cannot be read is logged and left behind."""
        if self.kept_table is None:
            return
        try:
            content = self.kept_table.get()
            if content is not None:
                self.registry.restore(orjson.loads(content), self.clock(), secured=bool(self.policy.secret))
        except (OSError, ValueError) as error:
            log.warning("starting with an empty worker table: %s: %s", self.kept_table.place(), error)

    async def run_maintenance(self, stop: asyncio.Event) -> None:
        """Expire silent workers and save the table until ``stop`` is set; saves once more at the end."""
        if self.registry.names(only_stale=True):
            self._start_checking(only_stale=True)
        while not stop.is_set():
            await self._next_change(stop)
            for name in self.registry.expire(self.clock()):
                log.warning("worker %s expired", name)
            if self._is_unsaved():
                await _wait(stop, DEBOUNCE_SECONDS)
                await self._save()
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.gather(self._checking, return_exceptions=True)
        await self._save()

    async def _answer(self, scope: Scope, receive: Receive) -> Any:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        presented, path = presented_credential(headers, scope["path"])
        speaker = Speaker(credential_id(self.policy, presented), _peer(scope, headers))
        if presented.secret and speaker.credential == UNPROVEN:
            self.on_wrong_secret(scope)
        self._refuse_browsers(headers)
        route = self._routes.get(path)
        if route is None:
            raise RouteNotFound(f"The controller has no route {path[:128]}.")
        if scope["method"] != route.method:
            raise MethodNotAllowed(f"{path} takes {route.method}.", headers={"allow": route.method})
        self._authorise(route, speaker)
        query = parse_qs(scope["query_string"].decode("latin-1"))
        return await route.handler(Asked(path, query, speaker, receive))

    def _refuse_browsers(self, headers: Mapping[str, str]) -> None:
        """A web page must not act through the browser of somebody on this machine, nor by rebinding a name to it."""
        if "origin" in headers or headers.get("sec-fetch-site", "none") != "none":
            raise Forbidden("The controller does not talk to web pages.")
        host = _without_port(headers.get("host", "localhost"))
        if self.policy.on_loopback and not self.policy.secret and not is_loopback(host):
            raise Forbidden("The controller is on loopback only; use http://localhost as its address.")

    def _authorise(self, route: Route, speaker: Speaker) -> None:
        allowed = {
            "anyone": True,
            "reader": may_read(self.policy, speaker.credential),
            "router": may_list_offers(self.policy, speaker.credential),
            "admin": may_administer(self.policy, speaker),
        }[route.access]
        if not allowed:
            raise Unauthorized("This route needs the worker secret.", code="worker_secret_required")

    async def _register_worker(self, asked: Asked) -> None:
        registration = read_registration(await asked.json())
        decision = await self._decide(registration, asked.speaker)
        if registration.status is None and self.registry.is_welcome(registration, asked.speaker, decision):
            status = await self._check(registration.worker_name)
            if status is None:
                log.warning("worker %s did not give its status; not registered", registration.worker_name)
                return
            registration = registration._replace(status=status)
        outcome, reason = self.registry.register(registration, asked.speaker, decision, self.clock())
        self.registrations[outcome] += 1
        self._changed.set()
        if outcome != "ignored":
            log.info("worker %s %s: peer %s, %s", registration.worker_name, outcome, asked.speaker.peer, reason)

    async def _decide(self, registration: Registration, speaker: Speaker) -> Decision:
        host = worker_host(registration.worker_name)
        resolved: frozenset[str] = frozenset()
        if needs_resolving(self.policy, speaker, host):
            resolved = await self.resolve(host)
        return judge_registration(self.policy, speaker, host, resolved)

    async def _receive_heart_beat(self, asked: Asked) -> Json:
        beat = read_heart_beat(await asked.json())
        before = self.registry.version
        exists = self.registry.receive_heart_beat(beat, asked.speaker, self.clock())
        if self.registry.version != before:
            self._changed.set()
        return {"exist": exists}

    async def _test_connection(self, asked: Asked) -> str:
        return "success"

    async def _health(self, asked: Asked) -> Json:
        return {"status": "ok", "version": self.registry.version, **self.registry.counts()}

    async def _refresh_all_workers(self, asked: Asked) -> None:
        self._start_checking()

    async def _list_models(self, asked: Asked) -> Json:
        return {"models": self.registry.list_models()}

    async def _list_multimodal_models(self, asked: Asked) -> Json:
        return {"models": self.registry.list_models(multimodal=True)}

    async def _list_language_models(self, asked: Asked) -> Json:
        return {"models": self.registry.list_models(multimodal=False)}

    async def _get_worker_address(self, asked: Asked) -> Json:
        model = _field(await asked.json(), "model")
        return {"address": self.registry.get_worker_address(model, self.clock())}

    async def _worker_get_status(self, asked: Asked) -> Json:
        return self.registry.status()

    async def _worker_generate_stream(self, asked: Asked) -> Frames:
        if self.relay is None:
            raise Forbidden("The controller relays no prompts; call a worker, or the API server.")
        params = await asked.json()
        address = self.registry.get_worker_address(_field(params, "model"), self.clock())
        return Frames(self._relayed(address, params))

    async def _relayed(self, address: str, params: Json) -> AsyncIterator[bytes]:
        if not address or self.relay is None:
            yield no_worker_frame()
            return
        try:
            async for frame in self.relay(address, params):
                yield frame
        except (OSError, ValueError, OrcestatorError):
            yield worker_timeout_frame()

    async def _workers(self, asked: Asked) -> Json:
        version = self.registry.version
        if asked.query.get("version") == [str(version)]:
            return {"version": version, "unchanged": True}
        return {"version": version, "workers": self.registry.workers()}

    async def _leave(self, asked: Asked) -> Json:
        name = _field(await asked.json(), "worker_name")
        left = self.registry.leave(name, asked.speaker)
        if left:
            self._changed.set()
            log.info("worker %s left", name)
        return {"left": left}

    async def _pending(self, asked: Asked) -> Json:
        return {"pending": self.registry.pending()}

    async def _approve(self, asked: Asked) -> Json:
        name = _field(await asked.json(), "worker_name")
        if not self.registry.approve(name, self.clock()):
            raise _not_pending(name)
        self._changed.set()
        log.info("worker %s approved from %s", name, asked.speaker.peer)
        return {"approved": name}

    async def _deny(self, asked: Asked) -> Json:
        name = _field(await asked.json(), "worker_name")
        if not self.registry.deny(name):
            raise _not_pending(name)
        log.info("worker %s denied from %s", name, asked.speaker.peer)
        return {"denied": name}

    def _start_checking(self, *, only_stale: bool = False) -> None:
        """Check workers in the background, one round at a time: a caller can start it, not multiply it."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._check_all(self.registry.names(only_stale=only_stale)))

    async def _check_all(self, names: list[str]) -> None:
        permits = asyncio.Semaphore(CHECKS_AT_ONCE)

        async def check(name: str) -> tuple[str, WorkerStatus | None]:
            async with permits:
                return name, await self._check(name)

        checks = dict(await asyncio.gather(*map(check, names)))
        for name in self.registry.apply_checks(checks, self.clock()):
            log.warning("worker %s failed its status check and sends no heart-beats; removed", name)
        self._changed.set()

    async def _check(self, name: str) -> WorkerStatus | None:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                return read_status(await self.fetch_status(name))
        except (OSError, ValueError, OrcestatorError) as error:
            log.warning("worker %s gave no status: %s", name, error)
            return None

    async def _next_change(self, stop: asyncio.Event) -> None:
        waits = {asyncio.create_task(stop.wait()), asyncio.create_task(self._changed.wait())}
        await asyncio.wait(waits, timeout=TICK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        self._changed.clear()

    def _is_unsaved(self) -> bool:
        return self.kept_table is not None and self.registry.version != self._saved_version

    async def _save(self) -> None:
        version = self.registry.version
        if self.kept_table is None or version == self._saved_version:
            return
        content = orjson.dumps(self.registry.snapshot())
        try:
            await asyncio.to_thread(self.kept_table.put, content)
        except OSError as error:
            log.warning("the worker table was not saved: %s", error)
            return
        self._saved_version = version


async def resolve_host(host: str) -> frozenset[str]:
    """The addresses of a host name, empty when it has none or the answer takes over two seconds."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return frozenset()
    return frozenset(str(row[4][0]) for row in found)


def _peer(scope: Scope, headers: Mapping[str, str]) -> str:
    """The peer's address; empty behind a proxy, where loopback would only mean the proxy."""
    if any(name in headers for name in _FORWARDED) or scope.get("http_version") == "1.0" or not scope.get("client"):
        return ""
    return str(scope["client"][0])


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


async def _read_body(receive: Receive) -> bytes:
    body = bytearray()
    more = True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ConnectionResetError("the peer left")
        body += event.get("body", b"")
        more = event.get("more_body", False)
        if len(body) > BODY_LIMIT_BYTES:
            raise BodyTooLarge("The controller takes bodies of up to 2 MiB.")
    return bytes(body)


def _field(body: Any, name: str) -> str:
    value = body.get(name) if isinstance(body, dict) else None
    if not isinstance(value, str):
        raise InvalidRequest(f"The body must be a JSON object with the text '{name}'.", param=name)
    return value


def _not_pending(name: str) -> RouteNotFound:
    return RouteNotFound(f"No worker '{name[:128]}' is pending; GET /orcestator/pending lists them.")


async def _send_json(send: Send, status: int, answer: Any, extra: Mapping[str, str] | None = None) -> None:
    body = orjson.dumps(answer)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in (extra or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _send_frames(send: Send, frames: AsyncIterator[bytes]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    async for frame in frames:
        await send({"type": "http.response.body", "body": frame, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
