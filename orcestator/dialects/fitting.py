"""A canonical call within the limits of the upstream that it is translated for: what is over them is brought into them.

Nothing of this touches a caller who speaks the upstream's own dialect: what it says goes through.
"""

import re
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

from orcestator.dialects.canonical import data_url
from orcestator.dialects.tool_results import with_results_in_place
from orcestator.json_text import Json, loads

LONGEST_USER = 64
"""Characters that OpenAI takes as ``user``, ``safety_identifier`` and ``prompt_cache_key`` (400 "string too long. Expected
a string with maximum length 64", https://github.com/earendil-works/pi/issues/4720); OpenRouter and Z.ai take 128
(https://github.com/ujisati/claude-code-provider-proxy/pull/11). Checked 2026-11."""
_LIMITS = ("max_completion_tokens", "max_tokens")
_IDENTIFIERS = ("user", "safety_identifier", "prompt_cache_key")
_AGENT_FIELDS = frozenset({"account_uuid", "device_id"})
_OLDER_AGENT = re.compile(r"user_(?P<device>[0-9a-f]{16,})_account_(?P<account>[0-9a-f-]*)_session_[0-9a-f-]+")


def fitted(call: Json, facts: Mapping[str, Any], longest_user: int = LONGEST_USER) -> tuple[Json, list[str]]:
    """The call as a model with these facts takes it, and the names of what was changed.

    The longest answer is the model's; results of tools follow their calls; long identifiers are digests; images are
    labelled as what they are.
    """
    made, dropped = within_output_limit(call, facts.get("max_output_tokens"))
    messages, repaired = with_results_in_place(_with_true_kinds(call.get("messages")))
    if messages is not call.get("messages"):
        made = {**made, "messages": messages}
    for name in _IDENTIFIERS:
        given = made.get(name)
        short = (
            _identifier(given, longest_user, is_user=name != "prompt_cache_key") if isinstance(given, str) else given
        )
        if short != given:
            made = {**made, name: short} if short else {key: value for key, value in made.items() if key != name}
            dropped.append(name)
    return made, dropped + repaired


def within_output_limit(call: Json, most: Any) -> tuple[Json, list[str]]:
    """The call with no longer answer than ``most`` tokens, and the names of the limits that were lowered.

    ``most`` that is no number of tokens is no limit.
    """
    if type(most) is not int or most < 1:
        return call, []
    over = [name for name in _LIMITS if type(call.get(name)) is int and call[name] > most]
    return ({**call, **dict.fromkeys(over, most)}, over) if over else (call, [])


def lowered_at(body: Json, places: Iterable[tuple[str, ...]], most: int) -> tuple[Json, list[str]]:
    """A body of any dialect with no whole number over ``most`` at these places, and the names of those that were lowered."""
    names = []
    for place in places:
        holders = [body]
        for step in place[:-1]:
            held = holders[-1].get(step)
            holders.append(held if isinstance(held, dict) else {})
        given = holders[-1].get(place[-1])
        if type(given) is int and given > most:
            changed: Any = most
            for holder, step in zip(reversed(holders), reversed(place), strict=True):
                changed = {**holder, step: changed}
            body = changed
            names.append(".".join(place))
    return body, names


def stable_user(text: str) -> str:
    """Who a coding agent asks for, always the same for one account and not to be read back; any other text as it is.

    Claude Code names its device, its account and its session in one identifier, as JSON or in its older form
    ``user_…_account_…_session_…`` (requests of Claude Code 2.1, checked 2026-11). With the session in it, every session
    would be somebody else to a provider. "" where neither account nor device is told.
    """
    older = _OLDER_AGENT.fullmatch(text)
    if older is not None:
        return digested(older["account"] or older["device"])
    if not (text.startswith("{") and '"session_id"' in text):
        return text
    try:
        said = loads(text.encode("utf-8", "replace"))
    except ValueError:
        return text
    if not isinstance(said, dict) or _AGENT_FIELDS.isdisjoint(said):
        return text
    told = [said[name] for name in ("account_uuid", "device_id") if isinstance(said.get(name), str) and said[name]]
    return digested(told[0]) if told else ""


def digested(text: str) -> str:
    """A short text that stands for a longer one: always the same, and not to be read back."""
    return blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()


def _with_true_kinds(messages: Any) -> Any:
    """The messages with every inline image under the kind that its bytes say; themselves where all are."""
    if not isinstance(messages, list):
        return messages
    made = [_with_true_kind(message) for message in messages]
    return messages if all(new is old for new, old in zip(made, messages, strict=True)) else made


def _with_true_kind(message: Any) -> Any:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    parts = [_relabelled(part) for part in content]
    return (
        message if all(new is old for new, old in zip(parts, content, strict=True)) else {**message, "content": parts}
    )


def _relabelled(part: Any) -> Any:
    image = part.get("image_url") if isinstance(part, dict) else None
    url = image.get("url") if isinstance(image, dict) else image
    inline = data_url(url) if isinstance(url, str) else None
    if inline is None or str(url).startswith(f"data:{inline.media_type};base64,"):
        return part
    url = f"data:{inline.media_type};base64,{inline.data}"
    return {**part, "image_url": {**image, "url": url} if isinstance(image, dict) else url}


def _identifier(text: str, longest: int, *, is_user: bool) -> str:
    text = stable_user(text) if is_user else text
    return text if len(text) <= longest else digested(text)
