"""The rest of a broken stream, as another candidate goes on with it: the same answer to the caller, one role, one end."""

from typing import Any, NamedTuple

from orcestator.dialects.openai.finish import FAILED
from orcestator.dialects.sse import DONE
from orcestator.errors import OrcestatorError
from orcestator.json_text import Json, dumps, loads

_DATA = b"data: "


class Broken(NamedTuple):
    """A stream that broke: the head that all its chunks had, and the tokens of what the caller has of it."""

    head: Json
    completion_tokens: int


def head_in(frames: bytes) -> Json | None:
    """The head of the chunks in some frames of ours; None when there is no chunk in them."""
    for line in frames.split(b"\n"):
        if line.startswith(_DATA + b"{"):
            chunk = loads(line[len(_DATA) :])
            if "choices" not in chunk:
                continue
            return {name: chunk[name] for name in ("id", "object", "created", "model") if name in chunk}
    return None


class ResumedWriter:
    """Writes OpenAI's chunks with the head of the stream that broke."""

    def __init__(self, broken: Broken, *, include_usage: bool) -> None:
        self._broken = broken
        self._include_usage = include_usage
        self._has_finished = False

    def text(self, content: str) -> bytes:
        """More text of choice 0."""
        return self._frame([{"index": 0, "delta": {"content": content}, "finish_reason": None}])

    def chunk(self, chunk: Json) -> bytes:
        """A chunk without its role, which the caller was given before; b"" when nothing else is in it."""
        choice = chunk["choices"][0]
        delta = {name: value for name, value in choice["delta"].items() if name != "role"}
        if not delta and choice.get("finish_reason") is None:
            return b""
        self._has_finished = choice.get("finish_reason") is not None
        return self._frame([{**choice, "delta": delta}])

    def end(self, usage: Json) -> bytes:
        """The end. What the second model was given of the first one's text is counted as the answer's, not as the prompt's."""
        if not self._include_usage:
            return DONE
        earlier = self._broken.completion_tokens
        prompt = max(0, usage["prompt_tokens"] - earlier)
        completion = usage["completion_tokens"] + earlier
        whole = {**usage, "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        return self._frame([], usage=whole) + DONE

    def failure(self, error: OrcestatorError) -> bytes:
        """The end of one that broke again."""
        finish = b"" if self._has_finished else self._frame([{"index": 0, "delta": {}, "finish_reason": FAILED}])
        detail = {**error.body()["error"], "partial": True}
        return finish + _DATA + dumps({"error": detail}) + b"\n\n" + DONE

    def _frame(self, choices: list[Json], **more: Any) -> bytes:
        return _DATA + dumps({**self._broken.head, "choices": choices, **more}) + b"\n\n"
