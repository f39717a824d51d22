"""What one attempt needs to know, in the form that crosses process borders, and the kinds of answer it gives."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from orcestator.dialects.canonical import CallerDialect, Writer, WriteTerms
from orcestator.dialects.openai.resumed import Broken, ResumedWriter
from orcestator.json_text import Json, dumps, loads
from orcestator.usage import UNTOLD, Usage

OPENAI = "openai"
BYTES_PER_TOKEN = 4
COUNT, COUNT_PATH = "count", "/count"
"""An order that is only counted, by an upstream of the caller's own dialect, which has its own path for that."""
PATHS: Mapping[str, frozenset[str]] = {
    "chat": frozenset({"/chat/completions"}),
    "completions": frozenset({"/completions"}),
    "embeddings": frozenset({"/embeddings"}),
    "images": frozenset({"/images/generations", "/images/edits", "/images/variations"}),
    "moderations": frozenset({"/moderations"}),
    "audio": frozenset({"/audio/speech", "/audio/transcriptions", "/audio/translations"}),
    COUNT: frozenset({COUNT_PATH}),
}
"""Every path that is ever called at an OpenAI upstream, by endpoint: an order from elsewhere may name no other."""


@dataclass(slots=True)
class UpstreamCall:
    """One caller's request as every attempt at it sees it."""

    endpoint: str
    path: str
    """Where it goes at an OpenAI upstream, after the base URL."""
    body: bytes
    """What the caller sent, in ``dialect``."""
    call: Json | None
    """The canonical call; None where the body is not JSON."""
    content_type: str
    shown_model: str
    """The model's name in the answer."""
    streamed: bool
    include_usage: bool
    """The caller's wish for the usage chunk; we count tokens either way."""
    request_id: str
    deadline: float
    """On the event loop's clock."""
    text_cap: int
    """How many characters of the answer the log keeps."""
    created: int
    """When the answer was made, as it says itself; epoch seconds."""
    new_id: Callable[[str], str]
    dialect: str = OPENAI
    own: Json | None = None
    """What ``body`` parses to: the same object as ``call`` where the dialect is OpenAI's."""
    asked: Json | None = None
    """What the caller itself sent, where earlier turns were put before it since."""
    caller: CallerDialect | None = None
    """Who writes the answer; None stands for OpenAI's dialect."""
    headers: tuple[tuple[str, str], ...] = ()
    """Headers for an upstream of the same dialect."""
    unread: tuple[str, ...] = ()
    """Names of what the canonical call could not hold."""
    owner: str = ""
    """The id of the caller's key, whose answers nobody else may see."""
    is_strict: bool = False
    """Refuse what cannot be expressed instead of leaving it out."""
    is_foreign: bool = False
    """The caller speaks another dialect than OpenAI's, also where ``body`` is the canonical call made of its own by another process."""
    is_carried: bool = False
    """It came from another process of ours, which has the caller: what reaches that process is a sign of life, and what it can make of an
    answer is left to it."""
    broken: Broken | None = None
    """The stream that this one goes on with."""
    is_last_resort: bool = False
    """There is no other choice, so that it may try what the ledger of a worker only guesses to be used up."""
    model_span: tuple[int, int] | None = None
    """Where the value of ``model`` stands in ``body``, where the parser has noted it."""
    _canonical_body: bytes = field(default=b"", repr=False)

    @property
    def tokens(self) -> int:
        """About how many tokens the request has, for the quota ledger."""
        return len(self.body) // BYTES_PER_TOKEN

    def canonical_body(self) -> bytes:
        """The bytes of the canonical call: the caller's own where that is what it sent."""
        if self.dialect == OPENAI:
            return self.body
        if not self._canonical_body:
            self._canonical_body = dumps(self.call)
        return self._canonical_body

    def write_terms(self) -> WriteTerms:
        """What a caller's dialect needs to write the answer."""
        return WriteTerms(
            self.shown_model,
            self.created,
            self.new_id,
            self.request_id,
            self.include_usage,
            self.tokens,
            self.asked or {},
        )

    def writer(self) -> Writer | None:
        """A new writer of the caller's dialect; None where it is OpenAI's and the answer its own."""
        if self.broken is not None:
            return ResumedWriter(self.broken, include_usage=self.include_usage)
        return None if self.caller is None else self.caller.writer(self.write_terms())


class WholeAnswer:
    """A complete reply, checked before the first byte of it is sent.

    ``wire`` is the canonical reply (or the JSON of another endpoint), ``is_relayed``: ``body`` is
    in the caller's own dialect, as the upstream wrote it; ``dropped`` what had to be left out of the request.
    """

    __slots__ = (
        "_native", "body", "content_type", "dropped", "is_relayed", "text", "usage", "wire",
    )  # fmt: skip

    def __init__(
        self,
        body: bytes,
        content_type: str,
        text: str = "",
        usage: Usage = UNTOLD,
        *,
        wire: Json | None = None,
        native: Json | None = None,
        is_relayed: bool = False,
    ) -> None:
        self.body = body
        self.content_type = content_type
        self.text = text
        self.usage = usage
        self.wire = wire
        self._native = native
        self.is_relayed = is_relayed
        self.dropped: tuple[str, ...] = ()

    @property
    def native(self) -> Json | None:
        """What the caller of another dialect gets. A relayed body is parsed again for it, since few ask."""
        return loads(self.body) if self.is_relayed else self._native


Sink = Callable[[bytes], bool]
"""Takes frames for the caller at once; false: the caller has not taken enough of them yet to be given more."""


class FlowingAnswer(Protocol):
    """An answer that is still coming. It reached its commit point, so that failures from here on are the caller's."""

    content_type: str
    dropped: tuple[str, ...]

    async def next(self) -> bytes:
        """The next bytes for the caller, b"" at the end. Raises StreamInterrupted."""

    @property
    def is_over(self) -> bool:
        """Whether it is known that ``next`` has given all there is: it would only give b"" from now on."""

    def push(self, sink: Sink) -> Awaitable[None] | None:
        """Hand bytes to ``sink`` in the very callback in which they come, without waking whoever waits.

        What to await: it is done when ``next`` has to be asked again, for the last bytes, for a failure, or because the sink is full.
        None where ``next`` has to be asked now.
        """

    def failure_frames(self, error: Any) -> bytes:
        """What to send when it breaks, b"" when the format has no way to say it (then the connection is cut)."""

    def close(self) -> None:
        """Free the upstream connection. Idempotent."""

    @property
    def text(self) -> str:
        """The text so far, capped."""

    @property
    def usage(self) -> Usage:
        """What it used, so far or in all."""

    @property
    def native(self) -> Json | None:
        """The whole answer in the caller's own dialect, where that dialect ends a stream with it."""


Answer = WholeAnswer | FlowingAnswer
