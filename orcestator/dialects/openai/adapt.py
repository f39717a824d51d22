"""A call adapted to an upstream's quirks: renamed or left out where the upstream would refuse the whole request.

Only what has no meaning to the model is left out: bookkeeping that clients echo back. Each step gives the call
itself when it has nothing to do, so that a healthy call keeps its bytes.
"""

import re
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any

from orcestator.json_text import Json

MESSAGE_FIELDS = frozenset(
    {"role", "content", "name", "tool_calls", "tool_call_id", "refusal", "audio", "function_call", "prefix"}
)
"""What a message may have (https://platform.openai.com/docs/api-reference/chat/create, checked 2026-11), and Mistral's
``prefix``. VS Code adds ``cot_id``, ``cot_summary``, ``reasoning`` and ``reasoning_content``."""

CALL_FIELDS = frozenset({"id", "type", "function", "custom", "index"})
"""What a tool call in a message may have; Gemini's signatures ride beside them in ``extra_content``."""
_SHORT_ID = re.compile(r"[a-zA-Z0-9]{9}")


def adapted(call: Json, quirks: Iterable[str]) -> Json:
    """The call as an upstream with these quirks takes it."""
    for quirk in quirks:
        step = _STEPS.get(quirk)
        if step is not None:
            call = step(call)
    return call


def _max_tokens_only(call: Json) -> Json:
    if "max_completion_tokens" not in call:
        return call
    rest = {name: value for name, value in call.items() if name != "max_completion_tokens"}
    return {"max_tokens": call["max_completion_tokens"], **rest}


def _new_max_tokens(call: Json) -> Json:
    if "max_tokens" not in call:
        return call
    rest = {name: value for name, value in call.items() if name != "max_tokens"}
    return {"max_completion_tokens": call["max_tokens"], **rest}


def _no_developer_role(call: Json) -> Json:
    return _with_messages(call, lambda message: message.get("role") == "developer", _as_system)


def _as_system(message: Json) -> Json:
    return {**message, "role": "system"}


def _strict_body(call: Json) -> Json:
    return _with_messages(call, _has_extras, _without_extras)


def _has_extras(message: Json) -> bool:
    if not MESSAGE_FIELDS.issuperset(message) or any("media_type" in image for image in _images(message)):
        return True
    return not all(CALL_FIELDS.issuperset(tool_call) for tool_call in _calls(message))


def _calls(message: Json) -> list[Json]:
    calls = message.get("tool_calls")
    return [tool_call for tool_call in calls if isinstance(tool_call, dict)] if isinstance(calls, list) else []


def _images(message: Json) -> list[Json]:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return [part["image_url"] for part in parts if isinstance(part, dict) and isinstance(part.get("image_url"), dict)]


def _without_extras(message: Json) -> Json:
    kept = {name: value for name, value in message.items() if name in MESSAGE_FIELDS}
    if isinstance(kept.get("content"), list):
        kept["content"] = [_without_media_type(part) for part in kept["content"]]
    if _calls(kept):
        kept["tool_calls"] = [{name: one[name] for name in one if name in CALL_FIELDS} for one in _calls(kept)]
    return kept


def _without_media_type(part: Any) -> Any:
    if not isinstance(part, dict) or not isinstance(part.get("image_url"), dict):
        return part
    return {**part, "image_url": {name: v for name, v in part["image_url"].items() if name != "media_type"}}


def _with_messages(call: Json, needs: Callable[[Json], bool], change: Callable[[Json], Json]) -> Json:
    messages = call.get("messages")
    if not isinstance(messages, list) or not any(isinstance(message, dict) and needs(message) for message in messages):
        return call
    return {**call, "messages": [change(m) if isinstance(m, dict) and needs(m) else m for m in messages]}


def _short_tool_ids(call: Json) -> Json:
    return _with_messages(
        call, lambda message: any(not _is_short(found) for found in _ids_in(message)), _with_short_ids
    )


def _ids_in(message: Json) -> list[str]:
    found = [tool_call.get("id") for tool_call in _calls(message)]
    return [one for one in (*found, message.get("tool_call_id")) if isinstance(one, str)]


def _with_short_ids(message: Json) -> Json:
    made = dict(message)
    if isinstance(made.get("tool_call_id"), str):
        made["tool_call_id"] = short_tool_id(made["tool_call_id"])
    if isinstance(made.get("tool_calls"), list):
        made["tool_calls"] = [
            {**entry, "id": short_tool_id(entry["id"])} if isinstance(entry, dict) and "id" in entry else entry
            for entry in made["tool_calls"]
        ]
    return made


def short_tool_id(tool_id: Any) -> str:
    """An id of nine letters and digits, always the same for the same id; one that is such already stays."""
    text = str(tool_id)
    return text if _is_short(text) else blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()[:9]


def _is_short(tool_id: str) -> bool:
    return _SHORT_ID.fullmatch(tool_id) is not None


def _reasoning_back(call: Json) -> Json:
    """Answers of other models have no reasoning of this one's: an empty text stands for it.

    DeepSeek wants the field in every assistant message of a conversation with tools, not a certain content
    (BerriAI/litellm PR 26660, MoonshotAI/kimi-cli#2141, checked 2026-11).
    """
    messages = call.get("messages")
    if not isinstance(messages, list) or not any(isinstance(one, dict) and one.get("tool_calls") for one in messages):
        return call
    return _with_messages(
        call,
        lambda message: message.get("role") == "assistant" and not isinstance(message.get("reasoning_content"), str),
        lambda message: {**message, "reasoning_content": ""},
    )


_STEPS: dict[str, Callable[[Json], Json]] = {
    "max_tokens_only": _max_tokens_only,
    "no_developer_role": _no_developer_role,
    "strict_body": _strict_body,
    "new_max_tokens": _new_max_tokens,
    "short_tool_ids": _short_tool_ids,
    "reasoning_back": _reasoning_back,
}
