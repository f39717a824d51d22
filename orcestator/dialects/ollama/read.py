"""A caller's request in Ollama's dialect, understood.

https://docs.ollama.com/api/chat, https://docs.ollama.com/api/generate and ``api/types.go`` of
github.com/ollama/ollama at v0.33.0-rc2 (checked 2026-11): an answer streams unless ``stream`` is false; images are bare
base64, and so are sounds; tool calls may lack ids, and results then follow in the order of the calls or name the tool;
a request without messages or prompt only loads the model.
"""

import re
from typing import Any

from orcestator.dialects.canonical import ReadCall, first_bytes, image_kind
from orcestator.dialects.tool_arguments import as_text
from orcestator.errors import InvalidRequest
from orcestator.json_text import Json

_NUMBERS = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_WHOLE = ("top_k", "seed")
_UNTAKEN_OPTIONS = frozenset(
    {"num_ctx", "num_keep", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "draft_num_predict"}
    | {"min_p", "typical_p", "repeat_last_n", "repeat_penalty", "mirostat", "mirostat_eta", "mirostat_tau"}
    | {"penalize_newline", "numa", "tfs_z"}
)
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
_LEVELS = ("low", "medium", "high", "max")
_USUAL_LEVEL = "medium"
"""What Ollama makes of a mere ``"think": true``."""
_Open = list[tuple[str, str]]
"""Id and tool of the calls that no result answers yet."""


def chat_call(body: Json) -> ReadCall:
    """The canonical call of ``POST /api/chat``."""
    dropped: list[str] = []
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest("'messages' must be a list with at least one message.", param="messages")
    made: list[Json] = []
    waiting: _Open = []
    for index, message in enumerate(messages):
        made.append(_message(message, f"messages[{index}]", waiting, dropped))
    call = {**_common(body, dropped), "messages": made, **_tools(body)}
    return ReadCall(call, tuple(dict.fromkeys(dropped)))


def generate_call(body: Json) -> ReadCall:
    """The canonical call of ``POST /api/generate``: a prompt, with or without rules before it.

    A ``suffix`` is refused as Ollama does it for models that only chat: what comes back would be no insertion.
    """
    if body.get("suffix"):
        raise InvalidRequest(
            "'suffix' (insertion into a text) is not supported here; leave it out, or use a completions endpoint.",
            param="suffix",
        )
    prompt, rules = _text(body, "prompt", "prompt"), _text(body, "system", "system")
    if not prompt:
        raise InvalidRequest("'prompt' must be a text that is not empty.", param="prompt")
    dropped = [name for name in ("template", "raw", "context") if body.get(name)]
    made: list[Json] = [{"role": "system", "content": rules}] if rules else []
    made.append({"role": "user", "content": _content(prompt, _images(body, "images"))})
    call = {**_common(body, dropped), "messages": made}
    return ReadCall(call, tuple(dict.fromkeys(dropped)))


def model_of(body: Json) -> str:
    """The model a body names. Raises InvalidRequest when it names none."""
    model = body.get("model", body.get("name"))
    if not isinstance(model, str) or not model:
        raise InvalidRequest("'model' must be the name of a model.", param="model")
    return model


def only_loads(body: Json, name: str) -> str | None:
    """``load`` or ``unload`` for a body whose ``messages`` or ``prompt`` is empty, else None."""
    if body.get(name) not in (None, "", []):
        return None
    kept = body.get("keep_alive")
    at_once = re.fullmatch(r"-?0+(?:\.0*)?[a-z]*", kept) is not None if isinstance(kept, str) else kept == 0
    return "unload" if at_once and kept is not False else "load"


def _common(body: Json, dropped: list[str]) -> Json:
    """What both requests have."""
    stream = body.get("stream")
    if not isinstance(stream, bool | None):
        raise InvalidRequest("'stream' must be true or false.", param="stream")
    dropped += [name for name in ("truncate", "shift") if body.get(name) is not None]
    made = {"model": model_of(body), "stream": stream is not False, **_options(body, dropped)}
    return {**made, **_format(body), **_think(body), **_logprobs(body)}


def _options(body: Json, dropped: list[str]) -> Json:
    options = body.get("options")
    if not isinstance(options, dict | None):
        raise InvalidRequest("'options' must be an object.", param="options")
    options = options or {}
    made: Json = {name: _number(options, name) for name in _NUMBERS if options.get(name) is not None}
    made |= {name: _integer(options, name, "options.") for name in _WHOLE if options.get(name) is not None}
    limit = _integer(options, "num_predict", "options.") if options.get("num_predict") is not None else -1
    if limit > 0:
        made["max_completion_tokens"] = limit
    stop = options.get("stop")
    if isinstance(stop, str | None):
        stop = [stop] if stop else []
    if not isinstance(stop, list) or not all(isinstance(one, str) for one in stop):
        raise InvalidRequest("'options.stop' must be a list of texts.", param="options.stop")
    dropped += [
        f"options.{name}" for name in sorted(_UNTAKEN_OPTIONS.intersection(options)) if options[name] is not None
    ]
    return made | ({"stop": stop} if stop else {})


def _number(options: Json, name: str) -> float:
    value = options[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(f"'options.{name}' must be a number.", param=f"options.{name}")
    return value


def _integer(fields: Json, name: str, where: str = "") -> int:
    value = fields[name]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if type(value) is not int:
        raise InvalidRequest(f"'{where}{name}' must be an integer.", param=f"{where}{name}")
    return value


def _format(body: Json) -> Json:
    wanted = body.get("format")
    if wanted is None or wanted == "":
        return {}
    if wanted == "json":
        return {"response_format": {"type": "json_object"}}
    if not isinstance(wanted, dict):
        raise InvalidRequest("""'format' must be "json" or a JSON schema.""", param="format")
    # OpenAI demands a name.
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": wanted}}}


def _think(body: Json) -> Json:
    think = body.get("think")
    if think is None:
        return {}
    if think is False:
        return {"reasoning": {"enabled": False}}
    if think is True:
        return {"reasoning_effort": _USUAL_LEVEL}
    if not isinstance(think, str) or think not in _LEVELS:
        raise InvalidRequest("""'think' must be true, false, "low", "medium", "high" or "max".""", param="think")
    return {"reasoning_effort": think}


def _logprobs(body: Json) -> Json:
    wanted, most = body.get("logprobs"), body.get("top_logprobs")
    if not isinstance(wanted, bool | None):
        raise InvalidRequest("'logprobs' must be true or false.", param="logprobs")
    if not wanted:
        return {}
    return {"logprobs": True} | ({"top_logprobs": _integer(body, "top_logprobs")} if most else {})


def _tools(body: Json) -> Json:
    tools = body.get("tools")
    if not isinstance(tools, list | None):
        raise InvalidRequest("'tools' must be a list.", param="tools")
    made = []
    for index, tool in enumerate(tools or []):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
            param = f"tools[{index}].function.name"
            raise InvalidRequest(f"'{param}' must be the name of a function.", param=param)
        made.append({"type": "function", "function": function})
    return {"tools": made} if made else {}


def _message(message: Any, where: str, waiting: _Open, dropped: list[str]) -> Json:
    """One message; ``waiting`` is kept up to date for the results that follow."""
    role = message.get("role") if isinstance(message, dict) else None
    role = role.lower() if isinstance(role, str) else ""
    if role not in _ROLES:
        raise InvalidRequest(f"'{where}.role' must be system, user, assistant or tool.", param=f"{where}.role")
    text, images = _text(message, "content", f"{where}.content"), _images(message, f"{where}.images")
    if images and role not in ("user", "tool"):
        images = []
        dropped.append("messages.images")
    made: Json = {"role": role, "content": _content(text, images)}
    if role == "assistant":
        return made | _spoken(message, where, waiting)
    if role == "tool":
        made["tool_call_id"] = _answered(message, where, waiting)
    return made


def _text(fields: Json, name: str, where: str) -> str:
    text = fields.get(name)
    if not isinstance(text, str | None):
        raise InvalidRequest(f"'{where}' must be a text; images go into 'images'.", param=where)
    return text or ""


def _content(text: str, parts: list[Json]) -> Any:
    if not parts:
        return text
    return [*([{"type": "text", "text": text}] if text else []), *parts]


def _images(fields: Json, where: str) -> list[Json]:
    images = fields.get("images")
    if not isinstance(images, list | None):
        raise InvalidRequest(f"'{where}' must be a list of base64 texts.", param=where)
    return [_part(image, f"{where}[{index}]") for index, image in enumerate(images or [])]


def _part(image: Any, where: str) -> Json:
    """An image or a sound. Its kind is not named on this wire, so that its first bytes must tell."""
    if isinstance(image, str) and image[:5].lower() == "data:":
        return {"type": "image_url", "image_url": {"url": image}}
    head = first_bytes(image) if isinstance(image, str) else b""
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return {"type": "input_audio", "input_audio": {"data": image, "format": "wav"}}
    kind = image_kind(head)
    if kind is None:
        raise InvalidRequest(f"'{where}' must be a PNG, JPEG, GIF, WebP or BMP image in base64.", param=where)
    return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{image}"}}


def _spoken(message: Json, where: str, waiting: _Open) -> Json:
    made: Json = {}
    thinking = _text(message, "thinking", f"{where}.thinking")
    if thinking:
        made["reasoning_content"] = thinking
    wires = message.get("tool_calls")
    if not isinstance(wires, list | None):
        raise InvalidRequest(f"'{where}.tool_calls' must be a list.", param=f"{where}.tool_calls")
    calls = [_tool_call(wire, f"{where}.tool_calls[{index}]") for index, wire in enumerate(wires or [])]
    if calls:
        waiting[:] = [(call["id"], call["function"]["name"]) for call in calls]
        made["tool_calls"] = calls
    return made


def _tool_call(wire: Any, where: str) -> Json:
    function = wire.get("function") if isinstance(wire, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(name, str) or not name:
        raise InvalidRequest(f"'{where}.function.name' must be a text.", param=f"{where}.function.name")
    arguments = function.get("arguments")
    if not isinstance(arguments, dict | str | None):
        raise InvalidRequest(f"'{where}.function.arguments' must be an object.", param=f"{where}.function.arguments")
    call_id = wire.get("id")
    made_id = call_id if isinstance(call_id, str) and call_id else _id_of(where)
    return {"id": made_id, "type": "function", "function": {"name": name, "arguments": as_text(arguments)}}


def _id_of(where: str) -> str:
    """An id for what stands at this place: the same one whenever the history is sent again."""
    return "call_" + "_".join(re.findall(r"\d+", where))


def _answered(message: Json, where: str, waiting: _Open) -> str:
    """The call that a result answers: the one it names, else the first of its tool, else the first of all."""
    call_id, tool = message.get("tool_call_id"), message.get("tool_name")
    if isinstance(call_id, str) and call_id:
        waiting[:] = [entry for entry in waiting if entry[0] != call_id]
        return call_id
    place = next((place for place, (_, name) in enumerate(waiting) if name == tool), 0)
    return waiting.pop(place)[0] if waiting else _id_of(where)
