"""A call adapted to an upstream's quirks: renamed or left out where the upstream would refuse the whole request.

Only what has no meaning to the model is left out: bookkeeping that clients echo back. Each step gives the call
itself when it has nothing to do, so that a healthy call keeps its bytes.
"""

from collections.abc import Callable, Iterable
from typing import Any

Json = dict[str, Any]
MESSAGE_FIELDS = frozenset(
    {"role", "content", "name", "tool_calls", "tool_call_id", "refusal", "audio", "function_call", "prefix"}
)
"""What a message may have (https://platform.openai.com/docs/api-reference/chat/create, checked 2026-11), and Mistral's
``prefix``. VS Code adds ``cot_id``, ``cot_summary``, ``reasoning`` and ``reasoning_content``."""


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


def _no_developer_role(call: Json) -> Json:
    return _with_messages(call, lambda message: message.get("role") == "developer", _as_system)


def _as_system(message: Json) -> Json:
    return {**message, "role": "system"}


def _strict_body(call: Json) -> Json:
    return _with_messages(call, _has_extras, _without_extras)


def _has_extras(message: Json) -> bool:
    return not MESSAGE_FIELDS.issuperset(message) or any("media_type" in image for image in _images(message))


def _images(message: Json) -> list[Json]:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return [part["image_url"] for part in parts if isinstance(part, dict) and isinstance(part.get("image_url"), dict)]


def _without_extras(message: Json) -> Json:
    kept = {name: value for name, value in message.items() if name in MESSAGE_FIELDS}
    if isinstance(kept.get("content"), list):
        kept["content"] = [_without_media_type(part) for part in kept["content"]]
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


_STEPS: dict[str, Callable[[Json], Json]] = {
    "max_tokens_only": _max_tokens_only,
    "no_developer_role": _no_developer_role,
    "strict_body": _strict_body,
}
