"""What upstream translators read out of the canonical call, read here once for all of them.

A field that is missing, or of a kind that it cannot have, reads as if nobody had given it; what a dialect makes of a wish, and what it
reports as left out, is the dialect's.
"""

from typing import Any, NamedTuple

from orcestator.errors import InvalidRequest
from orcestator.json_text import Json

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
"""The roles of the canonical call, as most other APIs call them."""


def messages_in(call: Json) -> list[Json]:
    """The messages, each with a role that is known. Raises InvalidRequest for a call that no model could be given."""
    messages = call.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest("'messages' must be a list with at least one message.", param="messages")
    for index, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        if not isinstance(role, str) or role not in ROLES:
            raise InvalidRequest(
                f"'messages[{index}].role' must be system, developer, user, assistant or tool.",
                param=f"messages[{index}].role",
            )
    return messages


class ToolCall(NamedTuple):
    """One tool call of an assistant's message."""

    id: Any
    """As it was given: a text, where the caller keeps to the rules."""
    name: str
    """The tool's, "" where it has none."""
    arguments: Any
    """A text, or ``{"input": text}`` of a custom tool, which takes plain text."""
    is_custom: bool
    wire: Json
    """The whole call, with what other keys it has."""


def tool_calls_in(message: Json) -> list[ToolCall]:
    """The tool calls of a message, also those without a name."""
    calls = message.get("tool_calls")
    return [tool_call_of(call) for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []


def tool_call_of(call: Json) -> ToolCall:
    """One entry of ``tool_calls``."""
    function, custom = call.get("function"), call.get("custom")
    is_custom = isinstance(custom, dict) and not (isinstance(function, dict) and function)
    part = custom if is_custom else function
    part = part if isinstance(part, dict) else {}
    name, arguments = part.get("name"), {"input": part.get("input")} if is_custom else part.get("arguments")
    return ToolCall(call.get("id"), name if isinstance(name, str) else "", arguments, is_custom, call)


def tools_in(call: Json) -> list[Json]:
    """The tools that are offered."""
    tools = call.get("tools")
    return [tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []


def function_of(tool: Json) -> Json | None:
    """The function that a tool is, or that a choice names; None for anything else."""
    function = tool.get("function")
    return function if isinstance(function, dict) else None


def function_name_of(tool: Any) -> str | None:
    """The name of the function that a tool is, or that a choice names."""
    function = function_of(tool) if isinstance(tool, dict) else None
    name = None if function is None else function.get("name")
    return name if isinstance(name, str) else None


class AllowedTools(NamedTuple):
    """A ``tool_choice`` that leaves some of the tools; ``mode`` is what it would be without."""

    mode: Any
    names: list[str]


def allowed_tools(choice: Any) -> AllowedTools | None:
    """The tools that a choice allows; None where it is no choice of that kind."""
    if not isinstance(choice, dict) or choice.get("type") != "allowed_tools":
        return None
    inner = choice.get("allowed_tools")
    held = inner if isinstance(inner, dict) else choice
    tools = held.get("tools")
    names = [function_name_of(tool) for tool in tools] if isinstance(tools, list) else []
    return AllowedTools(held.get("mode"), [name for name in names if name is not None])


def output_limit(call: Json) -> Any:
    """The most tokens that the answer may have, as it was given; None for no limit."""
    limit = call.get("max_completion_tokens")
    return call.get("max_tokens") if limit is None else limit


def stops_in(call: Json) -> list[Any]:
    """The stop sequences."""
    stop = call.get("stop")
    return [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []


class AnswerFormat(NamedTuple):
    """What form the answer shall have."""

    kind: str
    """``text`` (also where nothing is said), ``json_object``, ``json_schema``, or "" for what nobody knows."""
    schema: Json | None = None
    """The schema of a ``json_schema``, None where there is none to be read."""


def answer_format(call: Json) -> AnswerFormat:
    """The ``response_format``."""
    wanted = call.get("response_format")
    if wanted is None:
        return AnswerFormat("text")
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind in ("text", "json_object"):
        return AnswerFormat(str(kind))
    if kind != "json_schema":
        return AnswerFormat("")
    described = wanted.get("json_schema")
    schema = described.get("schema") if isinstance(described, dict) else None
    return AnswerFormat("json_schema", schema if isinstance(schema, dict) else None)


class ReasoningWish(NamedTuple):
    """What a call asks of reasoning."""

    effort: Any
    """``reasoning_effort`` as it was given, among them ``none``."""
    budget: Any
    """``reasoning.max_tokens`` as it was given."""
    said: Json
    """The whole ``reasoning``."""

    @property
    def is_off(self) -> bool:
        """Whether there shall be none."""
        return self.effort == "none" or self.said.get("enabled") is False

    @property
    def is_hidden(self) -> bool:
        """Whether it shall not be shown."""
        return self.said.get("exclude") is True


def reasoning_wish(call: Json) -> ReasoningWish:
    """``reasoning_effort`` and ``reasoning``."""
    reasoning = call.get("reasoning")
    said = reasoning if isinstance(reasoning, dict) else {}
    return ReasoningWish(call.get("reasoning_effort"), said.get("max_tokens"), said)


def within(value: Any, low: float, high: float) -> Any:
    """A number brought into the range; what is none is left to the upstream to explain."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return min(max(value, low), high)
