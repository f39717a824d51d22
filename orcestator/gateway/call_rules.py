"""What a call must be before it is worth an attempt: types and limits, each refusal naming the field and the remedy."""

from dataclasses import dataclass
from typing import Any

from orcestator.errors import InvalidRequest
from orcestator.json_text import Json

LONGEST_MODEL_NAME = 256
MOST_FOREIGN_STOPS = 64
"""Stop sequences in other dialects than OpenAI's, which take more of them: no client sends as many."""


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Counts; each protects an upstream or this process from one request."""

    messages: int = 2048
    choices: int = 8
    tools: int = 128
    stops: int = 4


def check_call(endpoint: str, call: Json, limits: CallLimits, *, is_foreign: bool = False) -> None:
    """Raises InvalidRequest for a call that is worth no attempt; ``is_foreign``: it was made of another dialect's."""
    if endpoint == "chat":
        _check_chat(call, limits)
    n = call.get("n")
    if n is not None and (type(n) is not int or not 1 <= n <= limits.choices):
        raise InvalidRequest(f"'n' must be a whole number from 1 to {limits.choices}.", param="n")
    stream = call.get("stream")
    if stream is not None and type(stream) is not bool:
        raise InvalidRequest("'stream' must be true or false.", param="stream")
    stop = call.get("stop")
    stops = max(limits.stops, MOST_FOREIGN_STOPS) if is_foreign else limits.stops
    if type(stop) is list and len(stop) > stops:
        raise InvalidRequest(f"'stop' may have at most {stops} sequences.", param="stop")
    _check_model(call)


def _check_chat(call: Json, limits: CallLimits) -> None:
    messages = call.get("messages")
    if type(messages) is not list or not messages:
        raise InvalidRequest("'messages' must be a list with at least one message.", param="messages")
    if len(messages) > limits.messages:
        raise InvalidRequest(f"'messages' may have at most {limits.messages} entries.", param="messages")
    for number, message in enumerate(messages):
        if type(message) is not dict:
            raise InvalidRequest(f"'messages[{number}]' must be an object.", param=f"messages[{number}]")
    tools = call.get("tools")
    if tools is not None and (type(tools) is not list or len(tools) > limits.tools):
        raise InvalidRequest(f"'tools' must be a list of at most {limits.tools} tools.", param="tools")


def _check_model(call: Json) -> None:
    model = call.get("model")
    if model is not None and (type(model) is not str or not model or len(model) > LONGEST_MODEL_NAME):
        raise InvalidRequest(
            f"'model' must be a name of 1 to {LONGEST_MODEL_NAME} characters; GET /v1/models lists them.", param="model"
        )


def user_text(endpoint: str, call: Json, cap: int) -> str:
    """The text of the last user message (or of the prompt or input), capped: what the traffic log shows."""
    if endpoint == "chat":
        for message in reversed(call["messages"]):
            if message.get("role") == "user":
                return _text_of(message.get("content"), cap)
        return ""
    return _text_of(call.get("prompt", call.get("input")), cap)


def _text_of(content: Any, cap: int) -> str:
    if type(content) is str:
        return content[:cap]
    if type(content) is not list:
        return ""
    texts = [part if type(part) is str else part.get("text", "") for part in content if type(part) in (str, dict)]
    return " ".join(text for text in texts if type(text) is str)[:cap]
