"""The only door to ``fastchat.serve``: the stock worker class without its traps, and the stock API server's routes.

Importing stock modules replaces ``sys.stdout`` and ``sys.stderr``, adds a root log handler and writes ``*.log`` files
into the working directory; constructing a stock worker imports torch and starts threads (fschat 0.2.36, checked
2026-11). All of that is undone or overridden here. Must never copy stock code: subclass it or call it.
"""

import asyncio
import logging
import sys
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit, urlunsplit

import fastchat.serve.base_model_worker as stock_worker
import fastchat.utils
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastchat.conversation import Conversation

from orcestator.bridge.registration_policy import OFFER_KEY, REPORTS_KEY, SECRET_HEADER
from orcestator.bridge.registry import HEART_BEAT_SECONDS
from orcestator.bridge.stock.prompt import MARKER, conv_template, conversation_template
from orcestator.errors import InvalidRequest, OrcestatorError
from orcestator.json_text import Json
from orcestator.routing.planning.dispatch import Report

AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]
Post = Callable[[str, Json, Mapping[str, str]], Awaitable[tuple[int, Any]]]
"""POSTs JSON with extra headers: (status, parsed answer). Raises OSError, ValueError or OrcestatorError."""
Sleep = Callable[[float], Awaitable[None]]

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
JITTER = 0.2
"""Part of a pause that is drawn by lot, so that a fleet does not return to a restarted controller in step."""

KEPT_ROUTES = ("/v1/engines/{model_name}/embeddings", "/api/v1/token_check", "/api/v1/chat/completions")
"""Stock routes that our API server does not replace."""

log = logging.getLogger("orcestator.worker")
# With a logger in place the stock constructor does not build its own, which would take over the standard streams.
stock_worker.logger = log


@dataclass(frozen=True, slots=True)
class Gates:
    """What a worker does for each stock route; each takes the stock parameters.

    ``stream`` gives the frames, ``generate`` and ``embed`` the whole answer, ``count_tokens`` a number;
    ``in_flight`` is the number of requests that hold or wait for a permit.
    """

    stream: Callable[[Json], Any]
    generate: Callable[[Json], Any]
    embed: Callable[[Json], Any]
    count_tokens: Callable[[Json], int]
    in_flight: Callable[[], int]


class Reporter(Protocol):
    """Knows what a worker has to report of its models, by name."""

    def all(self) -> Mapping[str, Report]:
        """Everything, for a registration."""

    def to_tell(self) -> Mapping[str, Report]:
        """What a heart-beat should bring."""

    def has_news(self) -> bool:
        """Whether a heart-beat should bring it soon."""

    def note_told(self, reports: Mapping[str, Report]) -> None:
        """The controller has taken these."""


class ProxyModelWorker(stock_worker.BaseModelWorker):  # type: ignore[misc]
    """A stock worker whose gates are handed in: no torch, no thread, no request of its own.

    ``offer`` travels in the registration under a key that stock controllers ignore, and may be replaced; so does what
    ``reporter`` says, there and in heart-beats. Serve it with an app of ours: the stock app loses a permit whenever a gate raises.
    """

    def __init__(
        self,
        *,
        controller_address: str,
        worker_address: str,
        worker_id: str,
        model_names: Sequence[str],
        permits: int,
        context_length: int,
        gates: Gates,
        offer: Json | None = None,
        reporter: Reporter | None = None,
        multimodal: bool = False,
        marker: str = MARKER,
    ) -> None:
        self._gates = gates
        self.offer = offer
        self.reporter = reporter
        self._marker = marker
        super().__init__(
            controller_address,
            worker_address,
            worker_id,
            model_path=worker_id,
            model_names=list(model_names),
            limit_worker_concurrency=permits,
            multimodal=multimodal,
        )
        self.context_len = context_length

    def make_conv_template(self, conv_template: str | None = None, model_path: str | None = None) -> Conversation:
        """A template from which the messages can be recovered; the stock one would import torch."""
        return conversation_template(marker=self._marker)

    def get_conv_template(self) -> Json:
        """The answer of ``/worker_get_conv_template``."""
        return {"conv": conv_template(marker=self._marker)}

    def model_details(self) -> Json:
        """The answer of ``/model_details``."""
        return {"context_length": self.context_len}

    def init_heart_beat(self) -> None:
        """Stock workers start a thread here that blocks and asserts; await ``keep_registered`` instead."""
        raise NotImplementedError("await keep_registered(worker, ...) instead")

    def get_queue_length(self) -> int:
        """Requests that hold or wait for a permit."""
        return self._gates.in_flight()

    def get_status(self) -> Json:
        """The stock status, with our offer and reports beside it."""
        status: Json = super().get_status()
        if self.offer is None:
            return status
        reports = self.reporter.all() if self.reporter is not None else {}
        return {**status, OFFER_KEY: {**self.offer, REPORTS_KEY: _wire(reports)} if reports else self.offer}

    def generate_stream_gate(self, params: Json) -> Any:
        """The frames of ``/worker_generate_stream``."""
        return self._gates.stream(params)

    def generate_gate(self, params: Json) -> Any:
        """The answer of ``/worker_generate``."""
        return self._gates.generate(params)

    def get_embeddings(self, params: Json) -> Any:
        """The answer of ``/worker_get_embeddings``."""
        return self._gates.embed(params)

    def count_token(self, params: Json) -> Json:
        """The answer of ``/count_token``."""
        return {"count": self._gates.count_tokens(params), "error_code": 0}


def registration_payload(worker: ProxyModelWorker) -> Json:
    """The body of ``/register_worker``, as stock controllers and ours take it."""
    return {
        "worker_name": worker.worker_addr,
        "check_heart_beat": True,
        "worker_status": worker.get_status(),
        "multimodal": worker.multimodal,
    }


async def register(worker: ProxyModelWorker, post: Post, *, secret: str = "") -> bool:
    """One try to register; whether the controller took it. Never raises."""
    answer = await _tell(worker, post, "/register_worker", registration_payload(worker), secret)
    return answer is not None


async def send_heart_beat(worker: ProxyModelWorker, post: Post, *, secret: str = "") -> bool | None:
    """One heart-beat: whether the controller knows us, None when it could not be asked. Never raises."""
    beat = {"worker_name": worker.worker_addr, "queue_length": worker.get_queue_length()}
    reports = worker.reporter.to_tell() if worker.reporter is not None else {}
    if reports:
        beat[OFFER_KEY] = {REPORTS_KEY: _wire(reports)}
    answer = await _tell(worker, post, "/receive_heart_beat", beat, secret)
    if answer is None or not isinstance(answer[0], dict):
        return None
    is_known = answer[0].get("exist") is True
    if is_known and worker.reporter is not None:
        worker.reporter.note_told(reports)
    return is_known


async def keep_registered(
    worker: ProxyModelWorker,
    post: Post,
    *,
    draw: Callable[[], float],
    sleep: Sleep = asyncio.sleep,
    secret: str = "",
    interval: float = HEART_BEAT_SECONDS,
) -> None:
    """Register, and heart-beat every ``interval`` seconds, until cancelled.

    A worker whose offer was replaced registers again instead of its next heart-beat; a ``sleep`` that returns early
    makes that at once. A lost controller is asked again after 1 to 30 s; ``draw`` gives numbers in [0, 1) for the jitter.
    """
    failures, known, told = 0, False, worker.offer
    while True:
        beat = await send_heart_beat(worker, post, secret=secret) if known and worker.offer == told else False
        if beat is False:
            told = worker.offer
            known = await register(worker, post, secret=secret)
        worked = known and beat is not None
        failures = 0 if worked else failures + 1
        await sleep(_jittered(interval if worked else _pause(failures), draw))


def mount_stock_api(controller_address: str, caller_keys: Sequence[str]) -> AsgiApp:
    """The stock API server's routes that ours does not replace, each behind the stock key check.

    The stock server itself leaves ``/api/v1/*`` open to everyone. Its ``/v1/models`` is not there at all, since it
    freezes a stock controller. Only one such app can be configured in a process.
    """
    with _streams_kept():
        import fastchat.serve.openai_api_server as stock_server  # noqa: PLC0415 - half a second and 25 MB, only if used
    stock_server.app_settings.controller_address = controller_address
    stock_server.app_settings.api_keys = list(caller_keys) or None
    app = FastAPI(openapi_url=None)
    for route in stock_server.app.routes:
        if route.path in KEPT_ROUTES:
            app.add_api_route(
                route.path, route.endpoint, methods=["POST"], dependencies=[Depends(stock_server.check_api_key)]
            )
    app.add_exception_handler(RequestValidationError, stock_server.validation_exception_handler)
    app.add_exception_handler(ValueError, _refuse)
    return app


def _wire(reports: Mapping[str, Report]) -> Json:
    return {name: report.to_wire() for name, report in reports.items()}


async def _refuse(_request: Request, error: Exception) -> JSONResponse:
    """Stock handlers raise ValueError for an unknown model or role, which would be a 500."""
    return JSONResponse(InvalidRequest(str(error)).body(), status_code=400)


async def _tell(worker: ProxyModelWorker, post: Post, route: str, body: Json, secret: str) -> tuple[Any] | None:
    """The answer in a 1-tuple, or None and a line in the log."""
    base, headers = _controller(worker.controller_addr)
    if secret:
        headers[SECRET_HEADER] = secret
    try:
        status, answer = await post(base + route, body, headers)
    except (OSError, ValueError, OrcestatorError) as error:
        log.warning("controller %s: %s: %s", base, route, error)
        return None
    if status != 200:
        log.warning("controller %s: %s answered %d: %s", base, route, status, answer)
        return None
    return (answer,)


def _controller(address: str) -> tuple[str, dict[str, str]]:
    """The controller's address without ``user:secret@``, and the header that this part becomes."""
    parts = urlsplit(address.rstrip("/"))
    if "@" not in parts.netloc:
        return address.rstrip("/"), {}
    userinfo, _, host = parts.netloc.rpartition("@")
    basic = b64encode(unquote(userinfo).encode()).decode()
    return urlunsplit(parts._replace(netloc=host)), {"authorization": f"Basic {basic}"}


def _pause(failures: int) -> float:
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10))


def _jittered(seconds: float, draw: Callable[[], float]) -> float:
    return seconds * (1 - JITTER * draw())


@contextmanager
def _streams_kept() -> Iterator[None]:
    """Undo what a stock import does to the process: the standard streams, the root handlers, files in the cwd."""
    root = logging.getLogger()
    streams, handlers, level = (sys.stdout, sys.stderr), root.handlers[:], root.level
    fastchat.utils.LOGDIR = ""
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
        root.handlers[:] = handlers
        root.setLevel(level)
