"""One provider as we reach it: its credential, its dialect, its connections. The only holder of provider keys.

It makes one attempt at the one model it is told. It decides nothing: what follows from a failure is routing's.
"""

import logging
import re
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from orcestator import __version__
from orcestator.dialects.canonical import UpstreamDialect
from orcestator.dialects.failures import error_from_reply, read_moments
from orcestator.dialects.rate_limits import MENTION, RateLimit, is_congested, limits_in_headers, limits_in_refusal
from orcestator.errors import (
    CONGESTED,
    NO_SUCH_PATH,
    QUOTA_SIZE,
    CannotExpress,
    Overloaded,
    UpstreamBroken,
    UpstreamError,
    UpstreamKeyRefused,
    UpstreamRateLimited,
)
from orcestator.json_text import loads
from orcestator.providers.masking import KeyMask
from orcestator.providers.models import ModelFacts, facts_from_listing, left_out_of
from orcestator.providers.rows import NO_MODELS_LIST, Provider, find_row, joined
from orcestator.providers.secret import Secret
from orcestator.routing.offer import Deployment, Offer
from orcestator.routing.state.quota import QuotaBook
from orcestator.upstream.answer_reader import open_answer
from orcestator.upstream.answers import RawAnswer, StreamAnswer
from orcestator.upstream.call import Answer, UpstreamCall, WholeAnswer
from orcestator.upstream.http.client import Response, UpstreamClient
from orcestator.upstream.http.origin import Origin, Proxy
from orcestator.upstream.http.timeouts import Timeouts
from orcestator.upstream.metering import Meter, MeteredAnswer
from orcestator.upstream.reasoning_cache import ReasoningCache
from orcestator.upstream.request_builder import RequestBuilder, wants_reasoning_back
from orcestator.upstream.upstream_request import UpstreamRequest

logger = logging.getLogger(__name__)
JSON = "application/json"
NOT_IMPLEMENTED = 501
QUERY_SECRET = re.compile(r"key|token|secret|sig|pass", re.IGNORECASE)
"""Of a provider's query: the names whose values are credentials."""
MOST_HEADER_BLOCKS = 64
MOST_PATHS = 1024
"""Paths remembered; in some dialects they hold a model's name, which callers may invent."""
LIMITS_READ_SECONDS = 0.25
"""Limits in the headers of answers are read this often; in between the ledger counts down by itself."""
_BlockKind = tuple[str, bool, str, str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class ProviderTimeouts:
    """How long to wait, in seconds, each from the moment the request was written.

    ``first_token`` is for streams, up to their first content; ``whole_reply`` for the rest, up to their first byte that is not
    blank: it comes when the whole answer is written. Both are less than ``total``, so that another candidate has time left. Then
    ``idle`` (of a whole reply ``whole_reply``) is how long nothing more of the answer may come. ``comments_count``: whatever
    comes of a stream counts as life, too.
    """

    connect: float = 2.0
    tls: float = 5.0
    first_token: float = 30.0
    first_token_reasoning: float = 60.0
    whole_reply: float = 300.0
    idle: float = 30.0
    total: float = 600.0
    comments_count: bool = False


class _Asked(NamedTuple):
    """What was asked for, with which of our keys, when the ledger took it, and at which endpoint."""

    model: str
    credential: str
    taken_at: float
    endpoint: str


class ProviderClient:
    """One provider's upstream. ``offer`` is what it can do; ``attempt`` does it once.

    ``keys`` are all that we have for it; the first has the id "", the others "2", "3" and so on. ``quota`` is the ledger
    of what is asked with them, which whoever has an attempt made asks first; a client that is given none keeps one of its own. ``proxy`` is what it is called through.
    """

    def __init__(
        self,
        row: Provider,
        base_url: str,
        keys: Sequence[Secret],
        order: int,
        client: UpstreamClient,
        waiting: ProviderTimeouts,
        quota: QuotaBook | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        self.row = row
        self._client = client
        self._waiting = waiting
        origin, self._prefix = Origin.from_url(base_url)
        self._origin = replace(origin, proxy=proxy)
        self._keys: dict[str, Secret | None] = {str(n) if n > 1 else "": key for n, key in enumerate(keys, 1)} or {
            "": None
        }
        told = (value for name, value in parse_qsl(row.query.lstrip("?")) if QUERY_SECRET.search(name))
        self._mask = KeyMask([*(key.reveal() for key in keys), *told])
        self.quota = QuotaBook(time.time() - time.monotonic()) if quota is None else quota
        self.left_out = 0
        """Models that it lists beyond those that are known by their bare names."""
        self._limits_due: dict[tuple[str, str], float] = {}
        self.served = 0
        """Attempts that were answered 200."""
        self._answered: set[str] = set()
        """The endpoints that ever answered 200: their paths, and the address before them, are right."""
        self._is_pacific = row.dialect == "gemini"
        vault = ReasoningCache(time.monotonic) if wants_reasoning_back(row) else None
        self._speaker = RequestBuilder(row, vault)
        self._header_blocks: dict[_BlockKind, bytes] = {}
        self._paths: dict[str, bytes] = {}
        whole = waiting.whole_reply
        self._whole = Timeouts(
            connect=waiting.connect, tls=waiting.tls, first_byte=whole, idle=whole, total=waiting.total
        )
        self._streamed = replace(self._whole, first_byte=waiting.first_token, idle=waiting.idle)
        self._reasoning = replace(self._streamed, first_byte=waiting.first_token_reasoning)
        self.offer = Offer(
            provider=row.name,
            order=order,
            endpoints=row.endpoints,
            models={facts.id: self._probed(facts).to_wire() for facts in row.models},
            default_model=row.default_model,
            prefixes=row.prefixes,
            takes_any=not row.models,
            dialects=row.dialects,
            credentials=tuple(self._keys),
            since=time.time(),
        )

    @property
    def address(self) -> str:
        """Where the provider is, for people."""
        return f"{self._origin.scheme}://{self._origin.authority}{self._prefix}"

    @property
    def proxy(self) -> Proxy | None:
        """What it is called through, None for nothing."""
        return self._origin.proxy

    @property
    def lists_models(self) -> bool:
        """Whether the provider can be asked for its models."""
        return NO_MODELS_LIST not in self.row.quirks

    def attempt(self, model: str, order: UpstreamCall, credential: str, taken_at: float) -> Coroutine[Any, Any, Answer]:
        """One try with one of our keys, which the ledger counted at ``taken_at``. Raises UpstreamError; on cancellation the upstream
        connection is cut."""
        if credential not in self._keys:
            raise UpstreamKeyRefused(
                f"{self.row.name} has no key number {credential!r} here.", cause="no_credential", sent=False
            )
        attempt = self._answer(model, order, credential, taken_at)
        if (self.row.name, credential) not in self.quota.limited:
            return attempt
        pricing = (self.offer.models.get(model) or {}).get("pricing") or {}
        return _metered(attempt, Meter(self.quota, self.row.name, credential, model, order.tokens, pricing, taken_at))

    def attempt_beside(self, model: str, order: UpstreamCall) -> Coroutine[Any, Any, Answer]:
        """One try with the first key for ourselves, not for a caller. Raises QuotaUsedUp where the ledger lets nobody ask, else as
        ``attempt`` does."""
        now = time.monotonic()
        self.quota.admit(Deployment(self.row.name, model, "", "proxy"), order.tokens, now)
        return self.attempt(model, order, "", now)

    async def _answer(self, model: str, order: UpstreamCall, credential: str, taken_at: float) -> Answer:
        response: Response | None = None
        try:
            speech = self._speaker.speech(model, order)
            response = await self._client.send(
                self._origin,
                b"POST",
                self._paths.get(speech.path) or self._path(speech.path),
                self._header_block(order, speech, credential),
                speech.body,
                self._stream_timeouts(order) if order.streamed else self._whole,
                deadline=order.deadline,
            )
            if response.status != 200:
                raise await self._refused(response, speech.dialect, _Asked(model, credential, taken_at, order.endpoint))
            self.served += 1
            if order.endpoint not in self._answered:
                self._answered.add(order.endpoint)
            if response.headers.mentions(MENTION):
                self._learn_limits(response, model, credential, taken_at)
            return await self._opened(response, order, speech, _Asked(model, credential, taken_at, order.endpoint))
        except BaseException as error:
            if response is not None:
                response.close()
            if isinstance(error, UpstreamError):
                # Some providers repeat the key that they refuse; from here on the error goes to callers, logs and other processes.
                self._mask.in_error(error)
            raise

    async def _opened(self, response: Response, order: UpstreamCall, speech: UpstreamRequest, asked: _Asked) -> Answer:
        """The answer in a 200. A rate limit that is told inside it, now or later, is one like that of a 429."""
        try:
            answer = await open_answer(
                response, order, self.row.name, comments_count=self._waiting.comments_count, speech=speech
            )
        except UpstreamError as error:
            self._refused_inside(error, asked)
            raise
        if isinstance(answer, StreamAnswer):
            answer.on_failure = partial(self._failed_inside, asked=asked)
        elif isinstance(answer, RawAnswer):
            answer.mask = self._mask
            answer.content_type = self._mask(answer.content_type)
        return answer

    def _failed_inside(self, error: UpstreamError, asked: _Asked) -> None:
        self._mask.in_error(error)
        self._refused_inside(error, asked)

    def _refused_inside(self, error: UpstreamError, asked: _Asked) -> None:
        read_moments(error, time.time())
        if isinstance(error, UpstreamRateLimited):
            readings = limits_in_refusal({"message": error.message}, time.time())
            self._tell_refusal(error, asked, readings, is_ours=error.cause not in (CONGESTED, QUOTA_SIZE))

    def _learn_limits(self, response: Response, model: str, credential: str, taken_at: float) -> None:
        now = time.monotonic()
        if now < self._limits_due.get((credential, model), 0.0):
            return
        if len(self._limits_due) >= MOST_PATHS:
            self._limits_due.clear()
        self._limits_due[credential, model] = now + LIMITS_READ_SECONDS
        self.quota.learn(
            self.row.name, credential, model, _told(response), now, taken_at=taken_at, is_pacific=self._is_pacific
        )

    async def _refused(self, response: Response, dialect: UpstreamDialect | None, asked: _Asked) -> UpstreamError:
        """The refusal's error; one for our rate is told to the ledger."""
        body = await _body_of(response)
        error = self._refusal(response, body, dialect, asked.model)
        if error.cause == NO_SUCH_PATH and self._answered and asked.endpoint not in self._answered:
            # Other paths of this address work: it has no such endpoint, and what it has is well.
            return CannotExpress(
                f"{self.row.name} answered {response.status}: it seems to have no endpoint for {asked.endpoint}.",
                cause=NO_SUCH_PATH, sent=True, upstream_status=response.status,
            )  # fmt: skip
        if not isinstance(error, UpstreamRateLimited):
            return error
        try:
            parsed = loads(body)
        except ValueError:
            parsed = None
        readings = (*_told(response), *limits_in_refusal(parsed, time.time()))
        is_ours = error.cause != QUOTA_SIZE and not is_congested(parsed)
        self._tell_refusal(error, asked, readings, is_ours=is_ours)
        return error

    def _tell_refusal(
        self, error: UpstreamRateLimited, asked: _Asked, readings: Sequence[RateLimit], *, is_ours: bool
    ) -> None:
        """Tell the ledger; of a refusal that says nothing of our rate (not ``is_ours``) only the figures."""
        who, now = (self.row.name, asked.credential, asked.model), time.monotonic()
        if is_ours:
            self.quota.refused(
                *who, taken_at=asked.taken_at, wait=error.retry_after, readings=readings, now=now,
                is_pacific=self._is_pacific, learns=not self.quota.is_judged(error, self.row.name),
            )  # fmt: skip
        else:
            self.quota.learn(*who, readings, now, taken_at=asked.taken_at, is_pacific=self._is_pacific)

    async def discover(self) -> bool:
        """Read the provider's own model list into the offer. False when it could not be read; the old list stays."""
        try:
            return await self.read_list()
        except (UpstreamError, Overloaded):
            return False

    async def read_list(self) -> bool:
        """The same; raises UpstreamError where nobody answered or the upstream failed (5xx), which alone tells of its health.

        False where it answered something else: it has no list, or none for this key.
        """
        response = None
        try:
            response = await self._client.send(
                self._origin, b"GET", self._path(self.row.list_path()), self._listing_headers(), b"",
                replace(self._whole, first_byte=10.0, idle=10.0, total=20.0),
            )  # fmt: skip
            if response.status >= 500 and response.status != NOT_IMPLEMENTED:
                raise self._refusal(response, await _body_of(response))
            if response.status != 200:
                return False
            listing = loads(await response.read_all())
            listed = facts_from_listing(listing)
        except ValueError:
            return False
        finally:
            if response is not None:
                response.close()
        self._tell_left_out(left_out_of(listing))
        self._take_models(listed)
        return bool(listed)

    def _tell_left_out(self, count: int) -> None:
        """Once for each number: who misses a model is to find why."""
        if count and count != self.left_out:
            name = self.row.name
            logger.warning("%s lists %d models too many: those are asked for as %s/NAME only", name, count, name)
        self.left_out = count

    def _take_models(self, listed: Mapping[str, ModelFacts]) -> None:
        """What the provider lists is what there is, and what the administrator named beside it.

        A model that only the built-in row names is gone when the provider no longer lists it.
        """
        if not listed:
            return
        known = {facts.id: facts for facts in (*self.row.known, *self.row.models)}
        built_in = find_row(self.row.name)
        only_ours = {facts.id for facts in built_in.models} if built_in else set()
        named = {
            facts.id: facts.filled_from(listed.get(facts.id)) for facts in self.row.models if facts.id not in only_ours
        }
        found = {name: facts.filled_from(known.get(name)) for name, facts in listed.items() if name not in named}
        models = {name: self._probed(facts).to_wire() for name, facts in (named | found).items()}
        default = self.offer.default_model or next(iter(models))
        self.offer = replace(self.offer, models=models, default_model=default, takes_any=False, listed=time.time())
        self._speaker.learn(models)

    def _probed(self, facts: ModelFacts) -> ModelFacts:
        """The facts as a probe of this very account saw them, where there was one."""
        seen = next((probed for probed in self.row.probed if probed.id == facts.id), None)
        return facts if seen is None else seen.filled_from(facts)

    def _listing_headers(self) -> bytes:
        lines = [*self._head_lines(self.row.dialect, ""), ("Accept", JSON)]
        return "".join(f"{name}: {text}\r\n" for name, text in lines).encode("latin-1")

    def _refusal(
        self, response: Response, body: bytes, dialect: UpstreamDialect | None = None, model: str = ""
    ) -> UpstreamError:
        def header(name: str) -> str | None:
            value = response.headers.get(name.encode("latin-1"))
            return None if value is None else value.decode("latin-1")

        # A date in Retry-After is compared with the wall clock; only the resulting duration is kept.
        read = None if dialect is None else dialect.error
        return error_from_reply(self.row.name, response.status, header, body, time.time(), read, model)

    def _stream_timeouts(self, order: UpstreamCall) -> Timeouts:
        return self._reasoning if asks_for_reasoning(order) else self._streamed

    def _path(self, path: str) -> bytes:
        known = self._paths.get(path)
        if known is None:
            query = self.row.query if "?" not in path else self.row.query.replace("?", "&", 1)
            known = (joined(self._prefix, path) + query).encode("ascii")
            if len(self._paths) < MOST_PATHS:
                self._paths[path] = known
        return known

    def _header_block(self, order: UpstreamCall, speech: UpstreamRequest, credential: str) -> bytes:
        if order.content_type[:10].lower() == "multipart/":
            return self._new_header_block(order, speech, credential)
        # Callers' headers may be anything: once the table is full, theirs are put together anew every time.
        kind = (order.content_type, order.streamed, speech.spoken, credential, order.headers if speech.relays else ())
        known = self._header_blocks.get(kind)
        if known is None:
            known = self._new_header_block(order, speech, credential)
            if len(self._header_blocks) < MOST_HEADER_BLOCKS:
                self._header_blocks[kind] = known
        return known

    def _new_header_block(self, order: UpstreamCall, speech: UpstreamRequest, credential: str) -> bytes:
        accept = "text/event-stream" if order.streamed else "*/*" if order.content_type != JSON else JSON
        forwarded = dict(order.headers) if speech.relays else {}
        ours = self._head_lines(speech.spoken, credential)
        lines = [(name, text) for name, text in ours if name.lower() not in forwarded]
        lines += [*forwarded.items(), ("Content-Type", order.content_type), ("Accept", accept)]
        return "".join(f"{name}: {text}\r\n" for name, text in lines).encode("latin-1")

    def _head_lines(self, dialect: str, credential: str) -> list[tuple[str, str]]:
        """The header lines that never change: who we are, what we can read, and the credential."""
        row = self.row
        lines = [("User-Agent", f"orcestator/{__version__}"), ("Accept-Encoding", "identity"), *row.headers_of(dialect)]
        key = self._keys[credential]
        if key is not None:
            name, scheme = row.auth_of(dialect)
            lines.append((name, f"{scheme} {key.reveal()}".strip()))
        return lines


def asks_for_reasoning(order: UpstreamCall) -> bool:
    """Whether the model was told how to reason, so that its first content may take longer."""
    call = order.call or {}
    return "reasoning_effort" in call or "reasoning" in call


async def _body_of(response: Response) -> bytes:
    try:
        return await response.read_all()
    except UpstreamBroken:
        return b""


def _told(response: Response) -> tuple[RateLimit, ...]:
    if not response.headers.mentions(MENTION):
        return ()
    pairs = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers)
    return limits_in_headers(pairs, time.time())


async def _metered(attempt: Coroutine[Any, Any, Answer], meter: Meter) -> Answer:
    """The attempt, whose tokens are counted when it is over."""
    try:
        answer = await attempt
    except BaseException:
        meter.failed(time.monotonic())
        raise
    meter.opened()
    if not isinstance(answer, WholeAnswer):
        return MeteredAnswer(answer, meter, time.monotonic)
    meter.settle(answer.usage, time.monotonic())
    return answer
