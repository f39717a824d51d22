"""A canonical call as Cohere's chat API (version 2) takes it.

https://docs.cohere.com/reference/chat and the types of the official SDK, cohere 7.3 (checked 2026-11): the roles are
system, user, assistant and tool; text beside tool calls is a ``tool_plan``; reasoning is a content part ``thinking``;
``response_format`` cannot stand beside tools; a tool can be forced, but not by name. From the errors that
https://docs.cohere.com/reference/errors lists (checked 2026-11): the system turn comes first, no turn is empty, the
temperature is between 0 and 1, and only one of the two penalties may be set.
"""

from orcestator.dialects.canonical import Target, WireCall, parts_of, reasoning_budget, text_of
from orcestator.dialects.canonical_call import (
    ROLES,
    answer_format,
    function_name_of,
    messages_in,
    output_limit,
    reasoning_wish,
    stops_in,
    tool_calls_in,
    tools_in,
    within,
)
from orcestator.dialects.fitting import fitted
from orcestator.dialects.losses import is_loss, lost_marks, lost_part, lost_tool
from orcestator.errors import InvalidRequest
from orcestator.json_text import Json, dumps

PATH = "/v2/chat"
_TAKEN = frozenset(
    {"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "stop", "temperature"}
    | {"top_p", "top_k", "seed", "frequency_penalty", "presence_penalty", "reasoning", "reasoning_effort"}
    | {"tools", "tool_choice", "response_format"}
)
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
        made["k" if name == "top_k" else name] = kept = within(value, low, high)
        if kept != value:
            dropped.append(name)
    if all(name in made for name in _PENALTIES):
        del made["presence_penalty"]
        dropped.append("presence_penalty")
    if call.get("seed") is not None:
        made["seed"] = call["seed"]
    if call.get("top_p") is not None:
        # 1 means "all of them", which is spelled 0.99 here.
        made["p"] = within(call["top_p"], *_NUCLEUS)
    return made


def _limits(call: Json, dropped: list[str]) -> Json:
    made: Json = {}
    limit, stops = output_limit(call), stops_in(call)
    if limit is not None:
        made["max_tokens"] = limit
    if stops:
        made["stop_sequences"] = stops[:_MOST_STOPS]
    if len(stops) > _MOST_STOPS:
        dropped.append("stop")
    return made


def _thinking(call: Json, target: Target, dropped: list[str]) -> Json:
    wish = reasoning_wish(call)
    effort, budget = wish.effort, wish.budget
    if wish.is_hidden:
        dropped.append("reasoning.exclude")
    if not (wish.is_off or effort or budget):
        return {}
    if not target.may_reason:
        dropped += [] if wish.is_off else ["reasoning_effort" if effort else "reasoning"]
        return {}
    if wish.is_off:
        return {"thinking": {"type": "disabled"}}
    limit = output_limit(call) or target.facts.get("max_output_tokens")
    if budget is None and isinstance(limit, int) and limit > 0:
        budget = reasoning_budget(str(effort), limit, 1, limit)
    return {"thinking": {"type": "enabled"} if budget is None else {"type": "enabled", "token_budget": budget}}


def _messages(call: Json, dropped: list[str]) -> list[Json]:
    """The turns that say something, after one system turn."""
    made = [_message(index, message, dropped) for index, message in enumerate(messages_in(call))]
    rules = "\n\n".join(message["content"] for message in made if message["role"] == "system" and message["content"])
    turns = [
        message for message in made if message["role"] == "tool" or (message["role"] != "system" and len(message) > 1)
    ]
    return [{"role": "system", "content": rules}, *turns] if rules else turns


def _message(index: int, message: Json, dropped: list[str]) -> Json:
    role = ROLES[message["role"]]
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
            dropped += lost_part(part)
    return made


def _text(message: Json, dropped: list[str]) -> str:
    content = message.get("content")
    for part in parts_of(content):
        if not isinstance(part.get("text"), str):
            dropped += lost_part(part)
    return text_of(content)


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
    made = []
    for call in tool_calls_in(message):
        if call.name:
            arguments = call.arguments
            text = arguments if isinstance(arguments, str) else dumps(arguments or {}).decode()
            made.append({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": text or "{}"}})
    return made


def _tools(call: Json, dropped: list[str]) -> Json:
    """The tools, and whether one must be called: a single one by being the only one that is offered."""
    functions = _functions(call, dropped)
    choice = call.get("tool_choice")
    forced = function_name_of(choice)
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
    made: list[Json] = []
    for tool in tools_in(call):
        if function_name_of(tool) is not None:
            made.append(tool["function"])
        else:
            dropped += lost_tool(tool)
    return made


def _described(function: Json) -> Json:
    described = {"description": function["description"]} if function.get("description") else {}
    return {"name": function["name"], **described, "parameters": function.get("parameters") or _NO_PARAMETERS}


def _format(call: Json, has_tools: bool, dropped: list[str]) -> Json:
    wanted = answer_format(call)
    if wanted.kind == "text":
        return {}
    if has_tools or not (wanted.kind == "json_object" or wanted.schema is not None):
        dropped.append("response_format")
        return {}
    with_schema = {} if wanted.schema is None else {"json_schema": wanted.schema}
    return {"response_format": {"type": "json_object", **with_schema}}
