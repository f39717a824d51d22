"""A caller's input items as canonical messages.

https://platform.openai.com/docs/api-reference/responses/create#responses-create-input and openai-python 3.51
``ResponseInputItemParam`` (checked 2026-11). Neighbouring items of the assistant are one message: its reasoning, its
text and its calls.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from orcestator.dialects.responses.outputs import reasoning_details, reasoning_text
from orcestator.dialects.responses.tool_names import ToolBook
from orcestator.dialects.shapes import dropped_name, object_in, text_in
from orcestator.errors import InvalidRequest
from orcestator.json_text import Json

_TEXTS = ("input_text", "output_text", "text")
_FILE_FIELDS = ("file_data", "file_id", "filename")
_TOOLS_OF_THEIR_OWN = ("additional_tools",)
"""Items read elsewhere."""


@dataclass(slots=True)
class _Turn:
    """What the assistant said between two items of others."""

    parts: list[Json] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    details: list[Json] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)
    items: int = 0

    def message(self) -> Json:
        """The whole turn as one message."""
        extras: Json = {
            "refusal": "".join(self.refusals),
            "reasoning_content": "\n\n".join(self.thoughts),
            "reasoning_details": self.details,
            "tool_calls": self.calls,
        }
        message: Json = {"role": "assistant", "content": _plain(self.parts) or (None if self.calls else "")}
        return message | {name: value for name, value in extras.items() if value}


class CallerItems:
    """Reads items one after another."""

    def __init__(self, book: ToolBook, dropped: list[str]) -> None:
        self._book = book
        self._dropped = dropped
        self._turn: _Turn | None = None
        self._messages: list[Json] = []

    def messages(self, items: Any) -> list[Json]:
        """The messages of an ``input``. Raises InvalidRequest for what is no item."""
        if isinstance(items, str):
            return [{"role": "user", "content": items}]
        if not isinstance(items, list):
            raise InvalidRequest("'input' must be a text or a list of items.", param="input")
        for place, item in enumerate(items):
            self._take(item, f"input[{place}]")
        self._close()
        return self._messages

    def _take(self, item: Any, path: str) -> None:
        if not isinstance(item, dict):
            raise InvalidRequest(f"'{path}' must be an object such as a message.", param=path)
        kind = item.get("type") or ("message" if "role" in item else "item_reference")
        take = _ITEMS.get(kind) if isinstance(kind, str) else None
        if take is not None:
            take(self, item, path)
        elif kind not in _TOOLS_OF_THEIR_OWN:
            self._dropped.append(dropped_name("input", kind))

    def _message(self, item: Json, path: str) -> None:
        role = item.get("role")
        if role == "assistant":
            self._said(item, path)
        elif role in ("user", "system", "developer"):
            self._add({"role": role, "content": self._content(item.get("content"), f"{path}.content")})
        else:
            raise InvalidRequest(
                f"'{path}.role' must be 'user', 'assistant', 'system' or 'developer'.", param=f"{path}.role"
            )

    def _said(self, item: Json, path: str) -> None:
        turn = self._open()
        for part in _parts(item.get("content"), f"{path}.content"):
            if part.get("type") == "refusal":
                turn.refusals.append(text_in(part, "refusal"))
            elif part.get("type") in _TEXTS:
                turn.parts.append({"type": "text", "text": text_in(part, "text")})
            else:
                self._dropped.append(dropped_name("input", part.get("type")))

    def _thought(self, item: Json, path: str) -> None:
        turn = self._open()
        text = reasoning_text(item)
        if text:
            turn.thoughts.append(text)
        turn.details += reasoning_details(item, turn.items - 1)

    def _called(self, item: Json, path: str) -> None:
        name = text_in(item, "name")
        if not name:
            raise InvalidRequest(f"'{path}.name' must be the name of the called tool.", param=f"{path}.name")
        kind, given = ("custom", "input") if item["type"] == "custom_tool_call" else ("function", "arguments")
        flat = self._book.flat(text_in(item, "namespace"), name)
        part = {"name": flat, given: text_in(item, given)}
        self._open().calls.append({"id": _call_id(item, path), "type": kind, kind: part})

    def _output(self, item: Json, path: str) -> None:
        content = self._content(item.get("output"), f"{path}.output")
        self._add({"role": "tool", "tool_call_id": _call_id(item, path), "content": content})

    def _reference(self, item: Json, path: str) -> None:
        raise InvalidRequest(
            f"'{path}' refers to an item that is not kept here; send the item itself (store: false makes SDKs do so).",
            param=path,
        )

    def _content(self, content: Any, path: str) -> str | list[Json]:
        made = [made for part in _parts(content, path) if (made := _part(part, self._dropped)) is not None]
        return _plain(made)

    def _open(self) -> _Turn:
        self._turn = self._turn or _Turn()
        self._turn.items += 1
        return self._turn

    def _close(self) -> None:
        if self._turn is not None:
            self._messages.append(self._turn.message())
            self._turn = None

    def _add(self, message: Json) -> None:
        self._close()
        self._messages.append(message)


_ITEMS: dict[str, Callable[[CallerItems, Json, str], None]] = {
    "message": CallerItems._message,
    "reasoning": CallerItems._thought,
    "function_call": CallerItems._called,
    "custom_tool_call": CallerItems._called,
    "function_call_output": CallerItems._output,
    "custom_tool_call_output": CallerItems._output,
    "item_reference": CallerItems._reference,
}


def _call_id(item: Json, path: str) -> str:
    call_id = text_in(item, "call_id")
    if not call_id:
        raise InvalidRequest(f"'{path}.call_id' must be the id of the tool call.", param=f"{path}.call_id")
    return call_id


def _parts(content: Any, path: str) -> list[Json]:
    if content is None or isinstance(content, str):
        return [{"type": "input_text", "text": content or ""}]
    if not isinstance(content, list):
        raise InvalidRequest(f"'{path}' must be a text or a list of parts.", param=path)
    for place, part in enumerate(content):
        if not isinstance(part, dict):
            raise InvalidRequest(
                f"'{path}[{place}]' must be an object such as an input_text part.", param=f"{path}[{place}]"
            )
    return content


def _plain(parts: list[Json]) -> str | list[Json]:
    """One text as a text: servers that know no parts take it."""
    if not parts:
        return ""
    return str(parts[0]["text"]) if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _part(part: Json, dropped: list[str]) -> Json | None:
    kind = part.get("type")
    if kind in _TEXTS:
        return {"type": "text", "text": text_in(part, "text")}
    if kind == "input_image" and text_in(part, "image_url"):
        detail = {"detail": part["detail"]} if text_in(part, "detail") else {}
        return {"type": "image_url", "image_url": {"url": part["image_url"], **detail}}
    file = {name: text_in(part, name) for name in _FILE_FIELDS if text_in(part, name)}
    if kind == "input_file" and file.keys() & {"file_data", "file_id"}:
        return {"type": "file", "file": file}
    if kind == "input_audio" and object_in(part, "input_audio"):
        return {"type": "input_audio", "input_audio": part["input_audio"]}
    dropped.append(dropped_name("input", kind))
    return None
