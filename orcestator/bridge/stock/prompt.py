"""OpenAI calls to stock prompts and back, as pure translations. Must never do I/O.

Stock FastChat has no messages between its API server and its workers: a conversation template flattens them into
one ``prompt``. This file flattens an OpenAI call for a stock worker, and it gives our workers a template from whose
prompts the messages come back. Answers are in ``stock_frames``. Wire: fschat 0.2.36
``serve/base_model_worker.py`` and ``serve/openai_api_server.py``, checked 2026-11.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# This module of fastchat is plain data: no logger, no environment, no torch. The others go through fastchat_stock.
from fastchat.conversation import IMAGE_PLACEHOLDER_STR, Conversation, SeparatorStyle

from orcestator.errors import InvalidRequest, UpstreamBroken
from orcestator.json_text import Json

STOCK_DEFAULTS: Mapping[str, Any] = {
    "temperature": 0.7,
    "top_p": 1.0,
    "top_k": -1,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
"""What the stock API server sends for fields that the caller left out (``ChatCompletionRequest``); workers of third
parties read them without a default, so they must be there."""

LONGEST_ANSWER_TOKENS = 1024 * 1024
"""The stock API server's stand-in for "as long as the context allows"."""
NOT_CARRIED = (
    "audio",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "modalities",
    "n",
    "response_format",
    "tool_choice",
    "tools",
    "top_logprobs",
    "web_search_options",
)
_HARMLESS: Mapping[str, tuple[Any, ...]] = {
    "function_call": ("auto", "none"),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "response_format": ({"type": "text"},),
    "tool_choice": ("auto", "none"),
    "top_logprobs": (0,),
}
"""Values of those fields that ask for nothing."""

MARKER = "\x1eorcestator"
"""What our template's separators begin with unless a worker chooses its own: a control character no text has."""
_END = ("\x1fend\x1f", "\x1fover\x1f")
_ROLES = {"user": "\x1fuser\x1f", "assistant": "\x1fassistant\x1f"}
_SYSTEM = "\x1fsystem\x1f"


def prompt_params(call: Json, conv: Json, model: str) -> Json:
    """The parameters of ``/worker_generate(_stream)`` for a chat call.

    ``conv`` is the worker's own template (``/worker_get_conv_template``). ``max_new_tokens`` is the caller's wish or
    None: pass the result through ``fit_to_context`` before sending. Raises InvalidRequest naming what a stock worker
    cannot carry. Hints without a place in the protocol (seed, user, metadata, reasoning_effort …) are left out.
    """
    _refuse_not_carried(call)
    conversation = _conversation(conv)
    images = _fill(conversation, call.get("messages"))
    params = _sampling_params(call, model, conversation, _prompt_of(conversation))
    if images:
        params["images"] = images
    return params


def text_params(call: Json, conv: Json, model: str) -> Json:
    """The parameters for a legacy text completion with one text prompt: it is sent as it is, without a template."""
    prompt = call.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise InvalidRequest("A FastChat worker takes one text as prompt.", param="prompt")
    if call.get("n") not in (None, 1) or call.get("suffix"):
        raise InvalidRequest("A FastChat worker takes neither n over 1 nor a suffix.", param="n")
    params = _sampling_params(call, model, _conversation(conv), prompt)
    params["echo"] = call.get("echo") is True
    extras = {name: call[name] for name in ("logprobs", "best_of", "use_beam_search") if call.get(name) is not None}
    return {**params, **extras}


def fit_to_context(params: Json, context_length: int, prompt_tokens: int) -> Json:
    """The parameters with ``max_new_tokens`` set to what the context leaves.

    ``context_length`` is from ``/model_details``, ``prompt_tokens`` from ``/count_token``. A stock worker cannot take
    a missing number, and cuts the prompt when it is too large. Raises InvalidRequest when nothing is left.
    """
    room = context_length - prompt_tokens
    if room <= 0:
        raise InvalidRequest(
            f"This model's maximum context length is {context_length} tokens; your messages have {prompt_tokens}.",
            param="messages",
            code="context_length_exceeded",
        )
    return {**params, "max_new_tokens": min(params.get("max_new_tokens") or LONGEST_ANSWER_TOKENS, room)}


def conv_template(name: str = "orcestator", marker: str = MARKER) -> Json:
    """The template our workers give to a stock API server, as ``/worker_get_conv_template`` shows it.

    ``marker`` begins every separator. A worker with a secret should derive its own from it: then nobody can write a
    text that reads as another role. It must stay the same across restarts, since the server keeps the template.
    """
    return {
        "name": name,
        "system_template": marker + _SYSTEM + "{system_message}",
        "system_message": "",
        "roles": [marker + _ROLES["user"], marker + _ROLES["assistant"]],
        "messages": [],
        "offset": 0,
        # The only style that carries images: the others fail on them in the stock server.
        "sep_style": int(SeparatorStyle.ADD_COLON_TWO),
        "sep": marker + _END[0],
        "sep2": marker + _END[1],
        "stop_str": None,
        "stop_token_ids": None,
    }


def conversation_template(name: str = "orcestator", marker: str = MARKER) -> Conversation:
    """The same template as the object that a stock worker keeps."""
    return _conversation(conv_template(name, marker))


def has_messages(prompt: str, marker: str = MARKER) -> bool:
    """Whether a prompt was made with our template; a legacy text completion's was not."""
    return prompt.startswith(marker + _SYSTEM)


def messages_from_prompt(prompt: str, images: Sequence[str] = (), marker: str = MARKER) -> list[Json]:
    """The messages behind a prompt made with our template. Raises InvalidRequest on any other prompt.

    Roles, order and text come back exactly. What the stock server itself loses stays lost: all system messages but
    the last, an empty system message, the order of text and images inside a message, images of a user message that
    follows another, message names. A text that contains a whole separator of ours, end and next role, is split
    there or refused.
    """
    if not has_messages(prompt, marker):
        raise _foreign_prompt()
    start = len(marker + _SYSTEM)
    system, rest = _until(prompt, start, marker + _END[0], marker)
    messages: list[Json] = [{"role": "system", "content": system}] if system else []
    waiting = list(images)
    for place, (role, text) in enumerate(_turns(prompt, rest, marker)):
        # The stock server collects the images of every other message only.
        has_images = role == "user" and place % 2 == 0
        messages.append({"role": role, "content": _with_images(text, waiting) if has_images else text})
    return messages


def call_from_stock(params: Json, *, room: int | None = None, marker: str = MARKER) -> Json:
    """The OpenAI call behind stock parameters: a chat call, or a text completion when the prompt is a plain one.

    ``room`` is the context length less the prompt's tokens as we reported them: the stock server asks for all of it
    when its caller set no limit, and that is no wish of the caller's. Values that change nothing are left out, as
    some models refuse the mere field. Raises InvalidRequest on a foreign shape.
    """
    prompt = params.get("prompt")
    if not isinstance(prompt, str):
        raise InvalidRequest("The parameters have no prompt.", param="prompt")
    call: Json = {"model": str(params.get("model", ""))}
    if has_messages(prompt, marker):
        call["messages"] = messages_from_prompt(prompt, _texts(params.get("images")), marker)
    else:
        call["prompt"] = prompt
        names = ("echo", "logprobs", "best_of", "use_beam_search")
        call |= {name: params[name] for name in names if params.get(name) not in (None, False)}
    call |= _wished(params)
    limit = params.get("max_new_tokens")
    if isinstance(limit, int) and limit < min(LONGEST_ANSWER_TOKENS, room or LONGEST_ANSWER_TOKENS):
        call["max_tokens"] = limit
    if stop := _texts(params.get("stop")):
        call["stop"] = stop
    return call


def _refuse_not_carried(call: Json) -> None:
    asked = [name for name in NOT_CARRIED if call.get(name) and call[name] not in _HARMLESS.get(name, ())]
    if asked:
        raise InvalidRequest(f"A FastChat worker cannot carry {', '.join(asked)}.", param=asked[0])


def _conversation(conv: Json) -> Conversation:
    names = ("name", "system_template", "system_message", "offset", "sep", "sep2", "stop_str", "stop_token_ids")
    try:
        return Conversation(
            **{name: conv[name] for name in names},
            roles=tuple(conv["roles"]),
            messages=[list(message) for message in conv["messages"]],
            sep_style=SeparatorStyle(conv["sep_style"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UpstreamBroken(f"The worker's conversation template is unreadable: {error}", cause="template") from error


def _fill(conversation: Conversation, messages: Any) -> list[str]:
    """Append the messages; the images in them, in order."""
    if not isinstance(messages, list):
        raise InvalidRequest("messages must be a list.", param="messages")
    system: list[str] = []
    images: list[str] = []
    for number, message in enumerate(messages):
        role, text, seen = _flat(message, f"messages[{number}]")
        if role == "system":
            system.append(text)
        else:
            speaker = conversation.roles[0 if role == "user" else 1]
            conversation.append_message(speaker, (text, seen) if seen else text)
            images += seen
    if system:
        # The stock server keeps only the last one.
        conversation.set_system_message("\n\n".join(system))
    conversation.append_message(conversation.roles[1], None)
    return images


def _flat(message: Any, where: str) -> tuple[str, str, list[str]]:
    """(role, text, images) of one message: ``system``, ``user`` or ``assistant``."""
    role = message.get("role") if isinstance(message, dict) else None
    role = "system" if role == "developer" else role
    if role not in ("system", "user", "assistant"):
        raise InvalidRequest(f"A FastChat worker cannot carry a message of role {role!r}.", param=f"{where}.role")
    if message.get("tool_calls") or message.get("function_call"):
        raise InvalidRequest("A FastChat worker cannot carry tool calls.", param=f"{where}.tool_calls")
    text, images = _flat_content(message.get("content"), where)
    if images and role != "user":
        raise InvalidRequest("A FastChat worker takes images of users only.", param=f"{where}.content")
    return str(role), text, images


def _flat_content(content: Any, where: str) -> tuple[str, list[str]]:
    if content is None or isinstance(content, str):
        return content or "", []
    if not isinstance(content, list):
        raise InvalidRequest("content must be a text or a list of parts.", param=f"{where}.content")
    texts: list[str] = []
    images: list[str] = []
    for number, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind == "image_url" and isinstance(part.get("image_url"), dict):
            images.append(str(part["image_url"].get("url", "")))
        else:
            raise InvalidRequest(
                f"A FastChat worker cannot carry a part of type {kind!r}.", param=f"{where}.content[{number}]"
            )
    return "\n".join(texts), images


def _prompt_of(conversation: Conversation) -> str:
    try:
        return str(conversation.get_prompt())
    except TypeError:
        # Templates without a place for images add the (text, images) pair to a string.
        raise InvalidRequest("This FastChat worker's template takes no images.", param="messages") from None


def _sampling_params(call: Json, model: str, conversation: Conversation, prompt: str) -> Json:
    """What ``get_gen_params`` of the stock API server sends, key by key."""
    preferences = {name: default if call.get(name) is None else call[name] for name, default in STOCK_DEFAULTS.items()}
    stop = [*_texts(call.get("stop")), *_texts(conversation.stop_str)]
    limit = call.get("max_completion_tokens")
    return {
        "model": model,
        "prompt": prompt,
        **preferences,
        "logprobs": None,
        "max_new_tokens": call.get("max_tokens") if limit is None else limit,
        "echo": False,
        "stop_token_ids": conversation.stop_token_ids,
        "stop": list(dict.fromkeys(stop)),
    }


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value] if value else []
    return [text for text in value if isinstance(text, str) and text] if isinstance(value, list | tuple) else []


def _until(prompt: str, start: int, end: str, marker: str) -> tuple[str, int]:
    """The text up to the first ``end`` that a role follows, and where that role begins."""
    place = min(
        (at for role in _ROLES.values() if (at := prompt.find(end + marker + role + ":", start)) >= 0),
        default=-1,
    )
    if place < 0:
        raise _foreign_prompt()
    return prompt[start:place], place + len(end)


def _foreign_prompt() -> InvalidRequest:
    return InvalidRequest("The prompt was not made with this worker's conversation template.", param="prompt")


def _turns(prompt: str, place: int, marker: str) -> Iterable[tuple[str, str]]:
    """(role, text) of each message; the last, open one of the assistant is left out."""
    count = 0
    while True:
        role = next((role for role, sign in _ROLES.items() if prompt.startswith(marker + sign + ":", place)), None)
        if role is None:
            raise _foreign_prompt()
        place += len(marker + _ROLES[role] + ":")
        if place >= len(prompt):
            return
        if prompt.startswith(" ", place):
            text, place = _until(prompt, place + 1, marker + _END[count % 2], marker)
        else:
            text = ""
        yield role, text
        count += 1


def _with_images(text: str, waiting: list[str]) -> str | list[Json]:
    """The content of a message with its share of the images; they are taken out of ``waiting``."""
    parts: list[Json] = []
    while waiting and text.startswith(IMAGE_PLACEHOLDER_STR):
        parts.append({"type": "image_url", "image_url": {"url": waiting.pop(0)}})
        text = text.removeprefix(IMAGE_PLACEHOLDER_STR)
    if not parts:
        return text
    return [*parts, {"type": "text", "text": text}] if text else parts


def _wished(params: Json) -> Json:
    wished: Json = {}
    if _is_number(params.get("temperature")):
        wished["temperature"] = params["temperature"]
    for name in ("top_p", "top_k", "presence_penalty", "frequency_penalty"):
        if _is_number(params.get(name)) and params[name] != STOCK_DEFAULTS[name]:
            wished[name] = params[name]
    if _is_number(params.get("repetition_penalty")) and params["repetition_penalty"] != 1.0:
        wished["repetition_penalty"] = params["repetition_penalty"]
    return wished


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
