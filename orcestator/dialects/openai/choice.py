"""How far one choice of a stream has come: what it said, which calls it makes, and how it ends."""

from dataclasses import dataclass, field

from orcestator.dialects.failures import unreadable
from orcestator.dialects.openai.finish import MAY_CUT, reason_beside
from orcestator.dialects.openai.tool_calls import ToolCallOrder, half_call_failure, is_half
from orcestator.errors import UpstreamBroken
from orcestator.json_text import Json


@dataclass(slots=True)
class ChoiceState:
    """How far one choice of the answer has come."""

    calls: ToolCallOrder
    role_sent: bool = False
    spoke: bool = False
    flows: bool = False
    """Plain text of it can go out at once: it has begun, has not finished, and is not inside a call."""
    finished: bool = False
    """Nothing more is to come, as far as its upstream has said."""
    closed: bool = False
    """Its finish reason is out."""
    reason: str | None = None
    last: tuple[Json, Json] = field(default_factory=lambda: ({}, {}))
    """What stood beside the reason, in the choice and around it."""
    said_more: bool = False
    """There was content after the reason."""
    went_on: bool = False
    """There was content after a reason: so another one, beside content, says nothing about the end."""
    legacy_call: list[str] = field(default_factory=list)
    held: list[tuple[Json, Json, Json]] = field(default_factory=list)
    """What came between the pieces of a call: delta, the rest of its choice, and what is around it."""

    def delta_in(self, wire: Json, provider: str) -> Json:
        """What a choice adds. Some upstreams stream whole messages, or texts without a delta; where deltas came before, these
        only repeat them.
        """
        delta = wire.get("delta")
        if delta is None and not self.spoke:
            delta = wire.get("message")
            if delta is None and isinstance(wire.get("text"), str):
                delta = {"content": wire["text"]}
        if not isinstance(delta, dict):
            if delta:
                raise unreadable(provider)
            return {}
        self.spoke = True
        return dict(delta)

    def go_on(self) -> None:
        """There was content."""
        self.said_more = True
        if self.finished:
            self.finished, self.went_on = False, True

    def take_legacy_call(self, delta: Json, provider: str) -> None:
        call = delta.get("function_call")
        if call is not None and not isinstance(call, dict):
            raise unreadable(provider)
        if call:
            arguments = call.get("arguments")
            self.legacy_call.append(arguments if isinstance(arguments, str) else "")

    def told_reason(self) -> str:
        has_legacy = bool(self.legacy_call)
        told = self.reason or ("function_call" if has_legacy else "stop")
        return reason_beside(told, calls=bool(self.calls), legacy_call=has_legacy)

    def check_whole(self, provider: str) -> None:
        """Raises UpstreamBroken for a choice that ends in the middle without having been cut."""
        if not self.spoke:
            raise UpstreamBroken(f"{provider} answered with a choice that says nothing.", cause="empty")
        if self.reason in MAY_CUT:
            return
        told = self.reason is not None
        name = self.calls.half_call(told=told)
        if name is None and self.legacy_call and is_half("function", "".join(self.legacy_call), told=told):
            name = "function_call"
        if name is not None:
            raise half_call_failure(provider, name)
