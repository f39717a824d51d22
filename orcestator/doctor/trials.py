"""The small calls that show what a model can do, and how an answer is judged. Pure: data in, verdict out.

Shapes: https://platform.openai.com/docs/api-reference/chat/create (checked 2026-11).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orcestator.json_text import Json

MOST_TOKENS = 512
"""Room for a reasoning model to think before it says one word."""
ONE_PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
_CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def _tool(name: str, description: str) -> Json:
    return {"type": "function", "function": {"name": name, "description": description, "parameters": _CITY}}


_WEATHER = _tool("get_weather", "The weather in a city.")
_TIME = _tool("get_time", "The time in a city.")
_SUM = {
    "type": "object",
    "properties": {"sum": {"type": "integer"}},
    "required": ["sum"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Trial:
    """One call. ``parameters`` are what ``supported_parameters`` names for it, ``modality`` what ``input_modalities`` does;
    ``dropped`` how a translator says that it left it out. ``shows`` tells from the reply whether the model did it."""

    name: str
    says: str
    more: Mapping[str, Any]
    shows: Callable[[Json], bool]
    parameters: tuple[str, ...] = ()
    modality: str = ""
    dropped: tuple[str, ...] = ()
    content: tuple[Json, ...] = ()

    def call(self, model: str) -> Json:
        """The call's body."""
        content: Any = [{"type": "text", "text": self.says}, *self.content] if self.content else self.says
        messages = [{"role": "user", "content": content}]
        return {"model": model, "messages": messages, "max_completion_tokens": MOST_TOKENS, **self.more}


def _message(reply: Json) -> Json:
    choices = reply.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else {}
    message = first.get("message") if isinstance(first, dict) else None
    return message if isinstance(message, dict) else {}


def _says_something(reply: Json) -> bool:
    message = _message(reply)
    return bool(message.get("content") or message.get("reasoning_content") or message.get("tool_calls"))


def _called(reply: Json) -> set[str]:
    """The tools of which there is a well-formed call."""
    calls = _message(reply).get("tool_calls")
    return {name for call in calls if (name := _tool_of(call))} if isinstance(calls, list) else set()


def _tool_of(call: Any) -> str:
    """The tool that a well-formed call is for, else ""."""
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(_parsed(function.get("arguments")), dict):
        return ""
    name = function.get("name")
    return name if isinstance(name, str) else ""


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _has_the_sum(reply: Json) -> bool:
    answer = _parsed(_message(reply).get("content"))
    return isinstance(answer, dict) and answer.keys() == {"sum"} and type(answer["sum"]) is int


def _has_reasoned(reply: Json) -> bool:
    message = _message(reply)
    usage = reply.get("usage")
    details = usage.get("completion_tokens_details") if isinstance(usage, dict) else None
    counted = details.get("reasoning_tokens") if isinstance(details, dict) else 0
    return bool(
        message.get("reasoning_content") or message.get("reasoning") or message.get("reasoning_details") or counted
    )


PLAIN = Trial("plain", "Say the word yes and nothing else.", {}, _says_something)
TRIALS = (
    Trial(
        "tool call",
        "What is the weather in Paris? Use the tool.",
        {"tools": [_WEATHER]},
        lambda reply: "get_weather" in _called(reply),
        parameters=("tools",),
        dropped=("tools",),
    ),
    Trial(
        "parallel tools",
        "What are the weather and the time in Paris? Call both tools in parallel.",
        {"tools": [_WEATHER, _TIME], "parallel_tool_calls": True},
        lambda reply: _called(reply) >= {"get_weather", "get_time"},
        parameters=("parallel_tool_calls",),
        dropped=("parallel_tool_calls",),
    ),
    Trial(
        "JSON schema",
        "What is 2 + 3? Answer in JSON.",
        {"response_format": {"type": "json_schema", "json_schema": {"name": "sum", "strict": True, "schema": _SUM}}},
        _has_the_sum,
        parameters=("response_format", "structured_outputs"),
        dropped=("response_format",),
    ),
    Trial(
        "image",
        "Which colour is this picture? One word.",
        {},
        _says_something,
        modality="image",
        dropped=("messages.image", "messages.image_url", "image_url"),
        content=({"type": "image_url", "image_url": {"url": ONE_PIXEL}},),
    ),
    Trial(
        "reasoning",
        "Is 91 a prime number? Yes or no.",
        {"reasoning_effort": "low"},
        _has_reasoned,
        parameters=("reasoning_effort",),
        dropped=("reasoning_effort", "reasoning"),
    ),
)
"""What is tried when the plain call has worked; a stream with usage comes beside them."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a model's abilities."""

    supported_parameters: tuple[str, ...] = ()
    input_modalities: tuple[str, ...] = ()


def learned(claimed: Facts, results: Mapping[str, bool | None]) -> Facts:
    """The claims put right by the trials, by their names; None is a trial that told nothing, so that the claim stands."""
    parameters, modalities = list(claimed.supported_parameters), list(claimed.input_modalities or ("text",))
    for trial in TRIALS:
        result = results.get(trial.name)
        if result is not None:
            for name in trial.parameters:
                _put(parameters, name, present=result)
            if trial.modality:
                _put(modalities, trial.modality, present=result)
    return Facts(tuple(parameters), tuple(modalities))


def _put(names: list[str], name: str, *, present: bool) -> None:
    if present and name not in names:
        names.append(name)
    elif not present and name in names:
        names.remove(name)


def differences(claimed: Facts, found: Facts) -> tuple[str, ...]:
    """What was claimed wrongly, in words."""
    told = [*claimed.supported_parameters, *claimed.input_modalities]
    seen = [*found.supported_parameters, *(name for name in found.input_modalities if name != "text")]
    extra = [f"{name} works and was not known" for name in seen if name not in told]
    missing = [f"{name} was claimed and does not work" for name in told if name not in seen and name != "text"]
    return (*missing, *extra)
