"""A canonical call as Ollama's own chat API takes it.

https://docs.ollama.com/api/chat and ``api/types.go`` of github.com/ollama/ollama at v0.33.0-rc2 (checked 2026-11). Why
not its OpenAI-compatible endpoint: that one has no place for ``num_ctx`` (prompts over the server's default context are
cut without a word), ``top_k``, ``keep_alive`` and ``truncate``, makes 1.0 of a missing ``temperature`` and ``top_p``
instead of the model's own default, and tears a message with images into several (``openai/openai.go``).
"""

from orcestator.dialects.canonical import Target, WireCall, data_url, effort_of, parts_of, text_of
from orcestator.dialects.canonical_call import (
    ROLES,
    answer_format,
    function_of,
    messages_in,
    output_limit,
    reasoning_wish,
    stops_in,
    tool_calls_in,
    tools_in,
)
from orcestator.dialects.fitting import fitted
from orcestator.dialects.losses import is_loss, lost_marks, lost_part, lost_tool
from orcestator.dialects.tool_arguments import as_object
from orcestator.json_text import Json

PATH = "/api/chat"
_TAKEN = frozenset(
    {"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "stop", "tools"}
    | {"reasoning", "reasoning_effort", "tool_choice", "response_format", "logprobs", "top_logprobs"}
)
_OPTIONS = ("temperature", "top_p", "top_k", "seed", "frequency_penalty", "presence_penalty")
_UNTAKEN_IN_MESSAGES = ("name", "is_error", "reasoning_details", "audio")
_THINK = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "max", "max": "max"}
"""As Ollama itself reads OpenAI's efforts."""
_USUAL_OUTPUT_LIMIT = 16_384
"""Taken where no limit is known, only to turn a reasoning budget into an effort."""


def wire_call(call: Json, target: Target) -> WireCall:
    """The call for ``POST /api/chat``. Raises InvalidRequest for messages that no model could be given."""
    taken = _TAKEN.union(_OPTIONS)
    call, dropped = fitted(call, target.facts)
    dropped += [name for name, value in call.items() if name not in taken and is_loss(name, value)]
    body: Json = {
        "model": target.model,
        "messages": _messages(call, dropped),
        "stream": target.streamed,
        **_tools(call, dropped),
        **_format(call, dropped),
        **_think(call, target, dropped),
        **{name: call[name] for name in ("logprobs", "top_logprobs") if call.get(name)},
    }
    options = _options(call, target)
    if options:
        body["options"] = options
    return WireCall(PATH, body, tuple(dict.fromkeys([*dropped, *lost_marks(call)])))


def _options(call: Json, target: Target) -> Json:
    options = {name: call[name] for name in _OPTIONS if call.get(name) is not None}
    limit = output_limit(call)
    if limit is not None:
        options["num_predict"] = limit
    if call.get("stop") and (stops := stops_in(call)):
        options["stop"] = stops
    # The context that we name to callers is the one to ask for: beyond its default Ollama cuts the prompt silently.
    context = target.facts.get("context_length")
    if context:
        options["num_ctx"] = context
    return options


def _messages(call: Json, dropped: list[str]) -> list[Json]:
    names: dict[str, str] = {}
    return [_message(message, names, dropped) for message in messages_in(call)]


def _message(message: Json, names: dict[str, str], dropped: list[str]) -> Json:
    """One message; ``names`` gathers the tool of every call, for the results that follow."""
    role = ROLES[message["role"]]
    dropped += [f"messages.{name}" for name in _UNTAKEN_IN_MESSAGES if message.get(name)]
    made: Json = {"role": role, "content": text_of(message.get("content"))}
    images = _images(message, dropped)
    if images:
        made["images"] = images
    if role == "assistant":
        made |= _spoken(message, names)
    call_id = message.get("tool_call_id")
    if role == "tool" and isinstance(call_id, str):
        made |= {"tool_name": names[call_id]} if call_id in names else {}
        made["tool_call_id"] = call_id
    return made


def _images(message: Json, dropped: list[str]) -> list[str]:
    """Images and sounds, which travel in one list; only what is sent inline can be."""
    made = []
    for part in parts_of(message.get("content")):
        data = _inline_data(part)
        if data is not None:
            made.append(data)
        elif not isinstance(part.get("text"), str):
            dropped += lost_part(part)
    return made


def _inline_data(part: Json) -> str | None:
    image, sound = part.get("image_url"), part.get("input_audio")
    url = image.get("url") if isinstance(image, dict) else image
    inline = data_url(url) if isinstance(url, str) else None
    if inline is not None:
        return inline.data
    data = sound.get("data") if isinstance(sound, dict) else None
    return data if isinstance(data, str) else None


def _spoken(message: Json, names: dict[str, str]) -> Json:
    made: Json = {}
    thinking = message.get("reasoning_content")
    if isinstance(thinking, str) and thinking:
        made["thinking"] = thinking
    calls = _calls_of(message)
    names.update({call["id"]: call["function"]["name"] for call in calls if "id" in call})
    return made | ({"tool_calls": calls} if calls else {})


def _calls_of(message: Json) -> list[Json]:
    made: list[Json] = []
    for call in tool_calls_in(message):
        if call.name:
            head = {"id": call.id} if isinstance(call.id, str) else {}
            function = {"index": len(made), "name": call.name, "arguments": as_object(call.arguments)}
            made.append({**head, "function": function})
    return made


def _tools(call: Json, dropped: list[str]) -> Json:
    """The tools, unless none may be called; that one must be called cannot be said."""
    choice = call.get("tool_choice")
    made = []
    for tool in tools_in(call):
        function = function_of(tool)
        if function is not None:
            kept = {name: value for name, value in function.items() if name != "strict"}
            made.append({"type": "function", "function": kept})
            dropped += ["tools.strict"] if function.get("strict") else []
        else:
            dropped += lost_tool(tool)
    if choice not in (None, "auto", "none"):
        dropped.append("tool_choice")
    return {"tools": made} if made and choice != "none" else {}


def _format(call: Json, dropped: list[str]) -> Json:
    wanted = answer_format(call)
    if wanted.kind == "json_object":
        return {"format": "json"}
    if wanted.schema is not None:
        return {"format": wanted.schema}
    if wanted.kind != "text":
        dropped.append("response_format")
    return {}


def _think(call: Json, target: Target, dropped: list[str]) -> Json:
    wish = reasoning_wish(call)
    effort, budget = wish.effort, wish.budget
    if wish.is_hidden:
        dropped.append("reasoning.exclude")
    if wish.is_off:
        return {"think": False}
    if not effort and type(budget) is int:
        limit = output_limit(call) or target.facts.get("max_output_tokens")
        effort = effort_of(budget, limit if type(limit) is int else _USUAL_OUTPUT_LIMIT)
    if not effort:
        return {}
    if not target.may_reason or not isinstance(effort, str):
        dropped.append("reasoning_effort" if wish.effort else "reasoning")
        return {}
    return {"think": _THINK.get(effort, True)}
