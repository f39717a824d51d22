"""What one attempt needs to know, in the form that crosses process borders, and the kinds of answer it gives."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

Json = dict[str, Any]


@dataclass(slots=True)
class Order:
    """One caller's request as every attempt at it sees it. ``deadline`` is on the event loop's clock.

    ``call`` is the parsed body, None where the body is not JSON (audio uploads). ``include_usage`` is the caller's
    wish for the usage chunk; we count tokens either way.
    """

    endpoint: str
    path: str
    body: bytes
    call: Json | None
    content_type: str
    shown_model: str
    streamed: bool
    include_usage: bool
    request_id: str
    deadline: float
    text_cap: int
    created: int
    new_id: Callable[[str], str]


class WholeAnswer:
    """A complete reply, checked before the first byte of it is sent."""

    __slots__ = ("body", "completion_tokens", "content_type", "estimated", "prompt_tokens", "text", "wire")

    def __init__(
        self,
        body: bytes,
        content_type: str,
        text: str = "",
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
        *,
        estimated: bool = True,
        wire: Json | None = None,
    ) -> None:
        self.body = body
        self.content_type = content_type
        self.text = text
        self.prompt_tokens = prompt_tokens
        self.completion_tokens = completion_tokens
        self.estimated = estimated
        self.wire = wire


class FlowingAnswer(Protocol):
    """An answer that is still coming. It reached its commit point, so that failures from here on are the caller's."""

    content_type: str

    async def next(self) -> bytes:
        """The next bytes for the caller, b"" at the end. Raises StreamInterrupted."""

    def failure_frames(self, error: Any) -> bytes:
        """What to send when it breaks, b"" when the format has no way to say it (then the connection is cut)."""

    def close(self) -> None:
        """Free the upstream connection. Idempotent."""

    @property
    def text(self) -> str:
        """The text so far, capped."""

    @property
    def tokens(self) -> tuple[int, int, bool]:
        """Prompt tokens, completion tokens, and whether they are estimated."""


Answer = WholeAnswer | FlowingAnswer
