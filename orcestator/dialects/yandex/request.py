"""A canonical call as Yandex's native text generation takes it.

https://yandex.cloud/en/docs/ai-studio/text-generation/api-ref/TextGeneration/completion and ``text_common.proto`` of
github.com/yandex-cloud/cloudapi (checked 2026-11): a message holds a text, a list of tool calls or a list of tool
results, never two of them; calls have no ids, so that results find their call by name and order; 64-bit numbers travel
as strings; there is no stop sequence, no seed and no image. That results come from the role ``user`` is what the
official SDK does (yandex-ai-studio-sdk 0.22).
"""

from collections.abc import Iterable
from itertools import groupby

from orcestator.dialects.canonical import Target, WireCall, parts_of, text_of
from orcestator.dialects.canonical_call import (
    ROLES,
    ToolCall,
    answer_format,
    function_name_of,
    function_of,
    messages_in,
    output_limit,
    reasoning_wish,
    tool_calls_in,
    tools_in,
    within,
)
from orcestator.dialects.fitting import fitted
from orcestator.dialects.losses import is_loss, lost_marks, lost_part, lost_tool
from orcestator.dialects.tool_arguments import as_object
from orcestator.errors import InvalidRequest
from orcestator.json_text import Json

PATH = "/completion"
_TAKEN = frozenset(
    {"model", "messages", "stream", "stream_options", "temperature", "max_tokens", "max_completion_tokens"}
    | {"reasoning", "reasoning_effort", "tools", "tool_choice", "parallel_tool_calls", "response_format"}
)
_UNTAKEN_IN_MESSAGES = ("name", "is_error", "reasoning_content", "reasoning_details", "audio")
_MODES = {"none": "NONE", "auto": "AUTO", "required": "REQUIRED"}

_Place = tuple[int, str]
"""A tool call of the history: its place among all calls, and the tool's name."""


def wire_call(call: Json, target: Target) -> WireCall:
    """The call for ``POST /completion``. Raises InvalidRequest for messages that no model could be given."""
    call, dropped = fitted(call, target.facts)
    dropped += [name for name, value in call.items() if name not in _TAKEN and is_loss(name, value)]
    body: Json = {
        "modelUri": _model_uri(target),
        "completionOptions": _options(call, target, dropped),
        "messages": _messages(call, dropped),
        **_tools(call, dropped),
        **_format(call, dropped),
    }
    return WireCall(PATH, body, tuple(dict.fromkeys([*dropped, *lost_marks(call)])))


def _model_uri(target: Target) -> str:
    if "://" in target.model:
        return target.model
    version = "" if "/" in target.model else "/latest"
    return f"gpt://{target.fills.get('folder', '')}/{target.model}{version}"


def _options(call: Json, target: Target, dropped: list[str]) -> Json:
    options: Json = {"stream": target.streamed}
    temperature = call.get("temperature")
    if temperature is not None:
        options["temperature"] = within(temperature, 0, 1)
        if options["temperature"] != temperature:
            dropped.append("temperature")
    limit = output_limit(call)
    if limit is not None:
        options["maxTokens"] = str(limit) if type(limit) is int else limit
    mode = _reasoning_mode(call)
    if mode is not None and target.may_reason:
        options["reasoningOptions"] = {"mode": mode}
    elif mode == "ENABLED_HIDDEN":
        dropped.append("reasoning_effort")
    return options


def _reasoning_mode(call: Json) -> str | None:
    wish = reasoning_wish(call)
    if wish.is_off:
        return "DISABLED"
    return "ENABLED_HIDDEN" if wish.effort or wish.budget else None


def _messages(call: Json, dropped: list[str]) -> list[Json]:
    made: list[Json] = []
    places: dict[str, _Place] = {}
    for is_result, group in groupby(enumerate(messages_in(call)), lambda entry: entry[1]["role"] == "tool"):
        if is_result:
            made.append(_results(group, places, dropped))
            continue
        for _, message in group:
            made += _spoken(message, dropped)
            _note_calls(message, places)
    return made


def _spoken(message: Json, dropped: list[str]) -> list[Json]:
    """One message, or two for an assistant who spoke and called tools: a message cannot hold both."""
    role, text, calls = ROLES[message["role"]], _text(message, dropped), _calls_of(message)
    made: list[Json] = [{"role": role, "text": text}] if text or role != "assistant" else []
    if calls:
        called = [{"functionCall": {"name": one.name, "arguments": as_object(one.arguments)}} for one in calls]
        made.append({"role": role, "toolCallList": {"toolCalls": called}})
    return made


def _text(message: Json, dropped: list[str]) -> str:
    dropped += [f"messages.{name}" for name in _UNTAKEN_IN_MESSAGES if message.get(name)]
    content = message.get("content")
    for part in parts_of(content):
        dropped += [] if part.get("type") == "text" else lost_part(part)
    return text_of(content)


def _calls_of(message: Json) -> list[ToolCall]:
    return [call for call in tool_calls_in(message) if call.name]


def _note_calls(message: Json, places: dict[str, _Place]) -> None:
    for call in _calls_of(message):
        if isinstance(call.id, str):
            places[call.id] = (len(places), call.name)


def _results(group: Iterable[tuple[int, Json]], places: dict[str, _Place], dropped: list[str]) -> Json:
    """Results that follow each other, in the order of their calls: that is how those of one tool are told apart."""
    placed = [(_place_of(index, message, places), _text(message, dropped)) for index, message in group]
    results = [{"functionResult": {"name": name, "content": text}} for (_, name), text in sorted(placed, key=_by_place)]
    return {"role": "user", "toolResultList": {"toolResults": results}}


def _by_place(placed: tuple[_Place, str]) -> int:
    return placed[0][0]


def _place_of(index: int, message: Json, places: dict[str, _Place]) -> _Place:
    call_id = message.get("tool_call_id")
    if not isinstance(call_id, str) or call_id not in places:
        raise InvalidRequest(
            f"'messages[{index}].tool_call_id' must be the id of a tool call in an assistant message before it.",
            param=f"messages[{index}].tool_call_id",
        )
    return places[call_id]


def _tools(call: Json, dropped: list[str]) -> Json:
    made: Json = {}
    functions: list[Json] = []
    for tool in tools_in(call):
        function = function_of(tool)
        if function is not None:
            kept = ("name", "description", "parameters", "strict")
            functions.append({"function": {name: function[name] for name in kept if function.get(name) is not None}})
        else:
            dropped += lost_tool(tool)
    if functions:
        made["tools"] = functions
        made |= _tool_choice(call, dropped)
    return made


def _tool_choice(call: Json, dropped: list[str]) -> Json:
    made: Json = {}
    choice = call.get("tool_choice")
    if isinstance(choice, str) and choice in _MODES:
        made["toolChoice"] = {"mode": _MODES[choice]}
    elif (name := function_name_of(choice)) is not None:
        made["toolChoice"] = {"functionName": name}
    elif choice is not None:
        dropped.append("tool_choice")
    if isinstance(call.get("parallel_tool_calls"), bool):
        made["parallelToolCalls"] = call["parallel_tool_calls"]
    return made


def _format(call: Json, dropped: list[str]) -> Json:
    wanted = answer_format(call)
    if wanted.kind == "json_object":
        return {"jsonObject": True}
    if wanted.schema is not None:
        return {"jsonSchema": {"schema": wanted.schema}}
    if wanted.kind != "text":
        dropped.append("response_format")
    return {}
