"""A stream put together to the whole reply that was asked for: some upstreams stream whatever they are asked."""

from typing import Any

from orcestator.json_text import Json

_OWN_FIELDS = ("index", "delta", "finish_reason")


class Gatherer:
    """Takes a stream's canonical chunks as a ``canonical.Writer`` does, and writes nothing; ``reply`` is whole after ``end``."""

    def __init__(self) -> None:
        self.reply: Json = {}
        self._choices: dict[int, Json] = {}

    def text(self, content: str) -> bytes:
        """More text of choice 0."""
        _pieces(self._message(0), "content").append(content)
        return b""

    def chunk(self, chunk: Json) -> bytes:
        """One chunk."""
        self.reply |= {name: value for name, value in chunk.items() if name not in ("choices", "usage")}
        for choice in chunk["choices"]:
            message = self._message(choice["index"])
            for name, value in choice["delta"].items():
                _add(message, name, value)
            held = self._choices[choice["index"]]
            held["finish_reason"] = choice.get("finish_reason") or held.get("finish_reason")
            for name, value in choice.items():
                if name not in _OWN_FIELDS:
                    held[name] = _joined(held.get(name), value)
        return b""

    def end(self, usage: Json) -> bytes:
        """The answer is whole."""
        choices = [self._whole(choice) for _, choice in sorted(self._choices.items())]
        self.reply |= {"object": "chat.completion", "choices": choices, "usage": usage}
        return b""

    def failure(self, error: object) -> bytes:
        """What breaks is raised; nothing is written."""
        return b""

    def _message(self, index: int) -> Json:
        choice = self._choices.setdefault(index, {"index": index, "message": {}})
        message: Json = choice["message"]
        return message

    def _whole(self, choice: Json) -> Json:
        message = {name: _flat(value) for name, value in choice["message"].items()}
        for call in message.get("tool_calls") or ():
            kind = call["type"]
            call[kind] = {name: _flat(value) for name, value in call[kind].items()}
        return {**choice, "message": {"role": "assistant", "content": None, **message}}


def _add(message: Json, name: str, value: Any) -> None:
    if name == "tool_calls":
        for delta in value:
            _add_call(message.setdefault(name, []), delta)
    elif name == "role" or value is None:
        message.setdefault(name, value)
    elif isinstance(value, str):
        _pieces(message, name).append(value)
    else:
        message[name] = _joined(message.get(name), value)


def _add_call(calls: list[Json], delta: Json) -> None:
    """Calls come one after another, and only the first delta of each has an id."""
    kind = "custom" if "custom" in delta else "function"
    if "id" in delta:
        calls.append({"id": delta["id"], "type": delta["type"], kind: {}})
    call = calls[-1]
    call |= {name: value for name, value in delta.items() if name not in ("index", "id", "type", kind)}
    for name, value in delta.get(kind, {}).items():
        _pieces(call[kind], name).append(value)


def _pieces(held: Json, name: str) -> list[str]:
    """The pieces of a text so far, joined at the end."""
    if not isinstance(held.get(name), _Pieces):
        held[name] = _Pieces()
    pieces: list[str] = held[name]
    return pieces


class _Pieces(list[str]):
    """A text that is still coming."""


def _flat(value: Any) -> Any:
    return "".join(value) if isinstance(value, _Pieces) else value


def _joined(earlier: Any, more: Any) -> Any:
    """Lists go on (annotations, log probabilities and those inside an object), anything else is replaced."""
    if isinstance(earlier, list) and isinstance(more, list):
        return [*earlier, *more]
    if isinstance(earlier, dict) and isinstance(more, dict):
        return {**earlier, **{name: _joined(earlier.get(name), value) for name, value in more.items()}}
    return earlier if more is None else more
