"""A canonical call as Cohere's chat API (version 2) takes it.

https://docs.cohere.com/reference/chat and the types of the official SDK, cohere 7.3 (checked 2026-11): the roles are
system, user, assistant and tool; text beside tool calls is a ``tool_plan``; reasoning is a content part ``thinking``;
``response_format`` cannot stand beside tools; a tool can be forced, but not by name. From the errors that
https://docs.cohere.com/reference/errors lists (checked 2026-11): the system turn comes first, no turn is empty, the
temperature is between 0 and 1, and only one of the two penalties may be set.
"""

from typing import Any

from orcestator.dialects.canonical import Json, Target, WireCall, parts_of, reasoning_budget, text_of
from orcestator.dialects.fitting import fitted
from orcestator.dialects.losses import NAME, is_loss, lost_marks
from orcestator.errors import InvalidRequest
from orcestator.json_text import dumps

PATH = "/v2/chat"
_TAKEN = frozenset(
    {"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "stop", "temperature"}
    | {"top_p", "top_k", "seed", "frequency_penalty", "presence_penalty", "reasoning", "reasoning_effort"}
    | {"tools", "tool_choice", "response_format"}
)
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
_UNTAKEN_IN_MESSAGES = ("name", "is_error", "reasoning_details", "audio")
_RANGES = {"temperature": (0, 1), "frequency_penalty": (0, 1), "presence_penalty": (0, 1), "top_k": (0, 500)}
_PENALTIES = ("frequency_penalty", "presence_penalty")
_NUCLEUS = (0.01, 0.99)
_MOST_STOPS = 5
_NO_PARAMETERS: Json = {"type": "object", "properties": {}}
"""The API demands parameters of every tool."""


def wire_call(call: Json, target: Target) -> WireCall:
    """The call for ``POST /v2/chat``. Raises InvalidRequest for messages that no model could be given."""
    call, dropped = fitted(call, target.facts)
    dropped += [name for name, value in call.items() if name not in _TAKEN and is_loss(name, value)]
    tools = _tools(call, dropped)
    body: Json = {
        "model": target.model,
        "messages": _messages(call, dropped),
        "stream": target.streamed,
        **_sampling(call, dropped),
        **_limits(call, dropped),
        **_thinking(call, target, dropped),
        **tools,
        **_format(call, bool(tools), dropped),
    }
    return WireCall(PATH, body, tuple(dict.fromkeys([*dropped, *lost_marks(call)])))


def _sampling(call: Json, dropped: list[str]) -> Json:
    made: Json = {}
    for name, (low, high) in _RANGES.items():
        value = call.get(name)
        if value is None or (name in _PENALTIES and not value):
            continue
        made["k" if name == "top_k" else name] = kept = _within(value, low, high)
        if kept != value:
            dropped.append(name)
    if all(name in made for name in _PENALTIES):
        del made["presence_penalty"]
        dropped.append("presence_penalty")
    if call.get("seed") is not None:
        made["seed"] = call["seed"]
    if call.get("top_p") is not None:
        # 1 means "all of them", which is spelled 0.99 here.
        made["p"] = _within(call["top_p"], *_NUCLEUS)
    return made


def _within(value: Any, low: float, high: float) -> Any:
    """A number brought into the range; what is none is left to the upstream to explain."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return min(max(value, low), high)


def _limits(call: Json, dropped: list[str]) -> Json:
    made: Json = {}
    limit = _output_limit(call)
    if limit is not None:
        made["max_tokens"] = limit
    stop = call.get("stop")
    stops = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    if stops:
        made["stop_sequences"] = stops[:_MOST_STOPS]
    if len(stops) > _MOST_STOPS:
        dropped.append("stop")
    return made


def _output_limit(call: Json) -> Any:
    limit = call.get("max_completion_tokens")
    return call.get("max_tokens") if limit is None else limit


def _thinking(call: Json, target: Target, dropped: list[str]) -> Json:
    reasoning = call.get("reasoning")
    reasoning = reasoning if isinstance(reasoning, dict) else {}
    effort, budget = call.get("reasoning_effort"), reasoning.get("max_tokens")
    off = effort == "none" or reasoning.get("enabled") is False
    if reasoning.get("exclude") is True:
        dropped.append("reasoning.exclude")
    if not (off or effort or budget):
        return {}
    if not target.may_reason:
        dropped += [] if off else ["reasoning_effort" if effort else "reasoning"]
        return {}
    if off:
        return {"thinking": {"type": "disabled"}}
    limit = _output_limit(call) or target.facts.get("max_output_tokens")
    if budget is None and isinstance(limit, int) and limit > 0:
        budget = reasoning_budget(str(effort), limit, 1, limit)
    return {"thinking": {"type": "enabled"} if budget is None else {"type": "enabled", "token_budget": budget}}


def _checked(call: Json) -> list[Json]:
    messages = call.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest("'messages' must be a list with at least one message.", param="messages")
    for index, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        if not isinstance(role, str) or role not in _ROLES:
            raise InvalidRequest(
                f"'messages[{index}].role' must be system, developer, user, assistant or tool.",
                param=f"messages[{index}].role",
            )
    return messages


def _messages(call: Json, dropped: list[str]) -> list[Json]:
    """The turns that say something, after one system turn."""
    made = [_message(index, message, dropped) for index, message in enumerate(_checked(call))]
    rules = "\n\n".join(message["content"] for message in made if message["role"] == "system" and message["content"])
    turns = [
        message for message in made if message["role"] == "tool" or (message["role"] != "system" and len(message) > 1)
    ]
    return [{"role": "system", "content": rules}, *turns] if rules else turns


def _message(index: int, message: Json, dropped: list[str]) -> Json:
    role = _ROLES[message["role"]]
    dropped += [f"messages.{name}" for name in _UNTAKEN_IN_MESSAGES if message.get(name)]
    if role == "assistant":
        return _spoken(message, dropped)
    if role == "tool":
        if not isinstance(message.get("tool_call_id"), str):
            param = f"messages[{index}].tool_call_id"
            raise InvalidRequest(f"'{param}' must be the id of the tool call that this message answers.", param=param)
        return {"role": role, "tool_call_id": message["tool_call_id"], "content": _text(message, dropped)}
    if role == "user" and _images(message):
        return {"role": role, "content": _user_parts(message, dropped)}
    text = _text(message, dropped)
    return {"role": role, "content": text} if text or role == "system" else {"role": role}


def _images(message: Json) -> list[Json]:
    return [part for part in parts_of(message.get("content")) if _image_of(part)]


def _image_of(part: Json) -> Json | None:
    """The image of a part, with what the API knows of it."""
    image = part.get("image_url")
    if part.get("type") != "image_url" or not isinstance(image, dict) or not isinstance(image.get("url"), str):
        return None
    return {name: image[name] for name in ("url", "detail") if image.get(name) is not None}


def _user_parts(message: Json, dropped: list[str]) -> list[Json]:
    made: list[Json] = []
    for part in parts_of(message["content"]):
        image = _image_of(part)
        if image:
            made.append({"type": "image_url", "image_url": image})
        elif isinstance(part.get("text"), str):
            made.append({"type": "text", "text": part["text"]})
        else:
            dropped += _kind(part)
    return made


def _text(message: Json, dropped: list[str]) -> str:
    content = message.get("content")
    for part in parts_of(content):
        if not isinstance(part.get("text"), str):
            dropped += _kind(part)
    return text_of(content)


def _kind(part: Json) -> list[str]:
    kind = part.get("type")
    return [f"messages.{kind}"] if isinstance(kind, str) and NAME.fullmatch(kind) else []


def _spoken(message: Json, dropped: list[str]) -> Json:
    made: Json = {"role": "assistant"}
    text, reasoning, calls = _text(message, dropped), message.get("reasoning_content"), _calls_of(message)
    content: list[Json] = []
    if isinstance(reasoning, str) and reasoning:
        content.append({"type": "thinking", "thinking": reasoning})
    if calls:
        made["tool_calls"] = calls
        made |= {"tool_plan": text} if text else {}
    elif text and content:
        content.append({"type": "text", "text": text})
    if content:
        made["content"] = content
    elif text and not calls:
        made["content"] = text
    return made


def _calls_of(message: Json) -> list[Json]:
    calls = message.get("tool_calls")
    made = []
    for call in calls if isinstance(calls, list) else []:
        part = call.get("function") or call.get("custom") if isinstance(call, dict) else None
        if isinstance(part, dict) and isinstance(part.get("name"), str):
            arguments = dumps({"input": part["input"]}).decode() if "input" in part else part.get("arguments")
            text = arguments if isinstance(arguments, str) else dumps(arguments or {}).decode()
            function = {"name": part["name"], "arguments": text or "{}"}
            made.append({"id": call.get("id"), "type": "function", "function": function})
    return made


def _tools(call: Json, dropped: list[str]) -> Json:
    """The tools, and whether one must be called: a single one by being the only one that is offered."""
    functions = _functions(call, dropped)
    choice = call.get("tool_choice")
    named = choice.get("function") if isinstance(choice, dict) else None
    forced = named.get("name") if isinstance(named, dict) else None
    if any(function["name"] == forced for function in functions):
        functions = [function for function in functions if function["name"] == forced]
        choice = "required"
    if not functions:
        return {}
    made: Json = {"tools": [{"type": "function", "function": _described(function)} for function in functions]}
    if choice in ("required", "none"):
        made["tool_choice"] = choice.upper()
    elif choice not in (None, "auto"):
        dropped.append("tool_choice")
    strict = [function.get("strict") is True for function in functions]
    if all(strict):
        made["strict_tools"] = True
    elif any(strict):
        dropped.append("tools.strict")
    return made


def _functions(call: Json, dropped: list[str]) -> list[Json]:
    tools = call.get("tools")
    made: list[Json] = []
    for tool in tools if isinstance(tools, list) else []:
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            made.append(function)
        elif isinstance(tool, dict) and NAME.fullmatch(str(tool.get("type"))):
            dropped.append(f"tools.{tool['type']}")
    return made


def _described(function: Json) -> Json:
    described = {"description": function["description"]} if function.get("description") else {}
    return {"name": function["name"], **described, "parameters": function.get("parameters") or _NO_PARAMETERS}


def _format(call: Json, has_tools: bool, dropped: list[str]) -> Json:
    wanted = call.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if wanted is None or kind == "text":
        return {}
    described = wanted.get("json_schema") if isinstance(wanted, dict) and kind == "json_schema" else None
    schema = described.get("schema") if isinstance(described, dict) else None
    if has_tools or not (kind == "json_object" or isinstance(schema, dict)):
        dropped.append("response_format")
        return {}
    with_schema = {"json_schema": schema} if isinstance(schema, dict) else {}
    return {"response_format": {"type": "json_object", **with_schema}}
