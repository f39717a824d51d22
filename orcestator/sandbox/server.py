"""The sandbox's server: connections in, scripts out, everything recorded.

It is built on raw asyncio transports, for no HTTP framework can be made to misbehave byte by byte.
"""

import asyncio
import ssl as tls
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from orcestator.sandbox import control, models
from orcestator.sandbox.call import Call
from orcestator.sandbox.dialects import anthropic
from orcestator.sandbox.dialects.envelope import error_of
from orcestator.sandbox.dialects.gemini import is_sse
from orcestator.sandbox.faults.faults_http import error_answer
from orcestator.sandbox.faults.faults_transport import silence
from orcestator.sandbox.faults.hidden_limits import HiddenLimit
from orcestator.sandbox.faults.moods import Mood, is_moody, is_out, mood_of
from orcestator.sandbox.faults.table import spoiled
from orcestator.sandbox.memory import Memory
from orcestator.sandbox.model_name import parse
from orcestator.sandbox.problem import Refused
from orcestator.sandbox.routes import Route, dialect_of, find, good_answer, listing
from orcestator.sandbox.settings import SandboxSettings
from orcestator.sandbox.wire.connection import Connection, PeerLeft
from orcestator.sandbox.wire.http import STOPS_READING, Request, read_request
from orcestator.sandbox.wire.records import Record, RecordLog
from orcestator.sandbox.wire.script import (
    STALL_SECONDS,
    Answer,
    Event,
    HangUp,
    NextRequest,
    Pause,
    Reset,
    Stall,
    Step,
    json_answer,
)

ONCE_KEYS_KEPT = 10_000
NAMES_KEPT = 10_000
MODEL_PATH = "/v1/models/"
DEFAULTS = SandboxSettings()


class SandboxServer:
    """A scripted upstream on ``host`` and ``port`` (0: any free one, known after ``start``).

    Use ``start`` and ``close``, or ``async with``. With ``ssl`` it speaks TLS. All state belongs to the event loop that
    started it.
    """

    def __init__(
        self,
        settings: SandboxSettings = DEFAULTS,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl: tls.SSLContext | None = None,
        hidden_limit: HiddenLimit | None = None,
    ) -> None:
        self.settings = settings
        self._hidden_limit = hidden_limit
        self.host = host
        self.port = port
        self._ssl = ssl
        self._log = RecordLog()
        self._happened: dict[str, None] = {}
        self._asked: dict[str, int] = {}
        self._began = time.monotonic()
        self._memory = Memory()
        self._connections: dict[Connection, Record | None] = {}
        self._listeners: list[asyncio.Server] = []
        self._elsewhere_port = 0

    @property
    def base_url(self) -> str:
        """The address for an OpenAI client's ``base_url``."""
        return f"{self.root_url}/v1"

    @property
    def root_url(self) -> str:
        """The address without a path: what the other dialects' base URLs begin with."""
        scheme = "https" if self._ssl else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"

    @property
    def records(self) -> list[Record]:
        """What was asked of the sandbox, newest last: the last 10,000 requests but those to /sandbox/."""
        return self._log.records

    async def start(self) -> None:
        """Listen. Raises ``OSError`` when the port is taken."""
        self._began = time.monotonic()
        self.port = await self._listen(self.port, self._ssl)

    async def close(self) -> None:
        """Stop listening and end every connection at once."""
        for listener in self._listeners:
            listener.close()
        tasks = [connection.task for connection in self._connections]
        for connection in list(self._connections):
            connection.abandon()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._connections.clear()
        for listener in self._listeners:
            await listener.wait_closed()
        self._listeners.clear()

    async def __aenter__(self) -> "SandboxServer":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def serve_forever(self) -> None:
        """Serve until cancelled."""
        await self._listeners[0].serve_forever()

    async def wait_for(self, condition: Callable[[list[Record]], bool], deadline_seconds: float = 5.0) -> list[Record]:
        """The records as soon as ``condition`` holds of them. Raises ``TimeoutError`` when it does not in time."""
        return await self._log.wait_for(condition, deadline_seconds)

    def reset(self) -> None:
        """Forget all records, every ``once`` key and every stored response, and begin all spells anew."""
        self._log.clear()
        self._happened.clear()
        self._asked.clear()
        self._began = time.monotonic()
        self._memory.clear()

    async def _listen(self, port: int, context: tls.SSLContext | None) -> int:
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(self._connection, self.host, port, ssl=context)
        self._listeners.append(listener)
        return int(listener.sockets[0].getsockname()[1])

    def _connection(self) -> Connection:
        return Connection(self._serve, self._peer_left)

    def _peer_left(self, connection: Connection) -> None:
        record = self._connections.get(connection)
        if record and not record.finished:
            record.peer_closed_at = time.monotonic()
            self._log.changed()

    def _serve(self, connection: Connection) -> Coroutine[Any, Any, None]:
        """The connection's work, which is known to ``close`` from this moment on."""
        self._connections[connection] = None
        return self._serve_all(connection)

    async def _serve_all(self, connection: Connection) -> None:
        """One connection from its first request to its end."""
        try:
            if self.settings.stall_handshake:
                await connection.pause(STALL_SECONDS)
            while await self._serve_next(connection):
                pass
        except PeerLeft:
            pass  # the record says when
        finally:
            self._connections.pop(connection, None)
            connection.transport.close()

    async def _serve_next(self, connection: Connection) -> bool:
        """Read and answer one request; whether the connection goes on."""
        try:
            request = await read_request(connection)
        except Refused as refused:
            await self._send(connection, _refusal(refused), None, keeps_alive=False)
            return False
        if request is None:
            return False
        record = None if request.path.startswith(control.PREFIX) else self._opened(connection, request)
        answer = await self._answer(connection, request, record)
        if not await self._send(connection, answer, record, keeps_alive=request.keeps_alive):
            return False
        return await self._goes_on(connection, answer.next_request)

    def _opened(self, connection: Connection, request: Request) -> Record:
        record = self._log.open(
            method=request.method,
            path=request.path,
            headers=request.headers,
            body=request.body,
            port=connection.local_port,
        )
        self._connections[connection] = record
        return record

    async def _answer(self, connection: Connection, request: Request, record: Record | None) -> Answer:
        try:
            if not request.is_complete:
                return self._unread(request, record)
            if record is None:
                return self._control(request)
            return await self._routed(request, record, on_port=connection.local_port)
        except Refused as refused:
            return _refusal(refused, request, record.number if record else 0)

    async def _routed(self, request: Request, record: Record, *, on_port: int) -> Answer:
        route = find(request.path)
        if route is None:
            if is_out(self.settings, time.monotonic() - self._began):
                raise Refused(503, "The sandbox is out of service for a while.", kind="server_error")
            return _shown(request)
        _require_method(request, "POST")
        return await self._called(route, request, record, on_port=on_port)

    def _unread(self, request: Request, record: Record | None) -> Answer:
        """U4 in the middle of a body."""
        found = STOPS_READING.search(request.body)
        name = parse(found[1].decode() if found else "fault:U4", self.settings)
        if record:
            record.model = name.text
        return silence(name.options.seconds)

    async def _called(self, route: Route, request: Request, record: Record, *, on_port: int) -> Answer:
        try:
            call = replace(route.call(request, record.number, self.settings), memory=self._memory)
            record.model = call.model.text
            if self._hidden_limit and not self._hidden_limit.takes(call.key, call.model.base, time.monotonic()):
                return error_answer(call, 429)
            mood = self._mood(call)
            if mood.fails and call.model.fault is None:
                return error_answer(call, mood.status)
            happens = on_port != self._elsewhere_port and self._happens(call, mood)
            if happens:
                call = await self._with_elsewhere(call)
            answer = spoiled(call, good_answer(call)) if happens else good_answer(call)
        except (TypeError, ValueError, AttributeError, LookupError) as problem:
            # Bodies are read field by field without a model of them: a field of a wrong type ends here.
            raise Refused(400, f"A field of the body has the wrong type: {problem!r}.") from problem
        late = call.settings.ttft_seconds + mood.delay_seconds
        return replace(answer, delay_seconds=answer.delay_seconds + late) if late else answer

    def _mood(self, call: Call) -> Mood:
        """What the settings have in store for this request, by how often its model name was asked for."""
        settings = call.settings
        if not is_moody(settings):
            return Mood()
        name = call.model.text
        number = self._asked.pop(name, 0) + 1
        if len(self._asked) >= NAMES_KEPT:
            del self._asked[next(iter(self._asked))]
        self._asked[name] = number
        return mood_of(settings, name, number, time.monotonic() - self._began)

    def _happens(self, call: Call, mood: Mood) -> bool:
        """Whether the call's fault happens: in a mood that spares some requests, to the others; with ``once`` only to the
        first request with that key."""
        key = call.model.options.once
        if (call.settings.flaky or call.settings.down) and not mood.fails:
            return False
        if call.model.fault is None or key is None:
            return call.model.fault is not None
        if key in self._happened:
            return False
        if len(self._happened) >= ONCE_KEYS_KEPT:
            del self._happened[next(iter(self._happened))]
        self._happened[key] = None
        return True

    async def _with_elsewhere(self, call: Call) -> Call:
        """The call with the address a redirect points at: a second listener, opened when it is first needed."""
        if call.model.fault is None or call.model.fault.id != "U10":
            return call
        if not self._elsewhere_port:
            self._elsewhere_port = await self._listen(0, None)
        return replace(call, elsewhere=f"http://{self.host}:{self._elsewhere_port}")

    def _control(self, request: Request) -> Answer:
        if request.path == "/sandbox/reset":
            _require_method(request, "POST")
            self.reset()
            return json_answer({"status": "ok"})
        _require_method(request, "GET")
        if request.path == "/sandbox/log":
            return control.log_answer(request, self._log)
        if request.path == "/sandbox/health":
            return control.health_answer()
        raise _no_route(request)

    async def _send(self, connection: Connection, answer: Answer, record: Record | None, *, keeps_alive: bool) -> bool:
        """Perform the answer's script; whether the connection is still of use."""
        if answer.delay_seconds:
            await connection.pause(answer.delay_seconds)
        goes_on = True
        for step in answer.wire_steps(keeps_alive=keeps_alive):
            if isinstance(step, bytes):
                await self._send_bytes(connection, step, record)
            elif not await _performed(connection, step):
                goes_on = False
                break
        if record:
            record.finished = True
            self._log.changed()
        return goes_on and keeps_alive and not answer.closes

    async def _send_bytes(self, connection: Connection, data: bytes, record: Record | None) -> None:
        await connection.send(data)
        if record:
            record.sent_bytes += len(data)
            record.sent_events += isinstance(data, Event)
            self._log.changed()

    async def _goes_on(self, connection: Connection, fate: NextRequest) -> bool:
        """What becomes of the connection after an answer (U7); it may wait for the next request's first bytes."""
        if fate == "served":
            return True
        if fate != "idle" and not await connection.reader.read(64 * 1024):
            return False
        if fate == "silent":
            await connection.pause(STALL_SECONDS)
        await (connection.reset() if fate == "rst" else connection.hang_up())
        return False


async def serve_forever(
    settings: SandboxSettings,
    host: str,
    port: int,
    *,
    ssl: tls.SSLContext | None = None,
    on_ready: Callable[[SandboxServer], object] = lambda server: None,
) -> None:
    """Run a sandbox until cancelled; ``on_ready`` is called once it listens. Raises ``OSError`` when the port is taken."""
    async with SandboxServer(settings, host=host, port=port, ssl=ssl) as server:
        on_ready(server)
        await server.serve_forever()


def tls_context(certificate: str, key: str) -> tls.SSLContext:
    """A server's TLS context from two PEM files. Raises ``OSError`` (``ssl.SSLError`` is one) for unusable files."""
    context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def _performed(connection: Connection, step: Step) -> bool:
    """Do what is not sending; whether the script goes on."""
    match step:
        case Pause(seconds):
            await connection.pause(seconds)
            return True
        case Stall(seconds):
            await connection.pause(seconds)
            await connection.hang_up()
        case HangUp():
            await connection.hang_up()
        case Reset():
            await connection.reset()
    return False


def _shown(request: Request) -> Answer:
    """What there is, in the dialect of the path; Anthropic's list has OpenAI's path and is known by a header."""
    if (found := listing(request.path)) is not None:
        _require_method(request, "GET")
        return found(request)
    if request.path == "/v1/models":
        _require_method(request, "GET")
        return anthropic.listed() if "anthropic-version" in request.headers else json_answer(models.listed())
    if request.path.startswith(MODEL_PATH):
        _require_method(request, "GET")
        return json_answer(models.card(request.path.removeprefix(MODEL_PATH)))
    raise _no_route(request)


def _refusal(refused: Refused, request: Request | None = None, number: int = 0) -> Answer:
    """A refusal in the dialect of the request's path; Google puts the error of an array stream into an array."""
    dialect = dialect_of(request.path) if request else "openai"
    body = error_of(
        dialect,
        refused.status,
        refused.message,
        number=number,
        kind=refused.kind,
        code=refused.code,
        param=refused.param,
        details=refused.details,
    )
    if request and dialect == "gemini" and ":streamGenerateContent" in request.path and not is_sse(request.query):
        body = [body]
    return replace(json_answer(body, status=refused.status), closes=refused.closes)


def _require_method(request: Request, method: str) -> None:
    if request.method != method:
        raise Refused(405, f"{request.path} takes {method}, not {request.method}.", code="method_not_allowed")


def _no_route(request: Request) -> Refused:
    return Refused(404, f"The sandbox has no route {request.path}.", code="not_found")
