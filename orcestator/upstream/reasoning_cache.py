"""What an upstream needs back on the next turn, kept here because callers drop it.

Anthropic's thinking signatures, Gemini's thought signatures, DeepSeek's reasoning and OpenAI's encrypted items are
worth something to their issuer only, so every provider link has a vault of its own and nobody else ever sees it.
An entry is found by a tool call's id, by the ``cot_id`` handle that the caller was given, or by the answer's text, and
only for the caller whose answer it was.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from orcestator.json_text import Json

KEPT = ("reasoning_content", "reasoning_details")


@dataclass(slots=True)
class _Entry:
    message: Json
    size: int
    expires: float


class ReasoningCache:
    """Bounded by entries, by bytes and by age. ``now`` gives seconds on any steady clock."""

    def __init__(
        self,
        now: Callable[[], float],
        *,
        most_entries: int = 10_000,
        most_bytes: int = 32 << 20,
        seconds: float = 6 * 3600.0,
    ) -> None:
        self._now = now
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._keys: dict[str, bytes] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def keep(self, owner: str, message: Json) -> None:
        """Keep a whole assistant message of this upstream's, if there is anything in it worth keeping."""
        kept = {name: message[name] for name in KEPT if message.get(name)}
        signed = {call["id"]: call["extra_content"] for call in message["tool_calls"] if call.get("extra_content")}
        if signed:
            kept["extra_content"] = signed
        if not kept:
            return
        keys = list(_keys_of(owner, message))
        if not keys:
            return
        place = blake2b("\0".join(keys).encode("utf-8", "replace"), digest_size=16).digest()
        size = _size_of(kept) + sum(map(len, keys))
        if size > self._most_bytes // 8:
            return
        self._forget(place)
        self._entries[place] = _Entry({**kept, "keys": keys}, size, self._now() + self._seconds)
        self._keys.update(dict.fromkeys(keys, place))
        self.bytes += size
        self._make_room()

    def find(self, owner: str, message: Json) -> Json | None:
        """What is kept of this assistant message, or None."""
        for key in _keys_of(owner, message):
            place = self._keys.get(key)
            entry = self._entries.get(place) if place is not None else None
            if entry is not None and entry.expires > self._now():
                return entry.message
        return None

    def _make_room(self) -> None:
        now = self._now()
        while self._entries:
            oldest, entry = next(iter(self._entries.items()))
            if entry.expires > now and len(self._entries) <= self._most_entries and self.bytes <= self._most_bytes:
                return
            self._forget(oldest)

    def _forget(self, place: bytes) -> None:
        entry = self._entries.pop(place, None)
        if entry is None:
            return
        self.bytes -= entry.size
        for key in entry.message["keys"]:
            if self._keys.get(key) == place:
                del self._keys[key]


def restored(call: Json, owner: str, vault: ReasoningCache) -> Json:
    """The call with what the vault has of its assistant messages; the call itself when it has nothing."""
    messages = call.get("messages")
    if not isinstance(messages, list) or not len(vault):
        return call
    changed = [_restored_message(message, owner, vault) for message in messages]
    if all(new is old for new, old in zip(changed, messages, strict=True)):
        return call
    return {**call, "messages": changed}


def _restored_message(message: Any, owner: str, vault: ReasoningCache) -> Any:
    if not isinstance(message, dict) or message.get("role") != "assistant":
        return message
    kept = vault.find(owner, message)
    if kept is None:
        return message
    more = {name: kept[name] for name in KEPT if name in kept and not message.get(name)}
    signed = kept.get("extra_content", {})
    calls = message.get("tool_calls")
    if signed and isinstance(calls, list):
        more["tool_calls"] = [_signed_call(call, signed) for call in calls]
    return {**message, **more} if more else message


def _signed_call(call: Any, signed: Json) -> Any:
    if not isinstance(call, dict) or "extra_content" in call or call.get("id") not in signed:
        return call
    return {**call, "extra_content": signed[call["id"]]}


def _keys_of(owner: str, message: Json) -> Iterator[str]:
    """The names under which a message is found, surest first."""
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict) and isinstance(call.get("id"), str) and call["id"]:
            yield f"{owner}\0call:{call['id']}"
    handle, content = message.get("cot_id"), message.get("content")
    if isinstance(handle, str) and handle:
        yield f"{owner}\0cot:{handle}"
    if isinstance(content, list):
        content = "".join(
            part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    if isinstance(content, str) and content and not calls:
        digest = blake2b(content.encode("utf-8", "replace"), digest_size=16)
        yield f"{owner}\0text:{digest.hexdigest()}"


def _size_of(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(len(name) + _size_of(item) for name, item in value.items())
    if isinstance(value, list):
        return sum(map(_size_of, value))
    return 8
